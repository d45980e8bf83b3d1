# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from adapters.inbox import KEPT_LONGER, RECEIPT_LIFETIME, Arrival, Inbox, InboxState
from hub.errors import AdapterError, ExchangeError, HubError
from hub.identifiers import SubsystemId, new_message_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
LABOUR = SubsystemId("11510108MB1A00002M/employment")
FUND = SubsystemId("13510108MB1A00003J/fund")
ANSWER = b"a signed answer"


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    made = Inbox(tmp_path / "gateway" / "inbox.sqlite")
    yield made
    made.close()


def arrival(earlier: Arrival | None = None, **changes: object) -> Arrival:
    """A message's first delivery, or its next one: with a receipt of its own."""
    first = earlier or Arrival(
        message_id=new_message_id(NOW),
        recipient=LABOUR,
        container_sha256="a" * 64,
        expires_at=NOW + timedelta(minutes=10),
        receipt_id=new_message_id(NOW),
        receipt_at=NOW,
    )
    usual: dict[str, object] = {"receipt_id": new_message_id(NOW)}
    return replace(first, **usual | changes)  # type: ignore[arg-type]  # tests change what they like


def refused(inbox: Inbox, what: Arrival, now: datetime = NOW) -> str:
    with pytest.raises(HubError) as caught:
        inbox.take(what, now)
    return caught.value.code


def answer(inbox: Inbox, to: Arrival, *, is_owed: bool = False) -> None:
    inbox.answer(to.message_id, to.recipient, ANSWER, is_durable=True, is_owed=is_owed)


def defer(inbox: Inbox, what: Arrival, *, minutes: int = 5) -> None:
    inbox.defer(
        what.message_id,
        what.recipient,
        request=b"the message",
        promise=b"a signed promise",
        expected_by=NOW + timedelta(minutes=minutes),
        look_at=NOW + timedelta(minutes=1),
    )


def test_a_message_that_comes_again_gets_its_answer_again(inbox: Inbox) -> None:
    first = arrival()
    assert inbox.take(first, NOW).state is InboxState.OPEN
    answer(inbox, first)

    known = inbox.take(arrival(first), NOW)

    assert (known.state, known.answer) == (InboxState.ANSWERED, ANSWER)


def test_a_message_that_was_not_answered_may_be_tried_again(inbox: Inbox) -> None:
    first = arrival()
    inbox.take(first, NOW)
    assert inbox.take(arrival(first), NOW).answer is None


def test_an_answer_is_given_after_the_message_expired_but_nobody_is_asked_then(inbox: Inbox) -> None:
    answered, unanswered = arrival(), arrival()
    inbox.take(answered, NOW)
    answer(inbox, answered)
    inbox.take(unanswered, NOW)
    later = NOW + timedelta(minutes=11)

    assert inbox.take(arrival(answered, receipt_at=later), later).answer == ANSWER
    assert refused(inbox, arrival(unanswered, receipt_at=later), later) == "exchange.expired"
    assert refused(inbox, arrival(receipt_at=later), later) == "exchange.expired"


def test_an_id_with_other_content_is_refused(inbox: Inbox) -> None:
    first = arrival()
    inbox.take(first, NOW)
    answer(inbox, first)
    assert refused(inbox, arrival(first, container_sha256="b" * 64)) == "exchange.id_reused"


def test_an_event_is_one_message_for_each_subscriber(inbox: Inbox) -> None:
    first = arrival()
    inbox.take(first, NOW)
    answer(inbox, first)
    assert inbox.take(arrival(first, recipient=FUND), NOW).answer is None


def test_a_receipt_opens_the_gateway_once(inbox: Inbox) -> None:
    first = arrival()
    inbox.take(first, NOW)
    assert refused(inbox, first) == "exchange.not_accepted_by_hub"
    # Nor does it open it for another message.
    assert refused(inbox, arrival(receipt_id=first.receipt_id)) == "exchange.not_accepted_by_hub"


def test_a_gateway_that_was_started_again_remembers_receipts_and_answers(tmp_path: Path) -> None:
    file, first = tmp_path / "inbox.sqlite", arrival()
    before = Inbox(file)
    before.take(first, NOW)
    answer(before, first)
    before.close()

    after = Inbox(file)

    assert refused(after, first) == "exchange.not_accepted_by_hub"
    assert after.take(arrival(first), NOW).answer == ANSWER
    after.close()


def test_a_receipt_too_far_from_the_gateway_s_time_opens_nothing(inbox: Inbox) -> None:
    too_far = RECEIPT_LIFETIME + timedelta(milliseconds=1)
    for receipt_at in (NOW - too_far, NOW + too_far):
        assert refused(inbox, arrival(receipt_at=receipt_at)) == "exchange.not_accepted_by_hub"
    for receipt_at in (NOW - RECEIPT_LIFETIME, NOW + RECEIPT_LIFETIME):
        assert inbox.take(arrival(receipt_at=receipt_at), NOW).answer is None


def test_a_used_receipt_stays_used_as_long_as_it_is_fresh(inbox: Inbox) -> None:
    first = arrival(receipt_at=NOW + RECEIPT_LIFETIME, expires_at=NOW + timedelta(hours=1))
    inbox.take(first, NOW)
    for minutes in range(11):
        later = NOW + timedelta(minutes=minutes)
        inbox.take(arrival(receipt_at=later, expires_at=later + timedelta(hours=1)), later)
        assert refused(inbox, first, later) == "exchange.not_accepted_by_hub"


def test_what_is_old_is_not_remembered_for_ever(inbox: Inbox) -> None:
    for day in range(10):
        now = NOW + timedelta(days=day)
        for _ in range(5):
            inbox.take(arrival(receipt_at=now, expires_at=now + timedelta(minutes=10)), now)
    [messages] = inbox._connection.execute("SELECT count(*) FROM messages").fetchone()  # noqa: SLF001 - there is no other way to see what it holds
    [receipts] = inbox._connection.execute("SELECT count(*) FROM receipts").fetchone()  # noqa: SLF001 - likewise
    assert messages <= 5 * (KEPT_LONGER.days + 1)
    assert receipts <= 5


def test_the_file_is_its_owner_s_alone(tmp_path: Path, inbox: Inbox) -> None:
    inbox.take(arrival(), NOW)
    files = list((tmp_path / "gateway").iterdir())
    assert {file.name for file in files} >= {"inbox.sqlite", "inbox.sqlite-wal"}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_a_system_that_must_not_be_asked_twice_is_not(inbox: Inbox) -> None:
    first = arrival()
    inbox.take(first, NOW)
    inbox.begin(first.message_id, first.recipient)

    # The gateway died here, or the system's answer could not be read.
    assert inbox.take(arrival(first), NOW).state is InboxState.BEGUN
    with pytest.raises(AdapterError, match=r"adapter\.outcome_unknown"):
        inbox.begin(first.message_id, first.recipient)

    # It was not even connected to, or somebody has looked and found that nothing was done.
    assert inbox.give_up(first.message_id, first.recipient)
    inbox.begin(first.message_id, first.recipient)


def test_an_answer_cannot_be_given_up(inbox: Inbox) -> None:
    first = arrival()
    inbox.take(first, NOW)
    answer(inbox, first)
    assert not inbox.give_up(first.message_id, first.recipient)
    assert inbox.take(arrival(first), NOW).answer == ANSWER


def test_a_promise_is_kept_until_the_answer_is_there(inbox: Inbox) -> None:
    first = arrival()
    inbox.take(first, NOW)
    defer(inbox, first)

    known = inbox.take(arrival(first), NOW)
    assert (known.state, known.answer) == (InboxState.DEFERRED, b"a signed promise")
    assert known.expected_by == NOW + timedelta(minutes=5)
    assert inbox.owed(NOW) == []
    [owed] = inbox.owed(NOW + timedelta(minutes=1))
    assert (owed.message_id, owed.request, owed.answer) == (first.message_id, b"the message", None)

    inbox.look_again(first.message_id, first.recipient, NOW + timedelta(minutes=2))
    assert inbox.owed(NOW + timedelta(minutes=1)) == []

    answer(inbox, first, is_owed=True)
    [owed] = inbox.owed(NOW)
    assert owed.answer == ANSWER
    assert inbox.take(arrival(first), NOW).expected_by is None

    inbox.settle(first.message_id, first.recipient)
    assert inbox.owed(NOW + timedelta(minutes=9)) == []
    assert inbox.take(arrival(first), NOW).answer == ANSWER


def test_what_has_expired_is_owed_to_nobody(inbox: Inbox) -> None:
    first = arrival()
    inbox.take(first, NOW)
    defer(inbox, first)
    assert inbox.owed(NOW + timedelta(minutes=10)) == []


def test_one_thread_at_a_time_works_on_a_message() -> None:
    inbox = Inbox(in_hand_seconds=0.1)
    first, another = arrival(), arrival()
    began, may_end, done = threading.Event(), threading.Event(), []

    def work() -> None:
        with inbox.in_hand(first.message_id, LABOUR):
            began.set()
            may_end.wait(20)
            done.append("first")

    thread = threading.Thread(target=work)
    thread.start()
    assert began.wait(20)
    with inbox.in_hand(another.message_id, LABOUR), inbox.in_hand(first.message_id, FUND):
        pass  # Neither is the message that is worked on.
    with (
        pytest.raises(ExchangeError, match=r"exchange\.in_progress"),
        inbox.in_hand(first.message_id, LABOUR),
    ):
        pass
    may_end.set()
    thread.join(20)
    with inbox.in_hand(first.message_id, LABOUR):
        done.append("second")
    assert done == ["first", "second"]
    inbox.close()
