# SPDX-License-Identifier: Apache-2.0
"""The steps of docs/register-an-adapter.md, as a person takes them in a browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.adapters.wizard.consoles import PASSWORD, PEOPLE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.adapters.wizard.consoles import RunningConsole

SAMPLE = {"country_code": "DE", "vat_number": "100"}


def _seen(name: str) -> None:
    """Look at a page; whoever takes pictures does more."""
    del name


def sign_in(page: Page, console: RunningConsole, name: str = PEOPLE[0]) -> None:
    """Step 2: sign in."""
    page.goto(f"{console.url}/sign-in")
    page.locator("#name").fill(name)
    page.locator("#password").fill(PASSWORD)
    page.locator("main button").click()


def go_on(page: Page) -> None:
    page.locator("main button:not(.link):not(.quiet)").last.click()


def walk_to_answer(
    page: Page, console: RunningConsole, wsdl: Path, address: str, seen: Callable[[str], None] = _seen
) -> None:
    """Steps 3 to 7: from the file to the system's first answer."""
    page.goto(f"{console.url}/")
    page.locator("main a.button").click()
    page.locator("#way-soap").check()
    page.locator("#file-soap").set_input_files(wsdl)
    seen("source")
    go_on(page)
    page.locator("input[name=operation][value=checkVat]").check()
    seen("operation")
    go_on(page)
    page.locator("#code").fill("vat-registration")
    page.locator("#contract").select_option("vat-registration/v1")
    page.locator("#address").fill(address)
    seen("service")
    go_on(page)
    seen("question")
    go_on(page)
    page.locator("#request").fill(json.dumps(SAMPLE, indent=2))
    page.locator("button[value=ask]").click()
    seen("sample")


def walk_to_tests(page: Page, seen: Callable[[str], None] = _seen) -> None:
    """Step 8: map the answer, until it keeps to the contract."""
    page.locator("button[value=on]").click()
    seen("answer-before")
    page.locator("[name='from/is_registered']").fill("answer.valid")
    page.locator("[name='from/checked_on']").fill("answer.requestDate")
    page.locator("button[value=try]").click()
    seen("answer")


def walk_to_end(page: Page, seen: Callable[[str], None] = _seen) -> None:
    """Steps 9 and 10: test it, and switch it on or propose it."""
    page.locator("button[value=on]").click()
    page.locator("button[value=probe]").click()
    page.locator("button[value=trial]").click()
    seen("tests")
    page.locator("p.actions a.button").click()
    page.locator("#note").fill("VIES, first version")
    seen("activation")
    page.locator("main button:not(.link):not(.quiet)").last.click()
    seen("versions")
