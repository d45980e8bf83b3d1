# SPDX-License-Identifier: Apache-2.0
"""Takes the pictures of the portal in docs/images: `python -m tests.portal_pictures [FOLDER]`.

It lets a proof cross in a hub of its own, with the departments of the demonstration, and opens every page in
Chromium: both languages, on a desk and on a phone. Into docs/images goes one; a folder gets them all.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.simulators.pki import serve
from hub.accounts import Role
from hub.clock import SystemClock, day_in_china
from tests.chromium import running_chromium
from tests.journeys.bureaus import running_bureaus
from tests.journeys.portal import token_of
from tests.journeys.world import running_world
from tests.pki import PASSPHRASE, make_served_pki

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

    from tests.journeys.bureaus import Bureaus
    from tests.journeys.world import World

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "portal-story.png"
_EMPLOYER = "91510108MA6C00001C"
_SERVICE = "11510108MB1A00002M/employment/disability-employment-proof"
_SIZES = {"desk": (1200, 900), "phone": (375, 800)}
_PICTURE_SIZE = (1000, 1420)


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
            _take(browser, world, story, PICTURE, language="zh-CN", size="picture")
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                _take_all(browser, world, message_id, folder)


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


def _take(
    browser: Browser, world: World, path: str, file: Path, *, language: str, size: str = "desk"
) -> None:
    context = browser.new_context(locale=language, viewport=_viewport(size))
    page = context.new_page()
    sign_in(page, world)
    page.goto(world.url + path)
    page.screenshot(path=file, full_page=size in _SIZES)
    context.close()


def _viewport(size: str) -> ViewportSize:
    width, height = _SIZES.get(size, _PICTURE_SIZE)
    return {"width": width, "height": height}


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
