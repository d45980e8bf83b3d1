# SPDX-License-Identifier: Apache-2.0
"""The operator's console in a real Chromium: a department is down, and somebody deals with it at night."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.accounts import Role
from hub.clock import SystemClock
from hub.errors import Language
from hub.outbox import DeadLetterSearch, DeliveryState
from hub.registry import DeliveryPolicy
from tests.journeys.browsing import both_languages, both_sizes, opened, require_good, sign_in, tab_to
from tests.journeys.departments import LABOUR_ECHO
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from hub.envelope import Envelope
    from tests.journeys.world import World

SLOW = DeliveryPolicy(first_pause_seconds=0.05, factor=3, tries=9, breaker_failures=1000)


@pytest.fixture(scope="module")
def outage(world: World, chromium: Browser) -> Iterator[dict[str, Envelope]]:
    """One message of every kind there is to look at."""
    del chromium
    arrived = queue(world)
    wait_until(world, [arrived], DeliveryState.DONE)
    dead, closed = make_dead(world, 2)
    world.hub.dead_letters.close(
        [delivery_of(world, closed).number], by="王芳", reason="sent by post instead"
    )
    set_policy(world, SLOW)
    with department_down(world):
        waiting = queue(world)
        wait_for(lambda: delivery_of(world, waiting).attempts > 3)
        world.hub.alarms.raise_alarm("log.not_sealed", "console", "the disk is full")
        wait_for(lambda: any(each.subject == "console" for each in world.hub.alarms.alarms()))
        yield {"arrived": arrived, "dead": dead, "closed": closed, "waiting": waiting}
    set_policy(world, DeliveryPolicy())
    world.hub.alarms.clear("log.not_sealed", "console")


@pytest.fixture(autouse=True)
def tidy(world: World) -> Iterator[None]:
    yield
    world.hub.pauses.resume(LABOUR_ECHO, by="tests")


@both_languages
@both_sizes
def test_every_page_of_the_console_can_be_used_by_everybody(
    chromium: Browser,
    world: World,
    outage: dict[str, Envelope],
    language: Language,
    size: tuple[int, int],
) -> None:
    number = {name: delivery_of(world, each).number for name, each in outage.items()}
    with opened(chromium, language, size) as context:
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        sign_in(page, world, Role.OPERATOR)
        assert page.url.endswith("/portal/now")
        for path in (
            "/portal/now",
            "/portal/messages",
            *(f"/portal/messages/{outage[each].header.id}/path" for each in ("arrived", "waiting", "dead")),
            "/portal/dead-letters",
            "/portal/dead-letters?service=x&first_day=never",
            "/portal/dead-letters?state=closed",
            f"/portal/dead-letters/{number['dead']}",
            f"/portal/dead-letters/{number['closed']}",
            "/portal/partners",
            "/portal/flows",
            "/portal/services",
            f"/portal/services/{LABOUR_ECHO}/pause",
            "/portal/alarms?over=1",
        ):
            page.goto(world.url + path)
            page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            require_good(page)
        page.goto(f"{world.url}/portal/dead-letters")
        page.locator("button[name=all][value='1']").first.click()
        require_good(page)
        page.goto(f"{world.url}/portal/dead-letters")
        page.locator("main form[method=post] button").first.click()
        require_good(page)
        page.locator(f"#letter-{number['dead']}").check()
        page.locator("button[formaction]").first.click()
        require_good(page)
        page.locator("#reason").fill("no")
        page.locator("main form button").click()
        require_good(page)
        page.goto(f"{world.url}/portal/services/{LABOUR_ECHO}/pause")
        page.locator("#until").fill("2020-01-01T00:00")
        page.locator("#reason").fill("disks")
        page.locator("main form button").click()
        require_good(page)
        assert [text for text in said if "Content Security Policy" in text] == []


@both_languages
def test_a_keyboard_is_enough_from_sign_in_to_a_bulk_replay(
    chromium: Browser, world: World, outage: dict[str, Envelope], language: Language
) -> None:
    del outage
    world.departments.script, script = None, world.departments.script
    requests = make_dead(world, 2)
    with opened(chromium, language) as context:
        page = context.new_page()
        page.goto(f"{world.url}/portal/")
        tab_to(page, "#token")
        page.keyboard.type(token_of(world, Role.OPERATOR))
        page.keyboard.press("Enter")
        page.wait_for_url("**/portal/now")
        tab_to(page, ".counts a[href='/portal/dead-letters']")
        page.keyboard.press("Enter")
        page.wait_for_url("**/portal/dead-letters")
        for each in requests:
            tab_to(page, f"#letter-{delivery_of(world, each).number}")
            page.keyboard.press("Space")
        tab_to(page, "form[action$='/preview'] button")
        page.keyboard.press("Enter")
        page.wait_for_url("**/dead-letters/preview")
        assert all(delivery_of(world, each).state is DeliveryState.DEAD for each in requests)
        tab_to(page, "form[action$='/replay'] button")
        page.keyboard.press("Enter")
        page.wait_for_url("**/dead-letters/replay")
        require_good(page)
    wait_until(world, requests, DeliveryState.DONE)
    world.departments.script = script


def test_the_console_works_without_scripts(
    chromium: Browser, world: World, outage: dict[str, Envelope]
) -> None:
    del outage
    with opened(chromium, Language.ZH, java_script_enabled=False) as context:
        page = context.new_page()
        sign_in(page, world, Role.OPERATOR)
        page.goto(f"{world.url}/portal/services/{LABOUR_ECHO}/pause")
        page.locator("#reason").fill("更换硬盘")
        page.locator("#minutes").select_option("15")
        page.locator("main form button").click()
        assert page.url.endswith("/portal/services")
        pause = world.hub.pauses.find(LABOUR_ECHO)
        assert pause is not None
        assert (pause.reason, (pause.until - SystemClock().now()).seconds < 901) == ("更换硬盘", True)
        page.goto(f"{world.url}/portal/now")
        assert page.get_by_text("更换硬盘").is_visible()
        page.goto(f"{world.url}/portal/services")
        page.locator("form[action$='/resumption'] button").click()
        assert world.hub.pauses.find(LABOUR_ECHO) is None
        page.goto(f"{world.url}/portal/alarms")
        page.locator("form[action$='/acknowledgement'] button").first.click()
        assert "/portal/alarms#alarm-" in page.url
        require_claimed(page)


def require_claimed(page: Page) -> None:
    assert page.get_by_text("已认领").first.is_visible()


def test_nothing_dead_is_left_unsaid(world: World, outage: dict[str, Envelope], chromium: Browser) -> None:
    """The first page counts what the list shows."""
    del outage
    dead = world.hub.outbox.count(DeadLetterSearch())
    with opened(chromium, Language.EN) as context:
        page = context.new_page()
        sign_in(page, world, Role.OPERATOR)
        counted = page.locator(".counts a[href='/portal/dead-letters'] strong").inner_text()
        assert counted == str(dead)
        page.goto(f"{world.url}/portal/dead-letters")
        assert page.locator("#found").inner_text() == f"{dead} found"
