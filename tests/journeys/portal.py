# SPDX-License-Identifier: Apache-2.0
"""Somebody at the portal with a browser: cookies, forms with their hidden fields, and an Origin."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import httpx2

from hub.demo.preparation import FUND

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hub.accounts import Role
    from tests.journeys.world import World

PORTAL = "/portal"
SESSION_COOKIE = "heliograph-session"


@dataclass
class Visit:
    """A browser that runs no scripts and follows no redirect by itself."""

    world: World
    http: httpx2.Client
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def cookie(self) -> str:
        """The session cookie's value, empty without one."""
        return self.http.cookies.get(SESSION_COOKIE) or ""

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self.http.get(f"{self.world.url}{path}", headers=self.headers | headers)

    def post(
        self, path: str, form: Mapping[str, str] | None = None, *, origin: str | None = "", **headers: str
    ) -> httpx2.Response:
        """Send a form; `origin` is this site's unless another is given, and None sends none."""
        sent = {} if origin is None else {"Origin": origin or self.world.url}
        url = f"{self.world.url}{path}"
        return self.http.post(url, data=dict(form or {}), headers=self.headers | sent | headers)

    def sign_in(self, role: Role, **form: str) -> httpx2.Response:
        """Sign in with a new token of a role; some roles act for a subsystem."""
        return self.enter(token_of(self.world, role), **form)

    def enter(self, token: str, **form: str) -> httpx2.Response:
        return self.post(f"{PORTAL}/sign-in", {"token": token, **form})

    def form_token(self) -> str:
        """Return what this session's forms bring back."""
        page = self.get(f"{PORTAL}/log").text
        values: set[str] = set(re.findall(r'name="form_token" value="([0-9a-f]{64})"', page))
        [value] = values
        return value


def token_of(world: World, role: Role, subject: str = "somebody") -> str:
    """Issue an access token of a role."""
    subsystem = FUND if role.value in {"caseworker", "gateway"} else None
    return world.token(role, subsystem, subject)["Authorization"].removeprefix("Bearer ")


@contextmanager
def visiting(world: World, role: Role | None = None, language: str = "en") -> Iterator[Visit]:
    """Open a browser, and sign in if a role is given."""
    with httpx2.Client(timeout=30) as http:
        visit = Visit(world, http, {"Accept-Language": language})
        if role is not None:
            assert visit.sign_in(role).status_code == 303
        yield visit


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def text_of(page: str) -> str:
    """Return what a reader of a page sees, white space in one piece."""
    parser = _Text()
    parser.feed(page)
    return " ".join(" ".join(parser.parts).split())


def elements_of(page: str) -> set[str]:
    """Return the names of the elements a browser would make of a page."""
    found: set[str] = set()

    class Names(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.add(tag)
            found.update(f"@{name}" for name, _ in attrs)

    Names().feed(page)
    return found
