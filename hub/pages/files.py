# SPDX-License-Identifier: Apache-2.0
"""The files pages load: each at an address that names its content, so browsers may keep it for good."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOR_GOOD = {"Cache-Control": "public, max-age=31536000, immutable"}
_SHARED = "hub.pages"
_SHARED_FILES = ("pages.css", "mark.svg")


class StaticFiles:
    """The files of a site: those all sites share, and its own.

    Args:
        mounted_at: where the site is.
        package: whose folder `static` has the site's own files.
        names: of these.
    """

    def __init__(self, mounted_at: str, package: str = _SHARED, names: tuple[str, ...] = ()) -> None:
        self._mounted_at = mounted_at
        self._contents = {name: _read(_SHARED, name) for name in _SHARED_FILES}
        self._contents |= {name: _read(package, name) for name in names}

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where each file is, by name; another content has another address."""
        return {name: self._mounted_at + self._path(name) for name in self._contents}

    def routes(self) -> list[Route]:
        """Return the routes, to be mounted with the site's own."""
        return [Route(self._path(name), _answer(name, each)) for name, each in self._contents.items()]

    def _path(self, name: str) -> str:
        return f"/static/{hashlib.sha256(self._contents[name]).hexdigest()[:16]}/{name}"


def _read(package: str, name: str) -> bytes:
    return resources.files(package).joinpath("static", name).read_bytes()


def _answer(name: str, content: bytes) -> Callable[[Request], Response]:
    media_type = next(each for ending, each in _MEDIA_TYPES.items() if name.endswith(ending))

    def answer(request: Request) -> Response:
        del request
        return Response(content, media_type=media_type, headers=_FOR_GOOD)

    return answer
