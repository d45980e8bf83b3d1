# SPDX-License-Identifier: Apache-2.0
"""Every kept container is in exactly one batch, whatever breaks, and its record verifies for itself."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from hub.errors import HubError, LogError, TrustError
from hub.messagelog import EvidenceRecords
from tests.hub.messagelog.preserving import BEGIN, Preserving, a_container, preserving

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from tests.hub.messagelog.conftest import RunningLog


@pytest.fixture
def place(running: RunningLog, tmp_path: Path) -> Preserving:
    return preserving(running, tmp_path)


def test_one_token_covers_the_checkpoint_and_all_containers_kept_since(place: Preserving) -> None:
    containers = [a_container() for _ in range(5)]
    place.keep(*containers)
    size = place.seal()

    place.stamper().work()

    assert len(place.stamps.asked) == 1
    assert place.records.waiting() == 0
    assert {place.verify(each).existed_at for each in containers} == {place.clock.now()}
    assert place.verify_checkpoint(size).existed_at == place.clock.now()


def test_containers_kept_after_the_checkpoint_wait_for_the_next_one(place: Preserving) -> None:
    place.keep(a_container())
    place.seal()
    later = a_container()
    place.stamper().work()
    place.keep(later)

    place.stamper().work()

    assert place.records.waiting() == 1
    with pytest.raises(LogError) as caught:
        place.records.of(later.container_sha256)
    assert (caught.value.code, caught.value.is_retryable) == ("log.record_unknown", True)
    place.seal()
    place.stamper().work()
    assert place.verify(later).existed_at >= BEGIN


def test_what_was_never_kept_has_no_record(place: Preserving) -> None:
    with pytest.raises(LogError) as container:
        place.records.of("0" * 64)
    with pytest.raises(LogError) as checkpoint:
        place.records.of_checkpoint(3)
    assert {container.value.code, checkpoint.value.code} == {"log.record_unknown"}


def test_a_backlog_after_an_outage_drains_in_batches_that_are_bounded(place: Preserving) -> None:
    stamper = place.stamper(most_objects=4)
    place.stamps.is_down = True
    containers = [a_container() for _ in range(11)]
    for each in containers:
        place.keep(each)
        place.seal()
        stamper.work()
    # Coming back, the first of the waiting checkpoints takes four along, the next four, then what is left.
    place.stamps.is_down = False
    stamper.work()

    assert place.records.waiting() == 0
    assert [place.verify(each).existed_at for each in containers] == [place.clock.now()] * 11
    assert sizes_of_batches(place) == [4, 4, 3] + [0] * 8


def test_more_containers_than_fit_are_stamped_without_waiting_for_another_checkpoint(
    place: Preserving,
) -> None:
    containers = [a_container() for _ in range(10)]
    place.keep(*containers)
    place.seal()

    place.stamper(most_objects=4).work()

    assert sizes_of_batches(place) == [4, 4, 2]
    assert all(place.verify(each).existed_at for each in containers)


def test_an_authority_that_fails_between_two_batches_leaves_the_rest_for_the_next_look(
    place: Preserving,
) -> None:
    containers = [a_container() for _ in range(6)]
    place.keep(*containers)
    place.seal()

    def fail_next() -> None:
        place.stamps.is_down = True

    place.stamps.meanwhile = fail_next
    place.stamper(most_objects=4).work()
    assert (sizes_of_batches(place), place.records.waiting()) == ([4], 2)

    place.stamps.is_down, place.stamps.meanwhile = False, lambda: None
    # No checkpoint waits any more and none will come while nothing is logged; nothing is forgotten.
    place.stamper(most_objects=4).work()
    assert place.records.waiting() == 0
    assert all(place.verify(each).existed_at for each in containers)


def test_a_crash_after_the_token_was_given_loses_the_token_and_nothing_else(place: Preserving) -> None:
    container = a_container()
    place.keep(container)
    size = place.seal()

    def crash() -> None:
        raise SystemExit

    place.stamps.meanwhile = crash
    with pytest.raises(SystemExit):
        place.stamper().work()
    assert place.records.waiting() == 1
    assert [each.size for each in place.checkpoints.waiting()] == [size]

    place.stamps.meanwhile = lambda: None
    place.stamper().work()
    assert place.verify(container).existed_at >= BEGIN
    assert place.verify_checkpoint(size).existed_at >= BEGIN
    assert sizes_of_batches(place) == [1]


def test_of_two_processes_one_stamps_a_batch_and_the_others_token_is_thrown_away(place: Preserving) -> None:
    containers = [a_container() for _ in range(3)]
    place.keep(*containers)
    size = place.seal()

    def meanwhile() -> None:
        place.stamps.meanwhile = lambda: None
        place.stamper().work()

    place.stamps.meanwhile = meanwhile
    place.stamper().work()

    assert len(place.stamps.asked) == 2
    assert sizes_of_batches(place) == [3]
    assert all(place.verify(each).existed_at for each in containers)
    assert place.verify_checkpoint(size).existed_at >= BEGIN
    assert place.checkpoints.waiting() == ()


def test_a_checkpoint_that_another_process_left_out_of_its_batch_is_stamped_at_the_next_look(
    place: Preserving,
) -> None:
    place.keep(a_container())
    small = place.seal()
    stamper = place.stamper()

    def meanwhile() -> None:
        place.stamps.meanwhile = lambda: None
        place.keep(a_container())
        place.seal()
        place.stamper().work()

    place.stamps.meanwhile = meanwhile
    stamper.work()
    stamper.work()

    assert place.records.waiting() == 0
    assert place.checkpoints.waiting() == ()
    assert place.verify_checkpoint(small).existed_at >= BEGIN
    assert all(place.verify(each).existed_at for each in place.kept)
    assert sum(sizes_of_batches(place)) == 2


def test_many_writers_and_two_stampers_lose_and_double_nothing(place: Preserving) -> None:
    stampers = [place.stamper(most_objects=3) for _ in range(2)]
    threads = [threading.Thread(target=each.run, daemon=True) for each in stampers]
    for each in threads:
        each.start()
    containers = [a_container() for _ in range(24)]
    for start in range(0, 24, 4):
        place.keep(*containers[start : start + 4])
        place.seal()
    for _ in range(400):
        if place.records.waiting() == 0:
            break
        threading.Event().wait(0.05)
    for stamper in stampers:
        stamper.stop()
    for each in threads:
        each.join(timeout=10)

    assert place.records.waiting() == 0
    assert sum(sizes_of_batches(place)) == 24
    assert all(place.verify(each).existed_at for each in containers)


def test_a_container_that_is_kept_again_keeps_its_record(place: Preserving) -> None:
    container = a_container()
    place.keep(container)
    place.seal()
    place.stamper().work()
    first = place.records.of(container.container_sha256)
    place.keep(container)
    place.seal()
    place.stamper().work()

    assert place.records.of(container.container_sha256) == first
    assert sum(sizes_of_batches(place)) == 1


def test_a_container_whose_unit_fails_waits_for_nothing(place: Preserving) -> None:
    container = a_container()

    def work(connection: Connection) -> None:
        place.records.take(connection, container)
        raise TrustError("trust.path_invalid", "refused after it was taken")

    with pytest.raises(HubError):
        place.running.writer.run(work)
    assert place.records.waiting() == 0


@pytest.mark.parametrize(
    "table",
    [
        "evidence_objects",
        "evidence_stamps",
        "evidence_batches",
        "evidence_stamp_answers",
        "evidence_answers",
    ],
)
def test_what_evidence_rests_on_cannot_be_changed_or_removed(place: Preserving, table: str) -> None:
    place.keep(a_container())
    place.seal()
    place.stamper().work()
    with pytest.raises(Exception, match="append-only"), place.running.engine.begin() as connection:
        connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 (names of our own tables)


def test_the_record_of_another_start_is_the_same(place: Preserving) -> None:
    place.keep(a_container(), a_container())
    place.seal()
    place.stamper().work()
    sha256 = place.kept[1].container_sha256

    assert EvidenceRecords(place.running.engine, place.clock).of(sha256) == place.records.of(sha256)


def sizes_of_batches(place: Preserving) -> list[int]:
    query = text("SELECT last_object - first_object + 1 AS n FROM evidence_batches ORDER BY stamp")
    with place.running.engine.connect() as connection:
        return [row.n for row in connection.execute(query)]
