# SPDX-License-Identifier: Apache-2.0
"""Finding messages in the portal, and who is written down for having looked."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from hub.accounts import Role
from hub.clock import SystemClock, day_in_china
from hub.exchange import What
from tests.journeys.departments import EMPLOYMENT, FEDERATION_ECHO, LABOUR_ECHO, REGISTER
from tests.journeys.portal import PORTAL, Visit, text_of, visiting
from tests.journeys.world import PURPOSE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.envelope import Envelope
    from tests.journeys.world import World

SEARCH = f"{PORTAL}/messages"


@pytest.fixture
def auditor(world: World) -> Iterator[Visit]:
    with visiting(world, Role.AUDITOR) as visit:
        yield visit


def of_case(world: World, case: str, **changes: object) -> Envelope:
    request = world.request(purpose=replace(PURPOSE, case=case), **changes)  # type: ignore[arg-type]  # as there
    assert world.send(request.raw).status == 200
    return request


def listed(page: str) -> list[str]:
    """Return the messages a page lists, in its order."""
    return re.findall(r'href="/portal/messages/([0-9a-f-]{36})"', page)


def test_a_case_number_finds_its_messages_however_it_is_written(world: World, auditor: Visit) -> None:
    mine = [of_case(world, "ZX-2026-7781") for _ in range(2)]
    of_case(world, "ZX-2026-7782")
    for written in ("ZX-2026-7781", "  zx-2026-7781 ", "ＺＸ-2026-7781"):
        form = {"form_token": auditor.form_token(), "kind": "case", "number": written}
        response = auditor.post(SEARCH, form)
        assert response.status_code == 200
        assert listed(response.text) == [each.header.id for each in reversed(mine)]


def test_nothing_found_is_said(auditor: Visit) -> None:
    form = {"form_token": auditor.form_token(), "kind": "holder", "number": "510108199001011230"}
    page = text_of(auditor.post(SEARCH, form).text)
    assert "Nothing was found." in page


def test_the_number_stands_in_no_address_and_no_log(world: World, auditor: Visit) -> None:
    case = "ZX-2026-SECRET"
    request = of_case(world, case)
    form = {"form_token": auditor.form_token(), "kind": "case", "number": case}
    with capture_logs() as log:
        response = auditor.post(SEARCH, form)
    assert listed(response.text) == [request.header.id]
    assert "location" not in response.headers
    assert case not in repr(log)
    addresses = re.findall(r'(?:href|action)="([^"]*)"', response.text)
    assert not [each for each in addresses if case in each]
    [reading] = world.hub.readings.list(message_id=request.header.id)
    assert (reading.what, reading.detail, reading.account) == (What.SEARCH, "case", "somebody")
    assert case not in repr(reading)


def test_an_unknown_kind_of_number_is_refused(auditor: Visit) -> None:
    form = {"form_token": auditor.form_token(), "kind": "shoe-size", "number": "42"}
    response = auditor.post(SEARCH, form)
    assert (response.status_code, "exchange.search_invalid" in response.text) == (400, True)


def test_many_messages_of_one_case_come_page_by_page(world: World, auditor: Visit) -> None:
    sent = {of_case(world, "ZX-2026-MANY").header.id for _ in range(53)}
    form = {"form_token": auditor.form_token(), "kind": "case", "number": "ZX-2026-MANY"}
    first = auditor.post(SEARCH, form)
    [cursor] = re.findall(r'name="cursor" value="([^"]*)"', first.text)
    second = auditor.post(SEARCH, form | {"cursor": cursor})
    assert (len(listed(first.text)), len(listed(second.text))) == (50, 3)
    assert {*listed(first.text), *listed(second.text)} == sent
    assert 'name="cursor"' not in second.text


def test_filters_narrow_down_and_can_be_kept_as_a_bookmark(world: World, auditor: Visit) -> None:
    asked = of_case(world, "1")
    other = world.request(FEDERATION_ECHO, sender=EMPLOYMENT)
    assert world.send(other.raw).status == 200
    refused = world.request(purpose=replace(PURPOSE, item="000000000009"))
    assert world.send(refused.raw).status == 403
    today = day_in_china(SystemClock().now())
    yesterday = today - timedelta(days=1)

    def finds(query: str) -> set[str]:
        response = auditor.get(f"{SEARCH}?{query}")
        assert response.status_code == 200
        return {*listed(response.text)} & {asked.header.id, other.header.id, refused.header.id}

    everything = {asked.header.id, other.header.id, refused.header.id}
    assert finds("") == everything
    assert finds(f"sender={EMPLOYMENT}") == {other.header.id}
    assert finds(f"recipient={REGISTER}") == {other.header.id}
    assert finds(f"service={LABOUR_ECHO}") == {asked.header.id, refused.header.id}
    assert finds("state=refused") == {refused.header.id}
    assert finds(f"state=processed&service={LABOUR_ECHO}") == {asked.header.id}
    assert finds(f"first_day={today}&last_day={today}") == everything
    assert finds(f"last_day={yesterday}") == set()
    assert finds("unknown=x&sender=&first_day=") == everything


@pytest.mark.parametrize(
    "query",
    [
        "sender=x",
        "recipient=11510108MB1A00002M",
        "service=<script>",
        "state=lost",
        "first_day=yesterday",
        "first_day=2026-02-30",
        "last_day=99999-01-01",
        "last_day=20260101",
        "first_day=2026-02-02&last_day=2026-02-01",
    ],
)
def test_a_filter_that_is_none_says_so(auditor: Visit, query: str) -> None:
    response = auditor.get(f"{SEARCH}?{query}")
    assert response.status_code == 422
    assert "There is a problem" in text_of(response.text)
    assert response.text.count('aria-invalid="true"') == 1


def test_a_cursor_somebody_made_up_is_refused(auditor: Visit) -> None:
    response = auditor.get(f"{SEARCH}?cursor=abc")
    assert (response.status_code, "exchange.search_invalid" in response.text) == (400, True)


def test_a_long_list_can_be_walked_to_its_end(world: World, auditor: Visit) -> None:
    for _ in range(3):
        of_case(world, "1")
    path, seen = f"{SEARCH}?service={LABOUR_ECHO}", []
    while path:
        page = auditor.get(path).text
        seen += listed(page)
        following = re.findall(r'rel="next" href="([^"]*)"', page)
        path = unescape(following[0]) if following else ""
        assert not path or "service=" in path
    assert len(seen) == len(set(seen))
    everything = {each.message_id for each in world.hub.archive.latest(500) if each.service == LABOUR_ECHO}
    assert everything <= {*seen}


def test_every_look_is_written_down_before_anything_is_shown(world: World, auditor: Visit) -> None:
    request = of_case(world, "1")
    base = f"{PORTAL}/messages/{request.header.id}"
    for path in (base, f"{base}/containers/answer", f"{base}/evidence"):
        assert auditor.get(path).status_code == 200
    readings = world.hub.readings.list(message_id=request.header.id)
    looks = [(each.what, each.detail) for each in reversed(readings)]
    assert looks == [(What.STORY, ""), (What.CONTAINER, "answer"), (What.EVIDENCE, "")]
    assert {each.account for each in readings} == {"somebody"}
    shown = text_of(auditor.get(base).text)
    for said in ("opened this page", "read a container answer", "took the evidence bundle"):
        assert said in shown, said


def test_what_was_not_shown_is_not_written_down(world: World) -> None:
    request = of_case(world, "1")
    with visiting(world, Role.OPERATOR) as operator:
        assert operator.get(f"{PORTAL}/messages/{request.header.id}").status_code == 403
    assert world.hub.readings.list(message_id=request.header.id) == ()


def test_the_evidence_of_a_conversation_is_written_down_for_each_message(
    world: World, auditor: Visit
) -> None:
    first = of_case(world, "1")
    second = of_case(world, "1", conversation=first.header.id)
    assert auditor.get(f"{PORTAL}/conversations/{first.header.id}/evidence").status_code == 200
    for each in (first, second):
        [reading] = world.hub.readings.list(message_id=each.header.id)
        assert reading.what is What.EVIDENCE
