# SPDX-License-Identifier: Apache-2.0
"""Takes the pictures of the portal in docs/images: `python -m tests.portal_pictures [FOLDER]`.

It lets a proof cross in a hub of its own, with the departments of the demonstration, and opens every page in
Chromium: both languages, on a desk and on a phone. Then a department goes down, and the operator's pages
follow. Into docs/images go four; a folder gets them all.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.simulators.pki import serve
from hub.accounts import Role
from hub.clock import SystemClock, day_in_china
from hub.outbox import DeliveryState
from hub.registry import DeliveryPolicy, Service, Title
from tests.chromium import running_chromium
from tests.journeys.bureaus import running_bureaus
from tests.journeys.departments import FEDERATION_ECHO, LABOUR_ECHO
from tests.journeys.outages import (
    delivery_of,
    department_down,
    make_dead,
    queue,
    set_policy,
    wait_until,
)
from tests.journeys.portal import token_of
from tests.journeys.serving import wait_for
from tests.journeys.world import running_world
from tests.pki import PASSPHRASE, make_served_pki

if TYPE_CHECKING:
    from collections.abc import Mapping

    from playwright.sync_api import Browser, Page, ViewportSize

    from tests.journeys.bureaus import Bureaus
    from tests.journeys.world import World

IMAGES = Path(__file__).parents[1] / "docs" / "images"
_EMPLOYER = "91510108MA6C00001C"
_SERVICE = "11510108MB1A00002M/employment/disability-employment-proof"
_SIZES = {"desk": (1200, 900), "phone": (375, 800)}
_PICTURE_SIZE = (1000, 1420)
_OPERATORS_SIZE = (1000, 1000)


def ask_for_proof(bureaus: Bureaus) -> str:
    """Let a proof cross; returns the request's message id."""
    year = day_in_china(SystemClock().now()).year
    asked = bureaus.ask(_SERVICE, {"employer": _EMPLOYER, "year": year}, bureaus.caseworker).json()
    shown = bureaus.settled(asked["id"], bureaus.caseworker)
    if shown["state"] != "delivered":
        raise RuntimeError(f"the proof did not cross: {shown}")
    message_id: str = asked["id"]
    return message_id


def wait_for_stamp(world: World) -> None:
    """Wait until a checkpoint covers everything and is time-stamped."""
    size = world.hub.log.checkpoint().checkpoint.size
    deadline = time.monotonic() + 60
    while not world.hub.stamps.stamps(size, 1) and time.monotonic() < deadline:
        time.sleep(0.2)


def make_outage(world: World) -> dict[str, str]:
    """Let a department go down until there is something for an operator; returns the pages to open."""
    known = {each.id: each for each in world.hub.registry.snapshot.all_of(Service)}
    titles = {
        LABOUR_ECHO: Title(zh="用工单位核验", en="Employer check"),
        FEDERATION_ECHO: Title(zh="残疾人证核验", en="Disability certificate check"),
    }
    changed = [replace(known[each], titles=title) for each, title in titles.items()]
    world.hub.registry.apply(tuple(changed), by="pictures")
    arrived = queue(world)
    wait_until(world, [arrived], DeliveryState.DONE)
    [expired] = make_dead(world, expires_at=SystemClock().now() + timedelta(seconds=5))
    dead = make_dead(world, 6)
    slow = DeliveryPolicy(first_pause_seconds=0.4, factor=2, tries=9, breaker_failures=6, breaker_seconds=2)
    set_policy(world, slow)
    with department_down(world):
        waiting = queue(world)
        wait_for(lambda: delivery_of(world, waiting).attempts > 4)
        set_policy(world, replace(slow, first_pause_seconds=300.0, breaker_seconds=600.0))
        wait_for(lambda: delivery_of(world, waiting).due_at > SystemClock().now() + timedelta(minutes=2))
    world.hub.pauses.pause(
        FEDERATION_ECHO, by="王芳", reason="残联业务系统升级", until=SystemClock().now() + timedelta(hours=2)
    )
    world.hub.alarms.raise_alarm("trust.trust_list_outdated", "4", "the next update was due yesterday")
    wait_for(lambda: SystemClock().now() > expired.header.expires_at)
    return {
        "now": "/portal/now",
        "path": f"/portal/messages/{waiting.header.id}/path",
        "path-arrived": f"/portal/messages/{arrived.header.id}/path",
        "dead-letters": "/portal/dead-letters",
        "dead-letter": f"/portal/dead-letters/{delivery_of(world, dead[0]).number}",
        "partners": "/portal/partners",
        "flows": "/portal/flows",
        "services": "/portal/services",
        "pause": f"/portal/services/{LABOUR_ECHO}/pause",
        "alarms": "/portal/alarms",
    }


def sign_in(page: Page, world: World, role: Role = Role.AUDITOR) -> None:
    """Sign in as people do."""
    page.goto(f"{world.url}/portal/sign-in")
    page.locator("#token").fill(token_of(world, role, "王芳"))
    page.locator("main button").click()


def main(folder: Path | None) -> None:
    """Take the pictures."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        pki = make_served_pki(work / "pki")
        with (
            serve(pki, PASSPHRASE),
            running_world(work / "world", pki, checkpoint_seconds="1") as world,
            running_bureaus(world) as bureaus,
            running_chromium(work) as browser,
        ):
            message_id = ask_for_proof(bureaus)
            wait_for_stamp(world)
            story = f"/portal/messages/{message_id}"
            _take(browser, world, story, IMAGES / "portal-story.png", language="zh-CN", size="picture")
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                _take_all(browser, world, message_id, folder)
            _take_operators(browser, world, make_outage(world), folder)


def _take_all(browser: Browser, world: World, message_id: str, folder: Path) -> None:
    pages = {
        "search": "/portal/messages",
        "filters": "/portal/messages?state=processed",
        "story": f"/portal/messages/{message_id}",
        "conversation": f"/portal/conversations/{message_id}",
        "log": "/portal/log",
        "problem": "/portal/messages/01900000-0000-7000-8000-000000000000",
    }
    for language in ("zh-CN", "en"):
        for size in _SIZES:
            for name, path in pages.items():
                _take(
                    browser,
                    world,
                    path,
                    folder / f"{name}-{language}-{size}.png",
                    language=language,
                    size=size,
                )
            context = browser.new_context(locale=language, viewport=_viewport(size))
            page = context.new_page()
            page.goto(f"{world.url}/portal/sign-in")
            page.locator("#token").fill("wrong")
            page.locator("main button").click()
            page.screenshot(path=folder / f"sign-in-{language}-{size}.png", full_page=True)
            context.close()


def _take_operators(browser: Browser, world: World, pages: Mapping[str, str], folder: Path | None) -> None:
    operators = {"role": Role.OPERATOR, "language": "zh-CN", "size": "operators"}
    for name in ("now", "path", "partners"):
        _take(browser, world, pages[name], IMAGES / f"portal-{name}.png", **operators)  # type: ignore[arg-type]  # as there
    _take_preview(browser, world, IMAGES / "portal-replay.png", "zh-CN", "operators")
    if folder is None:
        return
    for language in ("zh-CN", "en"):
        for size in _SIZES:
            for name, path in pages.items():
                file = folder / f"{name}-{language}-{size}.png"
                _take(browser, world, path, file, role=Role.OPERATOR, language=language, size=size)
            _take_preview(browser, world, folder / f"replay-{language}-{size}.png", language, size)


def _take_preview(browser: Browser, world: World, file: Path, language: str, size: str) -> None:
    context = browser.new_context(locale=language, viewport=_viewport(size))
    page = context.new_page()
    sign_in(page, world, Role.OPERATOR)
    page.goto(f"{world.url}/portal/dead-letters")
    page.locator("button[name=all][value='1']").first.click()
    page.screenshot(path=file, full_page=size in _SIZES)
    context.close()


def _take(
    browser: Browser,
    world: World,
    path: str,
    file: Path,
    *,
    language: str,
    size: str = "desk",
    role: Role = Role.AUDITOR,
) -> None:
    context = browser.new_context(locale=language, viewport=_viewport(size))
    page = context.new_page()
    sign_in(page, world, role)
    page.goto(world.url + path)
    page.screenshot(path=file, full_page=size in _SIZES)
    context.close()


def _viewport(size: str) -> ViewportSize:
    width, height = (_SIZES | {"operators": _OPERATORS_SIZE}).get(size, _PICTURE_SIZE)
    return {"width": width, "height": height}


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
