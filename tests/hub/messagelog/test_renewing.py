# SPDX-License-Identifier: Apache-2.0
"""Evidence outlives authorities, digests and erased containers if it is renewed in time, else not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hub.errors import HubError
from hub.preservation import DigestEnds, EvidenceRecord, with_record, without_record
from tests.hub.messagelog.preserving import BEGIN, LIFE, Preserving, a_container, preserving

if TYPE_CHECKING:
    from pathlib import Path

    from hub.envelope import Envelope
    from tests.hub.messagelog.conftest import RunningLog

LAPSED = "envelope.evidence_record_lapsed"


@pytest.fixture
def place(running: RunningLog, tmp_path: Path) -> Preserving:
    return preserving(running, tmp_path)


def stamped(place: Preserving, *, retention: str | None = None) -> Envelope:
    """Keep a container and have it stamped, in a batch of its own."""
    container = a_container()
    place.keep(container, a_container(), retention=retention)
    place.seal()
    place.stamper().work()
    return container


def next_authority(place: Preserving, life: timedelta = LIFE) -> None:
    """Let a newer certificate stamp from now on."""
    now = place.clock.now()
    place.stamps.key = place.stamps.authorities.authority("another", now - timedelta(days=1), now + life)


def move_to(place: Preserving, at: datetime) -> None:
    place.clock.move_to(at)


def chain_lengths(place: Preserving, container: Envelope) -> list[int]:
    der = place.records.of(container.container_sha256)
    return [len(chain) for chain in EvidenceRecord.decode(der).chains]


def test_nothing_is_renewed_before_it_is_due(place: Preserving) -> None:
    stamped(place)
    asked = len(place.stamps.asked)

    place.renewal().look()

    assert place.renewal().due().time_stamps == 0
    assert len(place.stamps.asked) == asked
    assert place.alarms.alarms() == ()


def test_all_that_is_due_is_renewed_with_one_token_and_outlives_its_authority(place: Preserving) -> None:
    containers = [stamped(place) for _ in range(5)]
    size = place.checkpoints.last_stamps(1)[0].size
    move_to(place, BEGIN + LIFE - timedelta(days=300))
    next_authority(place)
    renewal = place.renewal()
    assert (renewal.due().time_stamps, renewal.due().ends_at) == (5, BEGIN + LIFE)
    asked = len(place.stamps.asked)

    renewal.look()

    assert len(place.stamps.asked) == asked + 1
    assert renewal.due().time_stamps == 0
    move_to(place, BEGIN + LIFE + timedelta(days=300))
    for each in containers:
        verified = place.verify(each)
        assert (verified.existed_at, len(verified.time_stamps)) == (BEGIN, 2)
        assert chain_lengths(place, each) == [2]
    assert place.verify_checkpoint(size).existed_at == BEGIN


def test_a_record_outlives_two_renewals(place: Preserving) -> None:
    first = stamped(place)
    move_to(place, BEGIN + LIFE - timedelta(days=200))
    next_authority(place)
    second = stamped(place)
    place.renewal().look()
    move_to(place, place.clock.now() + LIFE - timedelta(days=200))
    next_authority(place)

    place.renewal().look()

    move_to(place, place.clock.now() + LIFE - timedelta(days=400))
    assert [len(place.verify(each).time_stamps) for each in (first, second)] == [3, 2]


def test_evidence_that_nobody_renewed_proves_nothing_any_more_and_a_late_renewal_does_not_help(
    place: Preserving,
) -> None:
    container = stamped(place)
    move_to(place, BEGIN + LIFE + timedelta(days=1))
    with pytest.raises(HubError) as lapsed:
        place.verify(container)
    next_authority(place)

    place.renewal().look()

    with pytest.raises(HubError) as late:
        place.verify(container)
    assert (lapsed.value.code, late.value.code) == (LAPSED, LAPSED)
    assert "before it was renewed" in late.value.detail


def test_a_token_that_would_not_last_longer_is_not_kept_and_operators_hear_of_it(place: Preserving) -> None:
    container = stamped(place)
    move_to(place, BEGIN + LIFE - timedelta(days=100))

    place.renewal().look()

    assert chain_lengths(place, container) == [1]
    [alarm] = open_alarms(place)
    assert (alarm[0], "1 time stamps" in alarm[1]) == ("log.renewal_due", True)
    next_authority(place)
    place.renewal().look()
    assert open_alarms(place) == []
    assert chain_lengths(place, container) == [2]


def test_while_no_authority_answers_operators_hear_of_it(place: Preserving) -> None:
    stamped(place)
    move_to(place, BEGIN + LIFE - timedelta(days=100))
    next_authority(place)
    place.stamps.is_down = True

    place.renewal().look()

    [alarm] = open_alarms(place)
    assert (alarm[0], "the line is cut" in alarm[1]) == ("log.renewal_due", True)


def test_of_two_processes_one_renews_and_the_others_token_is_thrown_away(place: Preserving) -> None:
    container = stamped(place)
    move_to(place, BEGIN + LIFE - timedelta(days=100))
    next_authority(place)

    def meanwhile() -> None:
        place.stamps.meanwhile = lambda: None
        place.renewal().look()

    place.stamps.meanwhile = meanwhile
    place.renewal().look()

    assert chain_lengths(place, container) == [2]
    assert place.verify(container).existed_at >= BEGIN


@pytest.mark.parametrize("digest", ["sha384", "sha512"])
def test_a_stronger_digest_covers_every_container_anew(place: Preserving, digest: str) -> None:
    containers = [stamped(place) for _ in range(3)]
    size = place.checkpoints.last_stamps(1)[0].size
    place.pass_time(days=30)
    told: list[tuple[int, int]] = []

    done = place.renewal().renew_hash_trees(digest, lambda at, of: told.append((at, of)))

    assert (done.objects, done.erased, done.damaged) == (9, 0, 0)
    assert told == [(3, 3)]
    for each in containers:
        assert (place.verify(each).digest, chain_lengths(place, each)) == (digest, [1, 1])
    assert place.verify_checkpoint(size).digest == digest
    assert place.renewal().renew_hash_trees(digest).objects == 0, "it is done"


def test_when_a_digest_ends_the_hub_renews_by_itself_in_time(place: Preserving) -> None:
    container = stamped(place)
    ends = DigestEnds({"sha256": BEGIN + timedelta(days=500)})
    place.renewal(ends).look()
    assert chain_lengths(place, container) == [1]
    place.pass_time(days=200)
    assert place.renewal(ends).due().batches == 1

    place.renewal(ends).look()

    assert (place.renewal(ends).due().batches, open_alarms(place)) == (0, [])
    assert place.verify(container).digest == "sha512"


def test_erased_containers_keep_the_chain_they_have_which_is_renewed_on(place: Preserving) -> None:
    erased = stamped(place, retention="P1M")
    kept = stamped(place)
    place.pass_time(days=365)
    place.erase(erased)

    done = place.renewal().renew_hash_trees("sha512")

    assert (done.objects, done.erased) == (4, 2)
    assert chain_lengths(place, erased) == [1]
    assert chain_lengths(place, kept) == [1, 1]
    move_to(place, BEGIN + LIFE - timedelta(days=100))
    next_authority(place)
    place.renewal().look()
    move_to(place, BEGIN + LIFE + timedelta(days=100))
    # The auditor still has the container; the hub, which destroyed its key, has the record.
    assert place.verify(erased).existed_at == BEGIN
    assert chain_lengths(place, erased) == [2]
    # What was covered anew ends its first chain where it was then, and goes on in the second.
    assert chain_lengths(place, kept) == [1, 2]
    assert place.verify(kept).digest == "sha512"


def test_after_a_second_hash_tree_renewal_all_three_chains_hold(place: Preserving) -> None:
    container = stamped(place)
    for digest in ("sha384", "sha512"):
        place.pass_time(days=30)
        place.renewal().renew_hash_trees(digest)

    assert chain_lengths(place, container) == [1, 1, 1]
    assert len(place.verify(container).time_stamps) == 3


def test_a_container_that_was_changed_is_not_covered_anew(place: Preserving) -> None:
    container = stamped(place)
    with place.running.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE containers SET content = '' WHERE sha256 = '{container.container_sha256}'"  # noqa: S608 (a digest)
        )

    done = place.renewal().renew_hash_trees("sha512")

    assert (done.objects, done.damaged) == (2, 1)
    assert chain_lengths(place, container) == [1]


def test_a_renewed_record_travels_in_the_exported_container(place: Preserving) -> None:
    container = stamped(place)
    place.renewal().renew_hash_trees("sha512")
    record = place.records.of(container.container_sha256)

    assert without_record(with_record(container.raw, record)) == (container.raw, record)


def open_alarms(place: Preserving) -> list[tuple[str, str]]:
    place.running.writer.run(lambda _connection: None)
    return [(alarm.kind.code, alarm.detail) for alarm in place.alarms.alarms()]
