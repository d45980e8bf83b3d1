# SPDX-License-Identifier: Apache-2.0
"""What operators see of messages, and what they never see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.accounts import Role
from hub.alarms import alarm_kinds
from hub.errors import Language, error_kinds
from hub.exchange import What
from tests.journeys.portal import PORTAL, Visit, text_of, visiting
from tests.journeys.serving import wait_for
from tests.journeys.world import PURPOSE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.envelope import Envelope
    from tests.journeys.world import World

CONTENT = "nobody's business"


@pytest.fixture
def operator(world: World) -> Iterator[Visit]:
    with visiting(world, Role.OPERATOR) as visit:
        yield visit


@pytest.fixture
def answered(world: World) -> Envelope:
    request = world.request(text=CONTENT)
    assert world.send(request.raw).status == 200
    return request


class TestMessages:
    def test_an_operator_finds_a_message_by_its_case_and_sees_its_path(
        self, operator: Visit, answered: Envelope
    ) -> None:
        form = {"form_token": operator.form_token(), "kind": "case", "number": PURPOSE.case}
        found = operator.post(f"{PORTAL}/messages", form)
        assert found.status_code == 200
        path = f"{PORTAL}/messages/{answered.header.id}/path"
        assert f'href="{path}"' in found.text
        page = operator.get(path)
        assert page.status_code == 200
        for said in ("It arrived, and ended well", "Received by the hub", "Accepted", answered.header.id):
            assert said in text_of(page.text), said

    def test_an_id_leads_to_the_path(self, operator: Visit, answered: Envelope) -> None:
        form = {"form_token": operator.form_token(), "number": answered.header.id}
        found = operator.post(f"{PORTAL}/messages", form)
        assert found.headers["location"] == f"{PORTAL}/messages/{answered.header.id}/path"

    def test_no_page_of_an_operator_holds_content(
        self, world: World, operator: Visit, answered: Envelope
    ) -> None:
        base = f"{PORTAL}/messages/{answered.header.id}"
        for path in (base, f"{base}/containers/request", f"{base}/evidence"):
            assert operator.get(path).status_code == 403
        shown = [f"{PORTAL}/messages", f"{base}/path", f"{PORTAL}/conversations/{answered.header.id}"]
        for path in shown:
            page = operator.get(path)
            assert page.status_code == 200
            for secret in (CONTENT, PURPOSE.case, PURPOSE.official, PURPOSE.legal_basis, "/evidence"):
                assert secret not in page.text, (path, secret)
        readings = world.hub.readings.list(message_id=answered.header.id)
        assert [each.what for each in readings] == [What.PATH]

    def test_a_refused_message_says_why_and_what_cures_it(self, world: World, operator: Visit) -> None:
        request = world.request(contract="echo/v9")
        assert world.send(request.raw).status == 400
        page = text_of(operator.get(f"{PORTAL}/messages/{request.header.id}/path").text)
        kind = error_kinds()["exchange.contract_mismatch"]
        for said in ("It was refused", kind.message[Language.EN], kind.cure[Language.EN], kind.code):
            assert said in page, said

    def test_an_auditor_is_led_from_the_path_to_the_story(self, world: World, answered: Envelope) -> None:
        with visiting(world, Role.AUDITOR) as auditor:
            page = auditor.get(f"{PORTAL}/messages/{answered.header.id}/path")
            assert f'href="{PORTAL}/messages/{answered.header.id}"' in page.text


class TestAlarms:
    CODE = "log.not_sealed"

    @pytest.fixture
    def alarm(self, world: World) -> Iterator[int]:
        alarms = world.hub.alarms
        alarms.raise_alarm(self.CODE, "a test", "the <disk> is full")
        wait_for(lambda: any(each.subject == "a test" for each in alarms.alarms()))
        yield next(each.id for each in alarms.alarms() if each.subject == "a test")
        alarms.clear(self.CODE, "a test")
        wait_for(lambda: not any(each.subject == "a test" for each in alarms.alarms()))

    def test_an_alarm_says_what_cures_it_and_who_takes_care(
        self, world: World, operator: Visit, alarm: int
    ) -> None:
        page = operator.get(f"{PORTAL}/alarms")
        assert alarm_kinds()[self.CODE].cure[Language.EN] in text_of(page.text)
        assert "<disk>" not in page.text
        address = f"{PORTAL}/alarms/{alarm}/acknowledgement"
        assert address in page.text
        done = operator.post(address, {"form_token": operator.form_token()})
        assert (done.status_code, done.headers["location"]) == (303, f"{PORTAL}/alarms#alarm-{alarm}")
        [kept] = [each for each in world.hub.alarms.alarms() if each.id == alarm]
        assert kept.acknowledged_by == "somebody"
        page = operator.get(f"{PORTAL}/alarms")
        assert "somebody takes care of it since" in text_of(page.text)
        assert address not in page.text

    def test_an_auditor_reads_alarms_and_acknowledges_none(self, world: World, alarm: int) -> None:
        with visiting(world, Role.AUDITOR) as auditor:
            page = auditor.get(f"{PORTAL}/alarms")
            assert page.status_code == 200
            assert "/acknowledgement" not in page.text
            address = f"{PORTAL}/alarms/{alarm}/acknowledgement"
            assert auditor.post(address, {"form_token": auditor.form_token()}).status_code == 403
        [kept] = [each for each in world.hub.alarms.alarms() if each.id == alarm]
        assert kept.acknowledged_by is None

    def test_a_form_from_elsewhere_acknowledges_nothing(
        self, world: World, operator: Visit, alarm: int
    ) -> None:
        address = f"{PORTAL}/alarms/{alarm}/acknowledgement"
        token = operator.form_token()
        assert operator.post(address, {"form_token": "0" * 64}).status_code == 403
        assert operator.post(address, {"form_token": token}, origin="https://evil.example").status_code == 403
        assert operator.post(address, {"form_token": token}, origin=None).status_code == 403
        [kept] = [each for each in world.hub.alarms.alarms() if each.id == alarm]
        assert kept.acknowledged_by is None

    @pytest.mark.parametrize("number", ["0", "x", "999999999999999999999", "٣", "-1", "4711"])
    def test_an_alarm_that_is_none_is_said_so(self, operator: Visit, number: str) -> None:
        response = operator.post(
            f"{PORTAL}/alarms/{number}/acknowledgement", {"form_token": operator.form_token()}
        )
        assert (response.status_code, "alarm.unknown" in response.text) == (404, True)

    def test_what_is_over_is_shown_when_asked_for(self, world: World, operator: Visit, alarm: int) -> None:
        del alarm
        world.hub.alarms.raise_alarm(self.CODE, "over by now", "x")
        wait_for(lambda: any(each.subject == "over by now" for each in world.hub.alarms.alarms()))
        world.hub.alarms.clear(self.CODE, "over by now")
        wait_for(lambda: not any(each.subject == "over by now" for each in world.hub.alarms.alarms()))
        assert "over by now" not in operator.get(f"{PORTAL}/alarms").text
        assert "over by now" in operator.get(f"{PORTAL}/alarms?over=1").text
