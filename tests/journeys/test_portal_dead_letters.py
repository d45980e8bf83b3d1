# SPDX-License-Identifier: Apache-2.0
"""A department is down, messages die, and an operator deals with them in the portal."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING

import pytest

from hub.accounts import Role
from hub.clock import SystemClock, day_in_china
from hub.errors import Language, error_kinds
from hub.exchange import ExchangeState, What
from hub.outbox import DeadLetterSearch, DeliveryState
from hub.tlog import EntryEvent
from tests.journeys.departments import FEDERATION_ECHO, LABOUR_ECHO
from tests.journeys.outages import delivery_of, department_down, make_dead, queue, wait_until
from tests.journeys.portal import PORTAL, Visit, text_of, visiting
from tests.journeys.serving import wait_for
from tests.journeys.world import PURPOSE

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2

    from hub.envelope import Envelope
    from tests.journeys.world import World

LETTERS = f"{PORTAL}/dead-letters"
SECONDS = timedelta(seconds=4)
REASON = "sent again by telephone, case closed"


@pytest.fixture
def operator(world: World) -> Iterator[Visit]:
    with visiting(world, Role.OPERATOR) as visit:
        yield visit


@pytest.fixture(autouse=True)
def tidy(world: World) -> Iterator[None]:
    """Leave no dead letter to the next test."""
    yield
    for each in world.hub.outbox.search(_everything()).letters:
        world.hub.dead_letters.close([each.number], by="tests", reason="the test is over")


def _everything() -> DeadLetterSearch:
    return DeadLetterSearch(most=500)


def fields_of(page: httpx2.Response, action: str) -> dict[str, str]:
    """Return what the form of a page that goes to `action` would send, its ticks left out."""
    form = page.text.partition(f'action="{action}"')[2].partition("</form>")[0]
    assert form, f"the page has no form for {action}"
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form)
    return {name: unescape(value) for name, value in found}


def tick(world: World, *requests: Envelope) -> dict[str, str]:
    """Return the fields of ticked boxes."""
    return {f"letter-{delivery_of(world, each).number}": "1" for each in requests}


def preview(operator: Visit, **form: str) -> httpx2.Response:
    page = operator.post(f"{LETTERS}/preview", {"form_token": operator.form_token()} | form)
    assert page.status_code == 200
    return page


class TestList:
    def test_a_dead_letter_says_why_what_cures_it_and_every_try(self, world: World, operator: Visit) -> None:
        [request] = make_dead(world)
        listed = operator.get(LETTERS)
        assert request.header.id in listed.text
        page = operator.get(f"{LETTERS}/{delivery_of(world, request).number}")
        kind = error_kinds()["exchange.undeliverable"]
        for said in (
            kind.message[Language.EN],
            kind.cure[Language.EN],
            kind.code,
            "HTTP 503",
            "The department that answers",
            "Try 1 failed",
            "Try 3 failed",
            "Dead letter: nobody tries any more",
            request.container_sha256,
        ):
            assert said in text_of(page.text), said
        for secret in (PURPOSE.case, PURPOSE.official):
            assert secret not in page.text
        [reading] = world.hub.readings.list(message_id=request.header.id)
        assert (reading.what, reading.account) == (What.PATH, "somebody")

    def test_filters_narrow_down(self, world: World, operator: Visit) -> None:
        [request] = make_dead(world)
        today = day_in_china(SystemClock().now())

        def finds(query: str) -> bool:
            page = operator.get(f"{LETTERS}?{query}")
            assert page.status_code == 200
            return request.header.id in page.text

        assert finds("")
        assert finds(f"service={LABOUR_ECHO}&code=exchange.undeliverable")
        assert finds(f"sender={request.header.sender}&recipient={request.header.recipient}")
        assert finds(f"first_day={today}&last_day={today}")
        assert not finds(f"service={FEDERATION_ECHO}")
        assert not finds("code=exchange.expired")
        assert not finds(f"last_day={today - timedelta(days=1)}")
        assert not finds("state=closed")

    @pytest.mark.parametrize(
        "query",
        [
            "service=<script>",
            "code=x",
            "sender=1",
            "recipient=2",
            "state=waiting",
            "first_day=never",
            "last_day=2026-02-30",
            "first_day=2026-02-02&last_day=2026-02-01",
            "cursor=-1",
        ],
    )
    def test_a_filter_that_is_none_says_so(self, operator: Visit, query: str) -> None:
        page = operator.get(f"{LETTERS}?{query}")
        assert page.status_code == 422
        assert "There is a problem" in text_of(page.text)
        assert "<script>" not in page.text

    @pytest.mark.parametrize("number", ["0", "x", "99999999", "9" * 30, "1'--"])
    def test_a_number_that_is_none_is_said_so(self, operator: Visit, number: str) -> None:
        page = operator.get(f"{LETTERS}/{number}")
        assert (page.status_code, "exchange.dead_letter_unknown" in page.text) == (404, True)

    def test_what_never_died_is_no_dead_letter(self, world: World, operator: Visit) -> None:
        request = queue(world)
        wait_until(world, [request], DeliveryState.DONE)
        page = operator.get(f"{LETTERS}/{delivery_of(world, request).number}")
        assert page.status_code == 404


class TestReplay:
    def test_one_is_delivered_again_and_ends_well(self, world: World, operator: Visit) -> None:
        [request] = make_dead(world)
        calls = len(world.departments.adapter.calls)
        detail = operator.get(f"{LETTERS}/{delivery_of(world, request).number}")
        asked = preview(operator, **fields_of(detail, f"{LETTERS}/preview"))
        assert "1 message will be delivered again" in text_of(asked.text)
        assert delivery_of(world, request).state is DeliveryState.DEAD, "a preview changes nothing"
        done = operator.post(f"{LETTERS}/replay", fields_of(asked, f"{LETTERS}/replay"))
        assert "1 message is on its way again" in text_of(done.text)
        wait_until(world, [request], DeliveryState.DONE)
        assert len(world.departments.adapter.calls) == calls + 1
        record = world.hub.archive.exchange(request.header.id)
        assert record.state is ExchangeState.PROCESSED
        assert EntryEvent.REPLAYED in [each.event for each in world.entries(request)]
        path = text_of(operator.get(f"{PORTAL}/messages/{request.header.id}/path").text)
        for said in ("Try 3 failed", "An operator had it delivered again", "Try 4: delivered"):
            assert said in path, said
        after = text_of(operator.get(f"{LETTERS}/{delivery_of(world, request).number}").text)
        assert "No dead letter any more" in after
        assert "last by somebody" in after

    def test_all_that_were_found_are_replayed_but_those_that_cannot(
        self, world: World, operator: Visit
    ) -> None:
        [expired] = make_dead(world, expires_at=SystemClock().now() + SECONDS)
        dead = make_dead(world, 3)
        wait_for(lambda: SystemClock().now() > expired.header.expires_at)
        form = fields_of(operator.get(f"{LETTERS}?service={LABOUR_ECHO}"), f"{LETTERS}/preview")
        asked = preview(operator, **form, all="1")
        said = text_of(asked.text)
        kind = error_kinds()["exchange.expired"]
        for each in ("3 messages will be delivered again", "1 cannot be delivered again", kind.code):
            assert each in said, each
        assert kind.message[Language.EN] in said
        assert expired.header.id in asked.text
        # What cannot be delivered again may be closed from here.
        closing = operator.post(f"{LETTERS}/closing", fields_of(asked, f"{LETTERS}/closing"))
        assert "Close 1 dead letter" in text_of(closing.text)
        # What dies after the page was shown is not what was confirmed.
        [later] = make_dead(world)
        done = operator.post(f"{LETTERS}/replay", fields_of(asked, f"{LETTERS}/replay"))
        shown = text_of(done.text)
        assert "3 messages are on their way again" in shown
        assert "1 was left as it is" in shown
        wait_until(world, dead, DeliveryState.DONE)
        assert delivery_of(world, expired).state is DeliveryState.DEAD
        assert delivery_of(world, later).state is DeliveryState.DEAD

    def test_sending_the_confirmation_twice_delivers_once(self, world: World, operator: Visit) -> None:
        [request] = make_dead(world)
        asked = preview(operator, **tick(world, request))
        form = fields_of(asked, f"{LETTERS}/replay")
        operator.post(f"{LETTERS}/replay", form)
        wait_until(world, [request], DeliveryState.DONE)
        again = operator.post(f"{LETTERS}/replay", form)
        assert "0 messages are on their way again" in text_of(again.text)
        events = [each.event for each in world.entries(request)]
        assert events.count(EntryEvent.REPLAYED) == 1

    def test_a_department_that_is_still_down_makes_it_a_dead_letter_again(
        self, world: World, operator: Visit
    ) -> None:
        [request] = make_dead(world)
        with department_down(world):
            asked = preview(operator, **tick(world, request))
            form = fields_of(asked, f"{LETTERS}/replay")
            operator.post(f"{LETTERS}/replay", form)
            wait_for(lambda: delivery_of(world, request).attempts > 3)
        assert delivery_of(world, request).replays == 1

    def test_who_chose_nothing_is_asked_to_choose(self, world: World, operator: Visit) -> None:
        make_dead(world)
        for action in ("preview", "closing"):
            page = operator.post(f"{LETTERS}/{action}", {"form_token": operator.form_token()})
            assert page.status_code == 422
            assert "Choose at least one" in text_of(page.text)

    @pytest.mark.parametrize("form", [{"numbers": "1 x"}, {"letter-": "1"}, {"all": "1", "before": "soon"}])
    def test_a_form_that_was_bent_does_nothing(self, operator: Visit, form: dict[str, str]) -> None:
        page = operator.post(f"{LETTERS}/replay", {"form_token": operator.form_token()} | form)
        assert (page.status_code, "portal.form_invalid" in page.text) == (400, True)


class TestClosing:
    def test_a_dead_letter_is_closed_with_a_reason_and_stays_on_record(
        self, world: World, operator: Visit
    ) -> None:
        first, second = make_dead(world, 2)
        form = {"form_token": operator.form_token()} | tick(world, first, second)
        asked = operator.post(f"{LETTERS}/closing", form)
        given = fields_of(asked, f"{LETTERS}/close")
        silent = operator.post(f"{LETTERS}/close", given | {"reason": " because "})
        assert silent.status_code == 422
        assert "Say why" in text_of(silent.text)
        assert delivery_of(world, first).state is DeliveryState.DEAD
        done = operator.post(f"{LETTERS}/close", given | {"reason": f"<i>{REASON}"})
        assert "2 dead letters were closed" in text_of(done.text)
        kept = delivery_of(world, first)
        assert (kept.state, kept.closed_by, kept.closed_reason) == (
            DeliveryState.CLOSED,
            "somebody",
            f"<i>{REASON}",
        )
        assert first.header.id not in operator.get(LETTERS).text
        closed = operator.get(f"{LETTERS}?state=closed")
        assert first.header.id in closed.text
        assert "<i>" not in closed.text
        assert world.hub.vault.read(first.container_sha256) == first.raw
        again = operator.post(f"{LETTERS}/close", given | {"reason": REASON})
        assert "2 were left as they are" in text_of(again.text)


class TestRights:
    def test_an_auditor_reads_and_does_nothing(self, world: World) -> None:
        [request] = make_dead(world)
        with visiting(world, Role.AUDITOR) as auditor:
            number = delivery_of(world, request).number
            for path in (LETTERS, f"{LETTERS}/{number}"):
                page = auditor.get(path)
                assert page.status_code == 200
                assert '<button type="submit">Deliver' not in page.text
            form = {"form_token": auditor.form_token(), "numbers": str(number), "reason": REASON}
            for action in ("preview", "replay", "closing", "close"):
                assert auditor.post(f"{LETTERS}/{action}", form).status_code == 403
        assert delivery_of(world, request).state is DeliveryState.DEAD

    @pytest.mark.parametrize("action", ["preview", "replay", "closing", "close"])
    def test_another_site_does_nothing_in_an_operators_name(
        self, world: World, operator: Visit, action: str
    ) -> None:
        [request] = make_dead(world)
        token = operator.form_token()
        form = {"numbers": str(delivery_of(world, request).number), "reason": REASON}
        path = f"{LETTERS}/{action}"
        assert operator.post(path, form).status_code == 403
        assert operator.post(path, form | {"form_token": "0" * 64}).status_code == 403
        hostile = form | {"form_token": token}
        assert operator.post(path, hostile, origin="https://evil.example").status_code == 403
        assert delivery_of(world, request).state is DeliveryState.DEAD
