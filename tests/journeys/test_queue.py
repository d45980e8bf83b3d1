# SPDX-License-Identifier: Apache-2.0
"""What a gateway has to send waits durably while the hub is away, and arrives once, in order."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from adapters.queue import LocalQueue, QueuedState
from hub.clock import Clock, SystemClock
from hub.demo.preparation import FUND
from hub.errors import HubError
from hub.identifiers import ContractId, ServiceId
from tests.adapters.running import wait_until
from tests.journeys.test_patterns import Offices, notice, running_offices, slow
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from adapters.hubclient import HubClient, Question
    from hub.identifiers import SubsystemId
    from tests.journeys.world import World

ORIGIN = "morning-files"


@dataclass
class ShiftedClock(Clock):
    """The machine's clock, put forward by a test."""

    forward: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return SystemClock().now() + self.forward


@dataclass
class Bench:
    """A queue whose way to the hub a test can cut."""

    offices: Offices
    folder: Path
    clock: ShiftedClock = field(default_factory=ShiftedClock)
    is_away: bool = False
    wrap: Callable[[HubClient], HubClient] = lambda client: client

    def client(self, subsystem: SubsystemId) -> HubClient:
        client = self.offices.client(subsystem)
        return self.wrap(replace(client, url=f"http://127.0.0.1:{free_port()}") if self.is_away else client)

    @contextmanager
    def queue(self, **changes: int) -> Iterator[LocalQueue]:
        queue = LocalQueue(self.folder, client_for=self.client, clock=self.clock, **changes)
        try:
            yield queue
        finally:
            queue.close()

    def worked(self, queue: LocalQueue, key: str, state: QueuedState) -> None:
        def is_there() -> bool:
            self.clock.forward += timedelta(seconds=1)
            queue.work()
            found = queue.state_of(key)
            return found is not None and found.state is state

        wait_until(is_there)

    def told(self) -> list[str]:
        return [str(request["text"]) for _, request in self.offices.desks["labour"].calls]


@pytest.fixture
def bench(world: World, tmp_path: Path) -> Iterator[Bench]:
    with running_offices(world, tmp_path / "offices") as offices:
        yield Bench(offices, tmp_path)


def put(queue: LocalQueue, key: str, question: Question) -> str:
    return queue.put(key, question, origin=ORIGIN, sender=FUND)


def test_messages_wait_for_the_hub_and_arrive_in_order_with_their_ids(bench: Bench) -> None:
    bench.is_away = True
    with bench.queue() as queue:
        ids = [put(queue, f"row-{number}", notice(str(number))) for number in range(5)]
        queue.work()
        first = queue.state_of("row-0")
        assert first is not None
        assert (first.state, first.code) == (QueuedState.WAITING, "exchange.undeliverable")
        assert queue.depth().waiting == 5
        assert queue.depth().oldest_waiting_since is not None
    # The process ends; another one goes on, and the hub is back.
    bench.is_away = False
    with bench.queue() as queue:
        assert put(queue, "row-3", notice("something else")) == ids[3]
        bench.worked(queue, "row-4", QueuedState.PROCESSED)
        for number in range(4):
            bench.worked(queue, f"row-{number}", QueuedState.PROCESSED)
        assert bench.offices.desks["labour"].ids() == ids
        assert bench.told() == ["0", "1", "2", "3", "4"]
        assert queue.depth().waiting == queue.depth().sent == 0


def test_an_answer_is_handed_to_its_origin_until_it_takes_note(bench: Bench) -> None:
    with bench.queue() as queue:
        put(queue, "question", slow("你好"))
        bench.worked(queue, "question", QueuedState.PROCESSED)
        assert not list(queue.settled("another"))
        [settled] = queue.settled(ORIGIN)
        assert (settled.key, settled.answer) == ("question", {"text": "你好"})
        queue.acknowledge("question")
        assert not list(queue.settled(ORIGIN))
        known = queue.state_of("question")
        assert known is not None
        assert (known.state, known.answer) == (QueuedState.PROCESSED, None)
        assert "你好".encode() not in (bench.folder / "queue.sqlite").read_bytes()


def test_only_the_owner_may_read_what_waits(bench: Bench) -> None:
    before = os.umask(0)
    try:
        with bench.queue():
            assert stat.S_IMODE((bench.folder / "queue.sqlite").stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_what_could_not_be_sent_in_time_is_refused_with_its_code(bench: Bench) -> None:
    bench.is_away = True
    with bench.queue() as queue:
        put(queue, "tried", replace(notice(), lifetime=timedelta(minutes=2)))
        put(queue, "never tried", replace(notice(), lifetime=timedelta(minutes=2)))
        queue.work()
        bench.clock.forward += timedelta(minutes=3)
        queue.work()
        untried = queue.state_of("never tried")
        assert untried is not None
        assert (untried.state, untried.code) == (QueuedState.REFUSED, "adapter.not_sent_in_time")
        # The hub might have the other one: its answer may have been lost. Nobody knows before it is back.
        tried = queue.state_of("tried")
        assert tried is not None
        assert tried.state is QueuedState.WAITING
        bench.is_away = False
        bench.clock.forward = timedelta()
        bench.clock.forward += timedelta(minutes=3)
        bench.worked(queue, "tried", QueuedState.REFUSED)
        assert [each.code for each in queue.settled(ORIGIN)] == ["adapter.not_sent_in_time"] * 2
    assert not bench.told()


def test_what_reached_the_hub_although_its_answer_was_lost_is_not_sent_a_second_time(bench: Bench) -> None:
    def lossy(client: HubClient) -> HubClient:
        class _Lossy(type(client)):  # type: ignore[misc]
            def send_again(self, message: object, *, timeout_seconds: float = 60.0) -> object:
                super().send_again(message, timeout_seconds=timeout_seconds)
                return replace(client, url=f"http://127.0.0.1:{free_port()}").send_again(message)  # type: ignore[arg-type]

        return _Lossy(**{name: getattr(client, name) for name in client.__dataclass_fields__})

    with bench.queue() as queue:
        put(queue, "row", replace(notice("once"), lifetime=timedelta(minutes=2)))
        bench.wrap = lossy
        queue.work()
        waiting = queue.state_of("row")
        assert waiting is not None
        assert waiting.state is QueuedState.WAITING
        bench.wrap = lambda client: client
        bench.clock.forward += timedelta(minutes=3)
        bench.worked(queue, "row", QueuedState.PROCESSED)
    assert bench.told() == ["once"]


def test_a_refusal_holds_up_nobody_and_says_why(bench: Bench) -> None:
    with bench.queue() as queue:
        put(queue, "forbidden", replace(notice("no"), purpose=replace(notice().purpose, item="000000000000")))
        put(queue, "allowed", notice("yes"))
        bench.worked(queue, "allowed", QueuedState.PROCESSED)
        refused = queue.state_of("forbidden")
        assert refused is not None
        assert (refused.state, refused.code) == (QueuedState.REFUSED, "access.purpose_not_allowed")
    assert bench.told() == ["yes"]


@pytest.mark.parametrize(
    ("question", "code"),
    [
        (replace(notice(), data={"title": 7}), "contract.request_invalid"),
        (replace(notice(), contract=ContractId("nothing/v1")), "exchange.contract_mismatch"),
    ],
)
def test_what_breaks_its_contract_is_refused_at_once(bench: Bench, question: Question, code: str) -> None:
    with bench.queue() as queue:
        with pytest.raises(HubError) as refused:
            put(queue, "wrong", question)
        assert refused.value.code == code
        assert queue.state_of("wrong") is None


def test_a_full_queue_takes_nothing_more_and_loses_nothing(bench: Bench) -> None:
    bench.is_away = True
    with bench.queue(most_waiting=2) as queue:
        for number in range(2):
            put(queue, f"row-{number}", notice(str(number)))
        with pytest.raises(HubError) as refused:
            put(queue, "row-2", notice("2"))
        assert refused.value.code == "adapter.queue_full"
        assert refused.value.is_retryable
        bench.is_away = False
        bench.worked(queue, "row-1", QueuedState.PROCESSED)
        put(queue, "row-2", notice("2"))
        bench.worked(queue, "row-2", QueuedState.PROCESSED)
    assert bench.told() == ["0", "1", "2"]


def test_a_service_nobody_offers_is_the_senders_matter(bench: Bench) -> None:
    with bench.queue() as queue:
        unknown = ServiceId(f"{notice().service.rpartition('/')[0]}/nobody")
        put(queue, "unknown", replace(notice(), service=unknown))
        bench.worked(queue, "unknown", QueuedState.REFUSED)
        [settled] = queue.settled(ORIGIN)
        assert settled.code == "registry.service_unknown"
