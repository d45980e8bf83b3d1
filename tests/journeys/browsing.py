# SPDX-License-Identifier: Apache-2.0
"""People with a real Chromium: both languages, a desk and a phone, and what has to hold for every page.

Source: WCAG 2.2 level AA, as far as axe-core can tell; 1.4.10 (reflow) at 375 px.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from hub.accounts import Role
from hub.errors import Language
from tests.journeys.portal import token_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.journeys.world import World

DESK, PHONE = (1200, 900), (375, 800)
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
both_languages = pytest.mark.parametrize("language", list(Language))
both_sizes = pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])


def opened(
    chromium: Browser, language: Language, size: tuple[int, int] = DESK, **options: Any
) -> BrowserContext:
    width, height = size
    return chromium.new_context(locale=language.value, viewport={"width": width, "height": height}, **options)


def sign_in(page: Page, world: World, role: Role = Role.AUDITOR) -> None:
    page.goto(f"{world.url}/portal/sign-in")
    page.locator("#token").fill(token_of(world, role))
    page.locator("main button").click()


def problems(page: Page) -> list[str]:
    """Return what axe finds wrong, what it cannot decide left out."""
    found = Axe().run(page, options=_RULES).response["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]


def require_good(page: Page) -> None:
    """Require what holds for every page."""
    assert problems(page) == []
    wide, shown = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert wide <= shown, f"{page.url} has to be scrolled sideways: {wide} > {shown}"
    assert page.locator("h1").count() == 1


def tab_to(page: Page, selector: str) -> None:
    """Press the tab key until an element has the focus, and require that it shows."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid", f"the focus on {selector} cannot be seen"
            return
    raise AssertionError(f"{selector} cannot be reached with the tab key")
