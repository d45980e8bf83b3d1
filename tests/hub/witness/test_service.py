# SPDX-License-Identifier: Apache-2.0
"""What the witness cosigns, what it refuses in which words, and what it keeps of what was refused."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text as sql
from sqlalchemy.exc import DatabaseError

from hub.errors import LogError
from hub.tlog import (
    EMPTY_ROOT,
    Checkpoint,
    Cosigner,
    Note,
    NoteSigner,
    open_note,
    timestamp_of,
    verify_consistency,
)
from hub.witness import WitnessedLog
from hub.witness.service import OutdatedError
from hub.witness.store import MOST_EVIDENCE
from hub.witness.submissions import Submission
from tests.hub.witness.conftest import NOW, ORIGIN, RunningWitness, SignedLog, body, running_witness

FORKED = ("log.witnessed_log_forked", ORIGIN)
UNPROVEN = ("log.witnessed_log_unproven", ORIGIN)


def refusal(running: RunningWitness, sent: bytes) -> str:
    with pytest.raises(LogError) as caught:
        running.witness.add_checkpoint(sent)
    return caught.value.code.removeprefix("log.submission_")


def outdated(running: RunningWitness, sent: bytes) -> int:
    with pytest.raises(OutdatedError) as caught:
        running.witness.add_checkpoint(sent)
    return caught.value.known_size


def test_a_growing_log_is_cosigned_step_by_step(running: RunningWitness) -> None:
    log, known = running.log, 0
    for growth in (1, 2, 5, 0, 1, 40):
        log = log.grow(growth)
        running.clock.move_to(running.clock.now() + timedelta(minutes=1))
        line = running.witness.add_checkpoint(log.submission(known))
        (holding,) = Note.decode(log.note() + line).verify([running.cosigner.verifier])
        assert holding.timestamp == timestamp_of(running.clock.now())
        known = len(log.leaves)
        assert running.known() == known
    assert running.kinds() == []
    assert not running.alarms.open


def test_an_empty_log_is_cosigned_and_then_grows(running: RunningWitness) -> None:
    assert running.witness.add_checkpoint(running.log.submission(0))
    assert running.witness.add_checkpoint(running.log.submission(0))
    assert running.known() == 0
    assert running.witness.add_checkpoint(running.log.grow(3).submission(0))


def test_an_empty_log_with_another_root_is_not_cosigned(running: RunningWitness) -> None:
    checkpoint = Checkpoint(ORIGIN, 0, sha256(b"not empty").digest())
    note = running.log.signer.sign(checkpoint.to_text())
    assert refusal(running, Submission(0, (), note).encode()) == "inconsistent"


def test_the_same_checkpoint_is_cosigned_again_with_the_new_time(running: RunningWitness) -> None:
    log = running.log.grow(3)
    first = running.witness.add_checkpoint(log.submission(0))
    running.clock.move_to(NOW + timedelta(days=1))
    second = running.witness.add_checkpoint(log.submission(3))
    assert first != second
    note = Note.decode(log.note() + second)
    assert note.verify([running.cosigner.verifier])[0].timestamp == timestamp_of(NOW + timedelta(days=1))


def test_a_clock_set_back_does_not_turn_the_order_of_statements(running: RunningWitness) -> None:
    running.witness.add_checkpoint(running.log.grow(3).submission(0))
    running.clock.move_to(NOW - timedelta(days=1))
    log = running.log.grow(4)
    line = running.witness.add_checkpoint(log.submission(3))
    (holding,) = Note.decode(log.note() + line).verify([running.cosigner.verifier])
    assert holding.timestamp == timestamp_of(NOW)


def test_another_old_size_is_answered_with_the_known_one(running: RunningWitness) -> None:
    running.witness.add_checkpoint(running.log.grow(3).submission(0))
    for old in (0, 1, 2, 4, 5):
        assert outdated(running, running.log.grow(5).submission(old)) == 3
    assert running.known() == 3


def test_a_first_submission_with_an_old_size_is_told_zero(running: RunningWitness) -> None:
    assert outdated(running, running.log.grow(5).submission(3)) == 0


def test_a_size_that_was_cosigned_is_answered_with_the_known_one_and_is_no_evidence(
    running: RunningWitness,
) -> None:
    running.witness.add_checkpoint(running.log.grow(3).submission(0))
    running.witness.add_checkpoint(running.log.grow(8).submission(3))
    assert outdated(running, running.log.grow(3).submission(0)) == 8
    assert running.kinds() == []


@pytest.mark.parametrize("spoil", ["first", "last", "missing", "more", "order"])
def test_a_proof_that_fails_is_refused_and_kept_until_a_right_one_comes(
    running: RunningWitness, spoil: str
) -> None:
    running.witness.add_checkpoint(running.log.grow(3).submission(0))
    log = running.log.grow(13)
    good = log.proof(3)
    flip = sha256(b"another").digest()
    proofs = {
        "first": (flip, *good[1:]),
        "last": (*good[:-1], flip),
        "missing": good[:-1],
        "more": (*good, flip),
        "order": good[::-1],
    }
    assert refusal(running, Submission(3, proofs[spoil], log.note()).encode()) == "inconsistent"
    assert running.known() == 3
    assert running.kinds() == ["unproven"]
    assert UNPROVEN in running.alarms.open
    # Somebody else may have spoiled it on the way.
    running.witness.add_checkpoint(log.submission(3))
    assert not running.alarms.open


def test_an_unproven_checkpoint_stays_an_alarm_while_the_log_grows_past_it(running: RunningWitness) -> None:
    running.witness.add_checkpoint(running.log.grow(3).submission(0))
    forked = running.log.grow(2).grow(4, "forged")
    assert refusal(running, forked.submission(3)) == "inconsistent"
    running.witness.add_checkpoint(running.log.grow(9).submission(3))
    assert UNPROVEN in running.alarms.open


@pytest.mark.parametrize("proof", [(), (sha256(b"one").digest(),)])
def test_a_proof_where_none_is_needed_must_be_empty(
    running: RunningWitness, proof: tuple[bytes, ...]
) -> None:
    log = running.log.grow(3)
    first, again = Submission(0, proof, log.note()).encode(), Submission(3, proof, log.note()).encode()
    if proof:
        assert refusal(running, first) == "inconsistent"
        running.witness.add_checkpoint(log.submission(0))
        # The checkpoint itself is known, so there is nothing to keep against its log.
        assert refusal(running, again) == "inconsistent"
        assert not running.alarms.open
    else:
        assert running.witness.add_checkpoint(first)
        assert running.witness.add_checkpoint(again)


def test_two_roots_of_one_size_are_kept_as_proof_of_a_fork(running: RunningWitness) -> None:
    running.witness.add_checkpoint(running.log.grow(3).submission(0))
    forked = running.log.grow(2).grow(1, "forged")
    assert refusal(running, forked.submission(3)) == "inconsistent"
    assert FORKED in running.alarms.open
    (state,) = running.witness.states()
    (evidence,) = state.evidence
    assert (evidence.kind, evidence.size, evidence.known_size) == ("forked", 3, 3)
    assert evidence.root == forked.checkpoint().root
    # What is kept convinces anybody: both are signed by the log.
    kept = Submission.decode(evidence.submission)
    assert open_note(kept.note, [running.log.signer.verifier]) == forked.checkpoint().to_text()
    known = running.witness.latest(sha256(ORIGIN.encode()).hexdigest())
    assert open_note(known, [running.log.signer.verifier]) == running.log.grow(3).checkpoint().to_text()


def test_a_fork_is_noticed_at_any_size_that_was_ever_cosigned(running: RunningWitness) -> None:
    known = 0
    for size in range(1, 9):
        running.witness.add_checkpoint(running.log.grow(size).submission(known))
        known = size
    # Rolled back to 3 and grown to 5 another way; the log believes we know 3.
    forked = running.log.grow(3).grow(2, "forged")
    assert outdated(running, forked.submission(3)) == 8
    assert running.kinds() == ["forked"]
    assert FORKED in running.alarms.open


def test_a_rolled_back_log_is_kept_and_convicted_once_it_grows_past_what_is_known(
    running: RunningWitness,
) -> None:
    running.witness.add_checkpoint(running.log.grow(8).submission(0))
    back = running.log.grow(3).grow(2, "forged")
    assert outdated(running, back.submission(3)) == 8
    assert running.kinds() == ["smaller"]
    # Alone it may be an old one that somebody sends again.
    assert not running.alarms.open
    later = back.grow(6, "forged")
    assert refusal(running, later.submission(8)) == "inconsistent"
    assert running.kinds() == ["smaller", "unproven"]
    assert UNPROVEN in running.alarms.open
    assert running.known() == 8


def test_two_refused_checkpoints_of_one_size_convict_each_other(running: RunningWitness) -> None:
    running.witness.add_checkpoint(running.log.grow(3).submission(0))
    for kind in ("one way", "another way"):
        assert refusal(running, running.log.grow(2).grow(4, kind).submission(3)) == "inconsistent"
    assert running.kinds() == ["unproven", "forked"]


def test_strange_signatures_below_a_checkpoint_are_not_kept(running: RunningWitness) -> None:
    stranger = NoteSigner("stranger.example", Ed25519PrivateKey.generate())
    text = running.log.grow(3).checkpoint().to_text()
    note = running.log.grow(3).note() + stranger.sign(text).removeprefix(f"{text}\n")
    running.witness.add_checkpoint(Submission(0, (), note).encode())
    published = running.witness.latest(sha256(ORIGIN.encode()).hexdigest())
    assert "stranger" not in published
    names = [each.name for each in Note.decode(published).signatures]
    assert names == [ORIGIN, running.cosigner.name]


def test_evidence_of_one_log_is_kept_up_to_a_limit(database_url: str) -> None:
    with running_witness(database_url) as running:
        running.witness.add_checkpoint(running.log.grow(1).submission(0))
        for number in range(MOST_EVIDENCE + 3):
            root = sha256(number.to_bytes(4, "big")).digest()
            note = running.log.signer.sign(Checkpoint(ORIGIN, 1, root).to_text())
            assert refusal(running, Submission(1, (), note).encode()) == "inconsistent"
        assert len(running.kinds()) == MOST_EVIDENCE


def test_the_same_evidence_is_kept_once(running: RunningWitness) -> None:
    running.witness.add_checkpoint(running.log.grow(3).submission(0))
    forked = running.log.grow(2).grow(1, "forged").submission(3)
    for _ in range(3):
        assert refusal(running, forked) == "inconsistent"
    assert running.kinds() == ["forked"]


def test_the_database_refuses_to_forget_what_was_cosigned(running: RunningWitness) -> None:
    running.witness.add_checkpoint(running.log.grow(3).submission(0))
    assert refusal(running, running.log.grow(2).grow(1, "forged").submission(3)) == "inconsistent"
    for table in ("witness_checkpoints", "witness_evidence"):
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET size = '0'"):  # noqa: S608 - ours
            with running.engine.begin() as connection, pytest.raises(DatabaseError, match="append-only"):
                connection.execute(sql(statement))


def test_a_witness_started_again_remembers(database_url: str) -> None:
    signer = NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
    with running_witness(database_url, signer=signer) as running:
        running.witness.add_checkpoint(running.log.grow(5).submission(0))
    with running_witness(database_url, signer=signer) as running:
        assert outdated(running, running.log.grow(6).submission(0)) == 5
        assert running.witness.add_checkpoint(running.log.grow(6).submission(5))


def test_any_key_of_a_log_may_sign_and_none_of_another_log(database_url: str) -> None:
    keys = [NoteSigner("key.example/a", Ed25519PrivateKey.generate()) for _ in range(2)]
    post_quantum = Cosigner("key.example/pq", MLDSA44PrivateKey.generate())
    other = NoteSigner("other.example", Ed25519PrivateKey.generate())
    origin = "go.sum database tree"
    logs = {
        origin: WitnessedLog(origin, (*(key.verifier for key in keys), post_quantum.verifier)),
        "other.example": WitnessedLog("other.example", (other.verifier,)),
    }
    with running_witness(database_url, logs) as running:
        honest = SignedLog(keys[0]).grow(9)
        known = 0
        for number, size in enumerate((2, 5, 9)):
            part = honest.cut(size)
            text = Checkpoint(origin, size, part.checkpoint().root).to_text()
            note = keys[number].sign(text) if number < 2 else f"{text}\n{post_quantum.cosign(text, 0)}"
            assert running.witness.add_checkpoint(Submission(known, part.proof(known), note).encode())
            known = size
        assert running.known(origin) == 9
        text = Checkpoint(origin, 9, honest.checkpoint().root).to_text()
        assert refusal(running, Submission(9, (), other.sign(text)).encode()) == "untrusted"


def test_a_wrong_signature_of_one_key_spoils_what_another_signed(database_url: str) -> None:
    one, two = (NoteSigner(ORIGIN, Ed25519PrivateKey.generate()) for _ in range(2))
    logs = {ORIGIN: WitnessedLog(ORIGIN, (one.verifier, two.verifier))}
    with running_witness(database_url, logs, signer=one) as running:
        log = running.log.grow(1)
        wrong = two.sign(log.grow(1).checkpoint().to_text()).rpartition("\n\n")[2]
        assert refusal(running, Submission(0, (), log.note() + wrong).encode()) == "untrusted"
        right = two.sign(log.checkpoint().to_text()).rpartition("\n\n")[2]
        assert running.witness.add_checkpoint(Submission(0, (), log.note() + right).encode())


def test_extension_lines_are_cosigned_with_the_rest(database_url: str) -> None:
    with running_witness(database_url) as running:
        text = running.log.grow(1).checkpoint("one more", "and another").to_text()
        note = running.log.signer.sign(text)
        line = running.witness.add_checkpoint(Submission(0, (), note).encode())
        assert open_note(note + line, [running.cosigner.verifier]) == text


@pytest.mark.parametrize("size", [2**63 - 1, 2**63, 2**64 - 1])
def test_the_largest_logs_are_witnessed(running: RunningWitness, size: int) -> None:
    def note(root: bytes) -> str:
        return running.log.signer.sign(Checkpoint(ORIGIN, size, root).to_text())

    root = sha256(b"large").digest()
    assert running.witness.add_checkpoint(Submission(0, (), note(root)).encode())
    assert outdated(running, Submission(0, (), note(root)).encode()) == size
    assert running.witness.add_checkpoint(Submission(size, (), note(root)).encode())
    assert refusal(running, Submission(size, (), note(EMPTY_ROOT)).encode()) == "inconsistent"
    assert running.kinds() == ["forked"]


def test_sizes_are_compared_as_numbers(running: RunningWitness) -> None:
    running.witness.add_checkpoint(running.log.grow(9).submission(0))
    running.witness.add_checkpoint(running.log.grow(10).submission(9))
    assert running.known() == 10


def malformed(log: SignedLog) -> dict[str, bytes]:
    note, text = log.note(), log.checkpoint().to_text()
    signed = log.signer.sign
    one = sha256(b"one").digest()
    return {
        "nothing": b"",
        "no empty line": b"old 0\n" + note.encode(),
        "no old line": f"\n{note}".encode(),
        "only the old line": b"old 0\n\n",
        "two empty lines": f"old 0\n\n\n{note}".encode(),
        "Old": body("Old 0", (), note),
        "no size": body("old", (), note),
        "an empty size": body("old ", (), note),
        "two spaces": body("old  0", (), note),
        "a tab": body("old\t0", (), note),
        "a space behind": body("old 0 ", (), note),
        "leading zero": body("old 00", (), note),
        "leading zero of a number": body("old 01", (), note),
        "a sign": body("old +0", (), note),
        "a minus": body("old -1", (), note),
        "hexadecimal": body("old 0x0", (), note),
        "another script's digit": body("old \u0660", (), note),
        "too large a number": body(f"old {2**64}", (), note),
        "carriage returns": body("old 0", (), note).replace(b"\n", b"\r\n"),
        "a carriage return": body("old 0\r", (), note),
        "a byte order mark": b"\xef\xbb\xbf" + body("old 0", (), note),
        "not UTF-8": body("old 0", (), note) + b"\xff",
        "a proof line that is no base64": body("old 0\n!!!!", (), note),
        "a short proof line": body("old 0\nAAAA", (), note),
        "a long proof line": body("old 0", (one + b"x",), note),
        "a proof line without padding": body("old 0\n" + "A" * 43, (), note),
        "another spelling of a hash": body("old 0\n" + "A" * 42 + "B=", (), note),
        "a proof line with a space": body("old 0\n" + "A" * 43 + "= ", (), note),
        "64 proof lines": body("old 0", (one,) * 64, note),
        "old is larger": body("old 4", (), note),
        "a control character": body("old 0", (), signed(text).replace("\n3\n", "\n3\n\x01\n")),
        "too few lines": body("old 0", (), signed(f"{ORIGIN}\n3\n")),
        "a size that is none": body("old 0", (), signed(text.replace("\n3\n", "\n03\n"))),
        "a negative size": body("old 0", (), signed(text.replace("\n3\n", "\n-3\n"))),
        "a short root": body("old 0", (), signed(f"{ORIGIN}\n3\nAAAA\n")),
        "a root that is no base64": body("old 0", (), signed(f"{ORIGIN}\n3\n!\n")),
        "a body too long": body("old 0", (), note) + b"x" * 600_000,
    }


@pytest.mark.parametrize(
    "what", sorted(malformed(SignedLog(NoteSigner(ORIGIN, Ed25519PrivateKey.generate()))))
)
def test_a_request_of_another_form_is_malformed(database_url: str, what: str) -> None:
    with running_witness(database_url) as running:
        assert refusal(running, malformed(running.log.grow(3))[what]) == "malformed"
        assert running.known() is None


def test_63_proof_lines_are_read_and_then_found_wrong(running: RunningWitness) -> None:
    proof = (sha256(b"one").digest(),) * 63
    assert refusal(running, Submission(0, proof, running.log.grow(3).note()).encode()) == "inconsistent"


@pytest.mark.parametrize(
    "origin", ["another.example", f"{ORIGIN}x", ORIGIN.upper(), f" {ORIGIN}", f"{ORIGIN} ", "log.example"]
)
def test_an_origin_that_is_not_witnessed_is_unknown(running: RunningWitness, origin: str) -> None:
    text = running.log.grow(1).checkpoint().to_text().replace(ORIGIN, origin)
    sent = Submission(0, (), running.log.signer.sign(text)).encode()
    with pytest.raises(LogError, match="unknown log") as caught:
        running.witness.add_checkpoint(sent)
    assert caught.value.code == "log.log_unknown"


def test_a_checkpoint_its_log_did_not_sign_is_untrusted(running: RunningWitness) -> None:
    log = running.log.grow(1)
    text = log.checkpoint().to_text()
    impostor = NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
    renamed = NoteSigner("another.example", log.signer.private_key)
    touched = log.note().replace("\n1\n", "\n2\n")
    note = log.note()
    cases = [
        text,
        f"{text}\n",
        impostor.sign(text),
        renamed.sign(text),
        touched,
        note[:-1],
        f"{note}\n\n",
        f"{note}- {ORIGIN} AAAAAAAA\n",
        f"{note}— {ORIGIN} AAAAAA\n",
        note + "— stranger.example AAAAAAAA\n" * 100,
    ]
    for note in cases:
        assert refusal(running, Submission(0, (), note).encode()) == "untrusted"
    # Who it is comes before whether it fits: the signature is wrong and the old size too large.
    assert refusal(running, Submission(7, (), touched).encode()) == "untrusted"
    assert running.kinds() == []


def test_of_racing_requests_none_takes_back_what_another_was_told(database_url: str) -> None:
    """Two processes' worth of witnesses on one database, asked by many at once, again and again."""
    signer = NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
    cosigner = Cosigner("witness.example/w1", Ed25519PrivateKey.generate())
    grown = SignedLog(signer).grow(60)
    accepted: list[tuple[int, int]] = []
    lock = threading.Lock()
    with (
        running_witness(database_url, signer=signer, cosigner=cosigner) as one,
        running_witness(database_url, signer=signer, cosigner=cosigner) as two,
        ThreadPoolExecutor(8) as callers,
    ):
        known = 0
        while known < 60:
            start = threading.Barrier(8)

            def ask(number: int, known: int = known, start: threading.Barrier = start) -> None:
                witness = (one, two)[number % 2].witness
                part = grown.cut(min(known + 1 + number // 2, 60))
                sent = part.submission(known)
                start.wait()
                with suppress(OutdatedError):
                    witness.add_checkpoint(sent)
                    with lock:
                        accepted.append((known, len(part.leaves)))

            list(callers.map(ask, range(8)))
            known = one.known() or 0
            assert two.known() == known
    # Requests of one size may both be cosigned; of different sizes exactly one was from each start.
    for start_size in {start for start, _ in accepted}:
        assert len({end for start, end in accepted if start == start_size}) == 1
    assert [start for start, _ in accepted] == sorted(start for start, _ in accepted)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_a_log_sends_what_is_cosigned_is_one_history(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("witness")
    with running_witness(f"sqlite:///{folder / 'hub.sqlite'}") as running:
        logs = [running.log.grow(data.draw(st.integers(0, 9)))]
        cosigned: list[SignedLog] = []
        for _ in range(data.draw(st.integers(1, 25))):
            base = data.draw(st.sampled_from(logs))
            grown = base.cut(data.draw(st.integers(0, len(base.leaves)))).grow(
                data.draw(st.integers(0, 4)), data.draw(st.sampled_from(["honest", "forged"]))
            )
            logs.append(grown)
            try:
                running.witness.add_checkpoint(grown.submission(data.draw(st.integers(0, len(grown.leaves)))))
            except LogError:
                continue
            cosigned.append(grown)
        for earlier, later in pairwise(cosigned):
            assert later.leaves[: len(earlier.leaves)] == earlier.leaves
            verify_consistency(
                len(earlier.leaves),
                len(later.leaves),
                earlier.checkpoint().root,
                later.checkpoint().root,
                later.proof(len(earlier.leaves)),
            )


def test_a_submission_is_written_as_it_is_read(running: RunningWitness) -> None:
    sent = running.log.grow(9).submission(4)
    assert Submission.decode(sent).encode() == sent
    assert replace(Submission.decode(sent), old_size=5).encode().startswith(b"old 5\n")
