# SPDX-License-Identifier: Apache-2.0
"""Every door of the portal: which roles it opens for, and where it sends the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.accounts import Role
from hub.app import build_app
from hub.clock import SystemClock
from hub.errors import Language, error_kinds
from hub.identifiers import new_message_id
from tests.journeys.departments import LABOUR_ECHO
from tests.journeys.portal import PORTAL, text_of, visiting

if TYPE_CHECKING:
    from tests.journeys.world import World

ID = new_message_id(SystemClock().now())
AUDITOR, OPERATOR = {Role.AUDITOR}, {Role.OPERATOR}
WATCHERS = {Role.AUDITOR, Role.OPERATOR}
CARERS = {Role.OPERATOR, Role.ADMINISTRATOR}
KEEPERS = {Role.AUDITOR, Role.OPERATOR, Role.ADMINISTRATOR}

# Route, the path to try, and who may; None for everybody.
DOORS: list[tuple[str, str, str, set[Role] | None]] = [
    ("GET", "/", "/", KEEPERS),
    ("GET", "/sign-in", "/sign-in", None),
    ("POST", "/sign-in", "/sign-in", None),
    ("POST", "/sign-out", "/sign-out", None),
    ("GET", "/language/{language}", "/language/en", None),
    ("GET", "/messages", "/messages", WATCHERS),
    ("POST", "/messages", "/messages", WATCHERS),
    ("GET", "/conversations/{conversation}", f"/conversations/{ID}", WATCHERS),
    ("GET", "/messages/{message_id}/path", f"/messages/{ID}/path", WATCHERS),
    ("GET", "/messages/{message_id}", f"/messages/{ID}", AUDITOR),
    ("GET", "/messages/{message_id}/containers/{part}", f"/messages/{ID}/containers/request", AUDITOR),
    ("GET", "/messages/{message_id}/evidence", f"/messages/{ID}/evidence", AUDITOR),
    ("GET", "/conversations/{message_id}/evidence", f"/conversations/{ID}/evidence", AUDITOR),
    ("GET", "/now", "/now", WATCHERS),
    ("GET", "/partners", "/partners", WATCHERS),
    ("GET", "/flows", "/flows", WATCHERS),
    ("GET", "/dead-letters", "/dead-letters", WATCHERS),
    ("GET", "/dead-letters/{number}", "/dead-letters/1", WATCHERS),
    ("POST", "/dead-letters/preview", "/dead-letters/preview", OPERATOR),
    ("POST", "/dead-letters/replay", "/dead-letters/replay", OPERATOR),
    ("POST", "/dead-letters/closing", "/dead-letters/closing", OPERATOR),
    ("POST", "/dead-letters/close", "/dead-letters/close", OPERATOR),
    ("GET", "/services", "/services", WATCHERS),
    ("GET", "/services/{service:path}/pause", f"/services/{LABOUR_ECHO}/pause", OPERATOR),
    ("POST", "/services/{service:path}/pause", f"/services/{LABOUR_ECHO}/pause", OPERATOR),
    ("POST", "/services/{service:path}/resumption", f"/services/{LABOUR_ECHO}/resumption", OPERATOR),
    ("GET", "/alarms", "/alarms", KEEPERS),
    ("POST", "/alarms/{alarm_id}/acknowledgement", "/alarms/4711/acknowledgement", CARERS),
    ("GET", "/log", "/log", KEEPERS),
]
guarded = pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [(method, path, allowed) for method, _, path, allowed in DOORS if allowed is not None],
    ids=[f"{method} {route}" for method, route, _, allowed in DOORS if allowed is not None],
)


def test_every_page_there_is_stands_in_the_table(world: World) -> None:
    there_are = {
        (page.method, page.path, page.roles and frozenset(page.roles)) for page in world.hub.portal.pages
    }
    assert there_are == {
        (method, route, allowed and frozenset(allowed)) for method, route, _, allowed in DOORS
    }


def test_nothing_else_is_mounted(world: World) -> None:
    mounted = [getattr(route, "path", "") for route in build_app(world.hub).routes if hasattr(route, "app")]
    assert [path for path in mounted if not path.startswith(("/api", "/log", "/healthz", "/openapi"))] == [
        PORTAL
    ]


@guarded
def test_nobody_comes_in_without_signing_in(world: World, method: str, path: str, allowed: set[Role]) -> None:
    del allowed
    with visiting(world) as visit:
        response = visit.get(PORTAL + path) if method == "GET" else visit.post(PORTAL + path, {"x": ""})
        assert response.status_code == 303
        assert response.headers["location"].startswith("/portal/sign-in?next=/portal/")
        assert response.text == ""


def test_a_bearer_token_opens_no_page(world: World) -> None:
    with visiting(world) as visit:
        response = visit.get(f"{PORTAL}/messages", **world.token(Role.AUDITOR))
        assert response.status_code == 303


def test_a_session_opens_nothing_of_the_interface(world: World) -> None:
    with visiting(world, Role.AUDITOR) as visit:
        assert visit.get("/api/v1/messages").status_code == 401


@guarded
def test_a_visitor_comes_in_with_the_right_role_and_no_other(
    world: World, method: str, path: str, allowed: set[Role]
) -> None:
    for role in KEEPERS:
        with visiting(world, role) as visit:
            if method == "GET":
                response = visit.get(PORTAL + path)
            else:
                response = visit.post(PORTAL + path, {"form_token": visit.form_token()})
            assert (response.status_code == 403) == (role not in allowed), (role, response.text)
            if role not in allowed:
                assert "access.role_missing" in response.text


@pytest.mark.parametrize("role", sorted(set(Role) - KEEPERS))
def test_who_has_no_pages_is_told_so_and_not_signed_in(world: World, role: Role) -> None:
    with visiting(world) as visit:
        response = visit.sign_in(role)
        assert response.status_code == 403
        assert "access.role_missing" in response.text
        assert visit.cookie == ""


@pytest.mark.parametrize(
    "path", ["/portal/nothing", "/portal/messages/", "/portal/sign-out", "/portal/static/x"]
)
@pytest.mark.parametrize("language", list(Language))
def test_what_is_not_there_is_a_page_that_says_so(world: World, path: str, language: Language) -> None:
    with visiting(world, language=language.value) as visit:
        response = visit.get(path)
        assert response.status_code in {404, 405, 307}
        if response.status_code != 307:
            assert response.headers["content-type"] == "text/html; charset=utf-8"
            assert response.headers["content-language"] == language.value
            kind = error_kinds()["portal.page_unknown"]
            assert kind.message[language] in text_of(response.text)


@pytest.mark.parametrize("language", list(Language))
def test_an_unknown_message_says_code_cure_and_who_has_to_act(world: World, language: Language) -> None:
    with visiting(world, Role.AUDITOR, language.value) as visit:
        response = visit.get(f"{PORTAL}/messages/{ID}")
        kind = error_kinds()["exchange.message_unknown"]
        assert response.status_code == 404
        shown = text_of(response.text)
        assert kind.message[language] in shown
        assert kind.cure[language] in shown
        assert kind.code in shown
