# SPDX-License-Identifier: Apache-2.0
"""What time stamps and witnesses show of a log whose every signature and hash was made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.errors import LogError
from hub.messagelog import Tampering, ask_witness
from hub.tlog import PolicyWitness
from tests.hub.messagelog.intruder import Intruder, filled
from tests.hub.messagelog.test_stamping import Stamping, stamping, validator
from tests.hub.messagelog.test_witnessing import a_witness
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.messagelog import Finding
    from tests.hub.messagelog.conftest import RunningLog

__all__ = ["stamping", "validator"]


@pytest.fixture
def stamped(stamping: Stamping) -> Stamping:
    """A log of four checkpoints, each stamped."""
    for _ in range(4):
        stamping.seal()
        stamping.stamper.work()
    assert found(stamping.running) == []
    return stamping


def found(running: RunningLog) -> list[tuple[Tampering, int | None]]:
    return [(finding.kind, finding.size) for finding in running.log.audit().run().findings]


def test_a_checkpoint_replaced_after_it_was_stamped_is_named(stamped: Stamping) -> None:
    intruder = Intruder(stamped.running)
    intruder.change(2)
    intruder.compute_tree_anew()
    intruder.sign_anew(stamped.running.signer)
    # The first two cover nothing that changed, so they are byte for byte what was stamped.
    assert found(stamped.running) == [(Tampering.STAMP_OTHER, 3), (Tampering.STAMP_OTHER, 4)]


def test_a_time_stamp_of_another_batch_is_named(stamped: Stamping) -> None:
    Intruder(stamped.running).run(
        "UPDATE evidence_stamps SET token = (SELECT token FROM evidence_stamps WHERE number = 1)"
        " WHERE number = 3"
    )
    assert found(stamped.running) == [(Tampering.STAMP_OTHER, 3)]


@pytest.mark.parametrize(
    "change", ["stamped_at = '2020-01-01T00:00:00.000Z'", "token = cast('nothing' AS BLOB)"]
)
def test_a_time_stamp_that_was_changed_is_named(stamped: Stamping, change: str) -> None:
    Intruder(stamped.running).run(f"UPDATE evidence_stamps SET {change} WHERE number = 2")  # noqa: S608 (of this test)
    assert found(stamped.running) == [(Tampering.STAMP_CHANGED, 2)]


def test_time_stamps_that_were_removed_are_missed(stamped: Stamping) -> None:
    Intruder(stamped.running).run("DELETE FROM evidence_batches WHERE size >= 3")
    assert found(stamped.running) == [(Tampering.STAMP_MISSING, 3)]


def test_a_removed_checkpoint_is_missed_by_its_time_stamp(stamped: Stamping) -> None:
    Intruder(stamped.running).run("DELETE FROM log_checkpoints WHERE size = 2")
    assert found(stamped.running) == [(Tampering.CHECKPOINT_DELETED, 2)]


@pytest.fixture
def witnessed(running: RunningLog, tmp_path: Path) -> Iterator[tuple[RunningLog, PolicyWitness]]:
    """A log of nine entries, all of which its witness cosigned."""
    with a_witness(tmp_path / "witness", running.log.verifier) as (witness, url):
        filled(running, (4,), 5)
        filled(running, (9,), 9)
        known = PolicyWitness("w", witness.witness.verifier, url)
        assert ask(running, known) == []
        yield running, known


def ask(running: RunningLog, witness: PolicyWitness) -> list[Finding]:
    return ask_witness(running.log, witness)


def test_a_log_that_grew_is_what_its_witness_knows(witnessed: tuple[RunningLog, PolicyWitness]) -> None:
    running, witness = witnessed
    filled(running, (16,), 16)
    assert ask(running, witness) == []


def test_an_older_database_is_shown_by_a_witness(witnessed: tuple[RunningLog, PolicyWitness]) -> None:
    running, witness = witnessed
    intruder = Intruder(running)
    intruder.run(
        "DELETE FROM log_entries WHERE leaf_index >= 5", "DELETE FROM log_checkpoints WHERE size = 9"
    )
    intruder.compute_tree_anew()
    assert running.log.audit().run().holds
    (finding,) = ask(running, witness)
    assert (finding.kind, finding.first, finding.size) == (Tampering.ROLLED_BACK, 5, 9)


def test_a_log_rewritten_with_the_stolen_key_is_shown_by_a_witness(
    witnessed: tuple[RunningLog, PolicyWitness],
) -> None:
    running, witness = witnessed
    filled(running, (16,), 16)
    intruder = Intruder(running)
    intruder.change(6)
    intruder.compute_tree_anew()
    intruder.sign_anew(running.signer)
    assert running.log.audit().run().holds
    (finding,) = ask(running, witness)
    assert (finding.kind, finding.first, finding.last) == (Tampering.FORKED, 0, 8)


def test_a_witness_that_cannot_be_asked_says_nothing(running: RunningLog, tmp_path: Path) -> None:
    filled(running, (4,), 4)
    with a_witness(tmp_path / "witness", running.log.verifier) as (witness, _url):
        nowhere = PolicyWitness("w", witness.witness.verifier, f"http://127.0.0.1:{free_port()}/witness")
        with pytest.raises(LogError, match=r"log\.witness_unreachable"):
            ask(running, nowhere)
