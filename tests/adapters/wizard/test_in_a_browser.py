# SPDX-License-Identifier: Apache-2.0
"""The wizard in a real Chromium: the steps of docs/register-an-adapter.md, for everybody, on any screen.

Source: WCAG 2.2 level AA, as far as axe-core can tell; 1.4.10 (reflow) at 375 px.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from adapters.ports import Call
from hub.clock import SystemClock
from hub.envelope import Purpose
from hub.errors import Language
from hub.identifiers import ServiceId, new_message_id, subsystem_of
from tests.adapters.wizard.consoles import (
    PASSWORD,
    PEOPLE,
    SERVICE,
    running_console,
    running_vat_register,
)
from tests.adapters.wizard.walking import sign_in, walk_to_answer, walk_to_end, walk_to_tests
from tests.chromium import running_chromium
from tests.journeys.browsing import DESK, PHONE, opened, require_good, tab_to
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.adapters.wizard.consoles import RunningConsole, VatRegister

WSDL = Path(__file__).parents[4] / "shared" / "data" / "wsdl" / "vies" / "checkVatService.wsdl"
PAGE = Path(__file__).parents[3] / "docs" / "register-an-adapter.md"
needs_wsdl = pytest.mark.skipif(not WSDL.exists(), reason="the VIES WSDL of ../shared/data/wsdl is not here")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if shutil.which("chromium") is None:
        pytest.skip("Debian's package chromium is not installed")
    with running_chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture(scope="module")
def vat_register() -> Iterator[VatRegister]:
    with running_vat_register() as running:
        yield running


@pytest.fixture
def console(tmp_path: Path) -> Iterator[RunningConsole]:
    with running_console(tmp_path / "console") as running:
        yield running


def asked(console: RunningConsole, number: str) -> dict[str, object]:
    """Ask the service that was registered, as a message that arrives does."""
    service = ServiceId(SERVICE)
    message_id = new_message_id(SystemClock().now())
    purpose = Purpose(item="1", case="2", legal_basis="3", official="4", post="5")
    call = Call(message_id, message_id, service, subsystem_of(service), purpose, 10)
    answer = console.live[service].adapter.answer({"country_code": "DE", "vat_number": number}, call)
    return dict(answer.data)


@needs_wsdl
@pytest.mark.parametrize(("language", "size"), [(Language.EN, DESK), (Language.ZH, PHONE)])
def test_somebody_registers_the_vies_wsdl_as_the_page_says(
    chromium: Browser,
    console: RunningConsole,
    vat_register: VatRegister,
    language: Language,
    size: tuple[int, int],
) -> None:
    with opened(chromium, language, size) as context:
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))

        def seen(name: str) -> None:
            del name
            assert page.locator("html").get_attribute("lang") == language.value
            page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            require_good(page)

        page.goto(f"{console.url}/")
        seen("sign-in")
        sign_in(page, console)
        walk_to_answer(page, console, WSDL, vat_register.url, seen)
        assert '"vatNumber": "100"' in page.locator("#answer").input_value()
        page.locator("button[value=on]").click()
        assert page.locator(".verdict-bar.bad").is_visible(), "two fields have no value yet"
        page.go_back()
        walk_to_tests(page, seen)
        assert page.locator(".verdict-bar.good").is_visible()
        walk_to_end(page, seen)
        page.goto(f"{console.url}/")
        seen("home")
        assert [text for text in said if "Content Security Policy" in text] == []
    shown = asked(console, "100")
    assert (shown["is_registered"], shown["name"], shown["checked_on"]) == (
        True,
        "Musterwerk GmbH",
        "2026-03-01",
    )
    assert asked(console, "7")["name"] is None
    [version] = console.bench.register.versions(ServiceId(SERVICE))
    assert (version.author, version.note, version.has_passed) == (PEOPLE[0], "VIES, first version", True)


@needs_wsdl
def test_without_scripts_a_draft_survives_a_restart_and_steps_are_taken_back(
    chromium: Browser, vat_register: VatRegister, tmp_path: Path
) -> None:
    port = free_port()
    with opened(chromium, Language.EN, java_script_enabled=False) as context:
        page = context.new_page()
        with running_console(tmp_path / "console", port=port) as console:
            sign_in(page, console)
            walk_to_answer(page, console, WSDL, vat_register.url)
            walk_to_tests(page)
            page.locator("[name='from/is_registered']").fill("answer.lost")
            page.locator("button[value=try]").click()
            assert page.locator(".verdict-bar.bad").is_visible()
            page.reload()
            assert page.locator("[name='from/is_registered']").input_value() == "answer.lost"
            address = page.url
        with running_console(tmp_path / "console", port=port) as console:
            page.goto(address.partition("#")[0])
            assert "/sign-in" in page.url, "a restart signs everybody out"
            sign_in(page, console)
            page.goto(address)
            assert page.locator("[name='from/is_registered']").input_value() == "answer.lost"
            page.get_by_role("button", name="Undo: Answer").click()
            assert page.locator("[name='from/is_registered']").input_value() == "answer.valid"
            assert page.locator(".verdict-bar.good").is_visible()
            walk_to_end(page)
            assert asked(console, "100")["is_registered"] is True


@needs_wsdl
def test_a_keyboard_is_enough_to_map_a_field(
    chromium: Browser, console: RunningConsole, vat_register: VatRegister
) -> None:
    with opened(chromium, Language.EN) as context:
        page = context.new_page()
        page.goto(f"{console.url}/")
        tab_to(page, "#name")
        page.keyboard.type(PEOPLE[0])
        tab_to(page, "#password")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{console.url}/")
        walk_to_answer(page, console, WSDL, vat_register.url)
        page.locator("button[value=on]").click()
        tab_to(page, "[name='from/is_registered']")
        page.keyboard.type("answer.valid")
        tab_to(page, "[name='from/checked_on']")
        page.keyboard.type("answer.requestDate")
        # The preview follows what is typed; nothing is kept before the button.
        page.locator("#preview .verdict-bar.good").wait_for()
        assert page.locator("#at-checked-on-told").inner_text() == "2026-03-01"
        assert page.get_by_role("button", name="Undo: Answer").count() == 0
        tab_to(page, "button[value=try]")
        page.keyboard.press("Enter")
        page.wait_for_url("**/answer#preview")
        assert page.locator(".verdict-bar.good").is_visible()


@needs_wsdl
def test_with_four_eyes_another_person_approves_and_it_can_be_taken_back(
    chromium: Browser, vat_register: VatRegister, tmp_path: Path
) -> None:
    with (
        running_console(tmp_path / "console", four_eyes=True) as console,
        opened(chromium, Language.EN) as context,
    ):
        page = context.new_page()
        sign_in(page, console)
        walk_to_answer(page, console, WSDL, vat_register.url)
        walk_to_tests(page)
        walk_to_end(page)
        assert ServiceId(SERVICE) not in console.live, "it was proposed and answers nothing"
        assert page.locator("button[value=approve]").count() == 0, "the author may not"
        page.get_by_role("button", name="Sign out").click()
        sign_in(page, console, PEOPLE[1])
        page.goto(f"{console.url}/adapters/{SERVICE}/versions")
        require_good(page)
        page.locator("button[value=approve]").click()
        page.locator("button[value=activate]").click()
        assert asked(console, "100")["is_registered"] is True
        page.get_by_role("button", name="Take it out of service").click()
        assert ServiceId(SERVICE) not in console.live
        require_good(page)
        page.locator("th a").first.click()
        require_good(page)


def test_the_page_names_what_is_typed_in_the_test() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for typed in (
        "checkVat",
        "vat-registration",
        "vat-registration/v1",
        "answer.valid",
        "answer.requestDate",
        '"vat_number": "100"',
        "VIES, first version",
    ):
        assert typed in page, typed
