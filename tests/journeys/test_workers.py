# SPDX-License-Identifier: Apache-2.0
"""Workers killed with -9 between claim and result: nothing is lost, and everything ends once."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from hub.clock import SystemClock
from hub.demo.processes import Program, all_running
from hub.envelope import ReceiptStatus, open_envelope, read_receipt
from hub.exchange import ExchangeState
from hub.messagelog.store import read_leaves
from hub.outbox import DeliveryState
from hub.registry import DeliveryPolicy, Service
from hub.tlog import Entry, EntryEvent, Span
from tests.bench.containers import signed_request
from tests.journeys.crashing import Run, crashing_hubs
from tests.journeys.departments import LABOUR_ECHO

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

    from hub.envelope import Envelope
    from tests.pki import ServedPki

MESSAGES = 40
KILLS = 4
_SECONDS = 120.0


def test_a_killed_workers_deliveries_are_taken_up_by_another_one_on_postgresql(
    pki: ServedPki, tmp_path: Path, postgresql_url: str
) -> None:
    survive(pki, tmp_path, postgresql_url, ["worker"], beside=1)


def test_a_killed_hub_takes_up_its_deliveries_when_it_is_back_on_sqlite(
    pki: ServedPki, tmp_path: Path
) -> None:
    survive(pki, tmp_path, f"sqlite:///{tmp_path / 'data' / 'hub.sqlite'}", ["serve"], beside=0)


def survive(pki: ServedPki, folder: Path, url: str, command: list[str], *, beside: int) -> None:
    """Put messages in, kill who delivers them while the department is at one, and look at what is left."""
    luck = random.Random(11)  # noqa: S311 - spreads kills, protects nothing
    with crashing_hubs(folder, pki, url, processes=1, messages_a_life=1) as run:
        slow_down(run)
        requests = [signed_request(run.key, 100) for _ in range(MESSAGES)]
        for each in requests:
            outcome = asyncio.run(run.hub.pipeline.take(each.raw, received_at=SystemClock().now()))
            assert outcome.is_queued, outcome.code
        for life in range(KILLS):
            goal = len(run.departments.received) + luck.randint(2, 5)
            with running(run, command, f"killed-{life}", 1) as processes:
                wait(lambda: len(run.departments.received) >= goal)  # noqa: B023 - asked before the next one is set
                for process in processes.values():
                    # One of its deliveries is at the department at this moment.
                    process.kill()
                    process.join()
        with running(run, command, "last", 1 + beside):
            wait(lambda: not any(each.waiting + each.claimed for each in run.hub.outbox.depth().values()))
        require_one_end_each(run, requests)


def slow_down(run: Run) -> None:
    """Let answers take a moment, so that a kill finds deliveries under way."""
    service = run.hub.registry.require_entry(Service, LABOUR_ECHO)
    policy = DeliveryPolicy(first_pause_seconds=0.1, longest_pause_seconds=0.2, tries=1000, concurrency=3)
    run.hub.registry.put(replace(service, delivery=policy), by="tests")
    honest = run.departments.gateways["labour"]

    def answer(request: Envelope) -> bytes:
        time.sleep(0.3)
        with run.departments.lock:
            receipt = next(
                raw
                for raw in reversed(run.departments.receipts)
                if read_receipt(open_envelope(raw)).message.id == request.header.id
            )
        return honest.answer(request.raw, receipt)

    run.departments.script = answer


def running(
    run: Run, command: list[str], name: str, count: int
) -> AbstractContextManager[dict[str, ForkServerProcess]]:
    arguments = [*command, "--config", str(run.prepared.folder.hub_config)]
    return all_running(
        {f"{name}-{each}": Program("hub.cli:main", arguments) for each in range(count)},
        logs=run.prepared.folder.logs,
        environment={**run.environment, "HELIOGRAPH_PORT": str(run.ports[0])},
    )


def wait(is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not is_done():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def require_one_end_each(run: Run, requests: list[Envelope]) -> None:
    size = run.hub.log.check()
    with run.hub.engine.connect() as connection:
        entries = [Entry.from_bytes(new.leaf) for new in read_leaves(connection, Span(0, size))]
    accepted = Counter(each.message_id for each in entries if each.event is EntryEvent.ACCEPTED)
    assert accepted == Counter(each.header.id for each in requests), "accepted once, and never again"
    answered = Counter(each.container_sha256 for each in entries if each.event is EntryEvent.ANSWERED)
    interrupted = 0
    for request in requests:
        record = run.hub.archive.exchange(request.header.id)
        assert (record.state, record.code) == (ExchangeState.PROCESSED, None)
        assert record.answer_sha256 is not None
        assert record.receipt_sha256 is not None
        assert answered.pop(record.answer_sha256) == 1
        receipt = read_receipt(open_envelope(run.hub.archive.container(record.receipt_sha256)))
        assert receipt.status is ReceiptStatus.PROCESSED
        [delivery] = run.hub.outbox.of_message(request.header.id)
        assert delivery.state is DeliveryState.DONE
        attempts = run.hub.outbox.attempts_of(delivery.number)
        assert [each.attempt for each in attempts] == list(range(1, delivery.attempts + 1))
        assert attempts[-1].code is None
        interrupted += sum(each.code == "exchange.internal" for each in attempts)
    assert not answered, "nothing else was ever logged as answered"
    assert interrupted >= KILLS, "the kills found deliveries under way"
    assert run.hub.audit.run().findings == ()
