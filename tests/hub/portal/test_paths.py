# SPDX-License-Identifier: Apache-2.0
"""A message's path: every try in its place, what is to come last, and nothing made up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.contracts import Pattern
from hub.exchange import ExchangeRecord, ExchangeState
from hub.identifiers import MessageId, ServiceId, SubsystemId
from hub.outbox import Attempt, Delivery, DeliveryNumber, DeliveryState
from hub.portal.drawings import draw
from hub.portal.paths import Lane, StepKind, lane_of, steps_of
from hub.tlog import Entry, EntryEvent

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
MESSAGE = MessageId("01900000-0000-7000-8000-000000000000")
SENDER = SubsystemId("13510108MB1A00003J/fund")
RECIPIENT = SubsystemId("11510108MB1A00002M/employment")
SERVICE = ServiceId(f"{RECIPIENT}/echo")


def delivery(**changes: Any) -> Delivery:
    honest = Delivery(
        number=DeliveryNumber(1),
        message_id=MESSAGE,
        conversation=MESSAGE,
        sender=SENDER,
        recipient=RECIPIENT,
        service=SERVICE,
        kind=Pattern.REQUEST,
        is_ordered=False,
        expires_at=NOW + timedelta(hours=1),
        log_index=0,
        log_leaf="0" * 64,
        request_sha256="0" * 64,
        state=DeliveryState.WAITING,
        attempts=0,
        tries=0,
        replays=0,
        due_at=NOW + timedelta(minutes=5),
        expected_by=None,
        claimed_by=None,
        claimed_at=None,
        created_at=NOW - timedelta(minutes=30),
        ended_at=None,
        code=None,
        detail=None,
        answer_sha256=None,
        receipt_sha256=None,
        replayed_by=None,
        closed_by=None,
        closed_reason=None,
    )
    return replace(honest, **changes)


def attempt(begun: datetime, code: str | None = "exchange.undeliverable") -> Attempt:
    """Return one that took a second."""
    return Attempt(
        delivery=DeliveryNumber(1),
        attempt=1,
        started_at=begun,
        ended_at=begun + timedelta(seconds=1),
        code=code,
        detail="refused",
        worker=1,
    )


def failed(*minutes: int) -> list[Attempt]:
    """Return tries that began so many minutes before now and failed after a second."""
    return [attempt(NOW - timedelta(minutes=each)) for each in minutes]


def record(state: ExchangeState, concluded_at: datetime | None = None) -> ExchangeRecord:
    return ExchangeRecord(
        message_id=MESSAGE,
        conversation=MESSAGE,
        sender=SENDER,
        recipient=RECIPIENT,
        service=SERVICE,
        state=state,
        code=None,
        received_at=NOW - timedelta(minutes=30),
        concluded_at=concluded_at,
        attempts=1,
        request_sha256="0" * 64,
        answer_sha256=None,
        receipt_sha256=None,
    )


def entry(event: EntryEvent, minutes: int, code: str | None = None) -> Entry:
    return Entry(
        event=event,
        at=NOW - timedelta(minutes=minutes),
        message_id=MESSAGE,
        container_sha256="0" * 64,
        sender=SENDER,
        recipient=RECIPIENT,
        service=SERVICE,
        code=code,
    )


def kinds(lane: Lane) -> list[StepKind]:
    return [each.kind for each in lane.steps]


class TestLanes:
    def test_every_try_is_there_with_its_number_its_length_and_the_pause_before(self) -> None:
        lane = lane_of(delivery(), failed(20, 15, 5), NOW)
        assert [each.number for each in lane.tries] == [1, 2, 3]
        pauses = [None, timedelta(minutes=5, seconds=-1), timedelta(minutes=10, seconds=-1)]
        assert [each.waited for each in lane.tries] == pauses
        assert kinds(lane) == [StepKind.TRY_FAILED] * 3 + [StepKind.NEXT_TRY]
        assert lane.end is not None
        assert lane.end.at == NOW + timedelta(minutes=5)

    def test_what_arrived_has_nothing_to_come(self) -> None:
        lane = lane_of(delivery(state=DeliveryState.DONE), [*failed(2), attempt(NOW, None)], NOW)
        assert kinds(lane) == [StepKind.TRY_FAILED, StepKind.TRY_DONE]

    def test_a_dead_letter_ends_when_it_was_given_up(self) -> None:
        ended = NOW - timedelta(minutes=1)
        lane = lane_of(
            delivery(state=DeliveryState.DEAD, ended_at=ended, code="exchange.expired"), failed(2), NOW
        )
        assert lane.end is not None
        assert (lane.end.kind, lane.end.at, lane.end.code) == (StepKind.DEAD, ended, "exchange.expired")

    def test_a_try_that_runs_is_told_though_it_is_not_written_down_yet(self) -> None:
        claimed = delivery(state=DeliveryState.CLAIMED, claimed_at=NOW - timedelta(seconds=3))
        lane = lane_of(claimed, failed(1), NOW)
        assert kinds(lane) == [StepKind.TRY_FAILED, StepKind.TRY_RUNS]
        assert lane.end is not None
        assert (lane.end.number, lane.end.at) == (2, NOW - timedelta(seconds=3))


class TestSteps:
    def test_the_path_is_told_in_order_and_what_is_to_come_stands_last(self) -> None:
        lane = lane_of(delivery(due_at=NOW - timedelta(minutes=40)), failed(20, 15), NOW)
        steps = steps_of(record(ExchangeState.QUEUED), [(7, entry(EntryEvent.ACCEPTED, 29))], [lane])
        assert [each.kind for each in steps] == [
            StepKind.RECEIVED,
            StepKind.ACCEPTED,
            StepKind.TRY_FAILED,
            StepKind.TRY_FAILED,
            StepKind.NEXT_TRY,
        ]
        assert steps[1].index == 7

    def test_a_replay_stands_between_the_series_of_tries(self) -> None:
        lane = lane_of(delivery(state=DeliveryState.DEAD, ended_at=NOW), failed(20, 5), NOW)
        steps = steps_of(record(ExchangeState.REFUSED), [(9, entry(EntryEvent.REPLAYED, 10))], [lane])
        assert [each.kind for each in steps] == [
            StepKind.RECEIVED,
            StepKind.TRY_FAILED,
            StepKind.REPLAYED,
            StepKind.TRY_FAILED,
            StepKind.DEAD,
        ]

    def test_a_message_that_ended_well_says_so_though_its_answer_is_logged_elsewhere(self) -> None:
        steps = steps_of(record(ExchangeState.PROCESSED, NOW), [], [])
        assert [each.kind for each in steps] == [StepKind.RECEIVED, StepKind.ANSWERED]

    def test_every_event_of_the_log_has_its_step(self) -> None:
        entries = [(number, entry(event, 1)) for number, event in enumerate(EntryEvent)]
        assert len(steps_of(record(ExchangeState.REFUSED), entries, [])) == len(EntryEvent) + 1


class TestDrawings:
    def test_few_tries_are_all_drawn(self) -> None:
        drawing = draw(lane_of(delivery(), failed(20, 15, 5), NOW))
        assert [each.left_out for each in drawing.stations] == [0, 0, 0, 0]
        assert [each.is_to_come for each in drawing.links] == [False, False, True]
        assert drawing.links[0].waited == timedelta(minutes=5, seconds=-1)

    def test_of_many_tries_the_middle_ones_are_counted(self) -> None:
        drawing = draw(
            lane_of(delivery(state=DeliveryState.DEAD, ended_at=NOW), failed(*range(30, 0, -1)), NOW)
        )
        assert [each.left_out for each in drawing.stations] == [0, 0, 24, 0, 0, 0, 0, 0]
        last = [each.step.number for each in drawing.stations if each.step is not None]
        assert last == [1, 2, 27, 28, 29, 30, None]

    def test_nobody_guesses_a_pause_around_what_is_left_out(self) -> None:
        drawing = draw(lane_of(delivery(state=DeliveryState.DONE), failed(*range(30, 0, -1)), NOW))
        assert [each.waited is None for each in drawing.links] == [False, True, True, False, False, False]

    def test_all_of_it_lies_within_the_picture(self) -> None:
        for count in (1, 2, 6, 7, 8, 40):
            drawing = draw(lane_of(delivery(), failed(*range(count, 0, -1)), NOW))
            assert all(0 < each.x < drawing.width for each in drawing.stations)
