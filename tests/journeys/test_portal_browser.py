# SPDX-License-Identifier: Apache-2.0
"""The portal in a real Chromium: for everybody, on any screen, by keyboard, without scripts.

Source: WCAG 2.2 level AA, as far as axe-core can tell; 1.4.10 (reflow) at 375 px.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.accounts import Role
from hub.envelope import open_envelope
from hub.errors import Language
from tests.journeys.browsing import (
    both_languages,
    both_sizes,
    opened,
    problems,
    require_good,
    sign_in,
    tab_to,
)
from tests.journeys.portal import token_of
from tests.journeys.world import PURPOSE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from hub.identifiers import MessageId
    from tests.journeys.world import World

UNKNOWN = "01900000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def answered(world: World) -> MessageId:
    request = world.request()
    assert world.send(request.raw).status == 200
    world.hub.log.checkpoint()
    return request.header.id


@pytest.fixture(scope="module")
def messages(world: World, answered: MessageId) -> tuple[MessageId, MessageId]:
    """One that was answered, and one that was refused."""
    request = world.request(contract="echo/v9")
    assert world.send(request.raw).status == 400
    return answered, request.header.id


@pytest.fixture
def at_desk(chromium: Browser) -> Iterator[Page]:
    with opened(chromium, Language.EN) as context:
        yield context.new_page()


@both_languages
@both_sizes
def test_every_page_can_be_used_by_everybody(
    chromium: Browser,
    world: World,
    messages: tuple[MessageId, MessageId],
    language: Language,
    size: tuple[int, int],
) -> None:
    answered, refused = messages
    with opened(chromium, language, size) as context:
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(f"{world.url}/portal/sign-in")
        require_good(page)
        page.locator("#token").fill("wrong")
        page.locator("main button").click()
        require_good(page)
        sign_in(page, world)
        for path in (
            "/portal/messages",
            f"/portal/messages/{answered}",
            f"/portal/messages/{refused}",
            f"/portal/conversations/{answered}",
            "/portal/log",
            f"/portal/messages/{UNKNOWN}",
            "/portal/nothing",
        ):
            page.goto(world.url + path)
            assert page.locator("html").get_attribute("lang") == language.value
            page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            require_good(page)
        page.goto(f"{world.url}/portal/messages")
        page.locator("#number").fill("nothing")
        page.locator("main button").first.click()
        require_good(page)
        page.locator("#kind").select_option("case")
        page.locator("#number").fill(PURPOSE.case)
        page.locator("main button").first.click()
        require_good(page)
        page.goto(f"{world.url}/portal/messages?state=lost&first_day=never")
        require_good(page)
        # A browser says so when a page breaks its own security policy.
        assert [text for text in said if "Content Security Policy" in text] == []


def test_axe_would_find_something(at_desk: Page) -> None:
    at_desk.set_content("<html><body><img src='x'><input></body></html>")
    assert {each.split(":")[0] for each in problems(at_desk)} >= {"image-alt", "label"}


@both_languages
def test_a_keyboard_is_enough_from_sign_in_to_download(
    chromium: Browser, world: World, answered: MessageId, language: Language, tmp_path: Path
) -> None:
    with opened(chromium, language) as context:
        page = context.new_page()
        page.goto(f"{world.url}/portal/")
        tab_to(page, "#token")
        page.keyboard.type(token_of(world, Role.AUDITOR))
        page.keyboard.press("Enter")
        page.wait_for_url("**/portal/messages")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip", (
            "the first key leads past the menus"
        )
        page.keyboard.press("Enter")
        tab_to(page, "#number")
        page.keyboard.type(answered)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/portal/messages/{answered}")
        tab_to(page, f"a[href$='/messages/{answered}/containers/answer']")
        with page.expect_download() as started:
            page.keyboard.press("Enter")
        started.value.save_as(tmp_path / "answer.asice")
    envelope = open_envelope((tmp_path / "answer.asice").read_bytes())
    assert envelope.header.in_reply_to is not None
    assert envelope.header.in_reply_to.id == answered


def test_no_script_is_needed(chromium: Browser, world: World, answered: MessageId) -> None:
    with opened(chromium, Language.ZH, java_script_enabled=False) as context:
        page = context.new_page()
        sign_in(page, world)
        page.locator("#number").fill(answered)
        page.locator("main button").first.click()
        assert page.url.endswith(f"/portal/messages/{answered}")
        report = page.locator(".container details").first
        assert not report.locator("ol").is_visible()
        report.locator("summary").click()
        assert report.locator("ol").is_visible()
        page.get_by_text("English").click()
        assert page.url.endswith(f"/portal/messages/{answered}")
        assert page.locator("html").get_attribute("lang") == "en"
        page.get_by_role("button", name="Sign out").click()
        assert page.url.endswith("/portal/sign-in")
        page.goto(f"{world.url}/portal/messages/{answered}")
        assert "/portal/sign-in" in page.url


def test_a_page_loads_nothing_from_elsewhere(at_desk: Page, world: World, answered: MessageId) -> None:
    asked: list[str] = []
    at_desk.on("request", lambda request: asked.append(request.url))
    sign_in(at_desk, world)
    at_desk.goto(f"{world.url}/portal/messages/{answered}")
    assert asked
    assert all(url.startswith(world.url) for url in asked)


def test_the_language_that_was_chosen_stays(chromium: Browser, world: World) -> None:
    with opened(chromium, Language.EN) as context:
        page = context.new_page()
        page.goto(f"{world.url}/portal/sign-in")
        page.get_by_text("中文").click()
        assert page.locator("html").get_attribute("lang") == "zh-CN"
        sign_in(page, world)
        assert page.locator("html").get_attribute("lang") == "zh-CN"


def test_one_click_marks_a_whole_number(at_desk: Page, world: World, answered: MessageId) -> None:
    sign_in(at_desk, world)
    at_desk.goto(f"{world.url}/portal/messages/{answered}")
    at_desk.locator("main code.id").first.click()
    assert at_desk.evaluate("getSelection().toString()") == answered


def test_paper_shows_the_reports_that_are_closed_on_the_screen(
    at_desk: Page, world: World, answered: MessageId, tmp_path: Path
) -> None:
    sign_in(at_desk, world)
    at_desk.goto(f"{world.url}/portal/messages/{answered}")
    at_desk.emulate_media(media="print")
    assert at_desk.locator("details ol").first.evaluate("each => each.getBoundingClientRect().height") > 100
    assert not at_desk.locator(".sections").is_visible()
    at_desk.pdf(path=tmp_path / "story.pdf")
    assert (tmp_path / "story.pdf").read_bytes().startswith(b"%PDF-")


def test_another_site_cannot_use_the_session(chromium: Browser, world: World, answered: MessageId) -> None:
    """A page of another site posts forms and frames pages; the session stays out of both."""
    with opened(chromium, Language.EN) as context:
        page = context.new_page()
        sign_in(page, world)
        elsewhere = world.url.replace("127.0.0.1", "localhost")
        hostile = context.new_page()
        hostile.route(
            f"{elsewhere}/hostile",
            lambda route: route.fulfill(
                content_type="text/html",
                body=f"<iframe src='{world.url}/portal/messages/{answered}'></iframe>"
                f"<form method=post action='{world.url}/portal/sign-out'><button>go</button></form>",
            ),
        )
        hostile.goto(f"{elsewhere}/hostile")
        frames = [frame for frame in hostile.frames if frame.parent_frame is not None]
        assert all("chrome-error" in frame.url or frame.url == "about:blank" for frame in frames), frames
        hostile.get_by_text("go").click()
        assert "portal.form_untrusted" in hostile.content()
        page.goto(f"{world.url}/portal/messages/{answered}")
        assert page.url.endswith(answered), "still signed in"
