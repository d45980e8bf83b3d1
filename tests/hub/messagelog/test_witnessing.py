# SPDX-License-Identifier: Apache-2.0
"""The log and its witnesses over real HTTP: honest, slow and hostile ones, and a log put back in time."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from fastapi import FastAPI, Response
from sqlalchemy import text as sql
from sqlalchemy.exc import DatabaseError

from hub.database import Writer, open_database
from hub.errors import LogError, SettingsError
from hub.messagelog import MessageLog, PublishedLog, read_witness_policy
from hub.messagelog.witnessclient import WitnessClient
from hub.messagelog.witnessing import WitnessAsker, Witnessing
from hub.problems import install_problems
from hub.tlog import Cosigner, Note, PolicyWitness, TrustPolicy, VerifierKey, verify_proof
from hub.witness import Submission, WitnessedLog, witness_routes
from tests.hub.messagelog.conftest import ORIGIN, RunningLog
from tests.hub.witness.conftest import Alarmed, RunningWitness, running_witness
from tests.journeys.serving import serving, wait_for
from tests.pki import free_port
from tests.postgresql import on_sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STARTED: list[WitnessAsker] = []
UNREACHABLE, DISAGREES = "log.witness_unreachable", "log.witness_disagrees"


@contextmanager
def a_witness(folder: Path, log: VerifierKey, *, key: object = None) -> Iterator[tuple[RunningWitness, str]]:
    """Run a witness of the log on loopback, with a database of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    cosigner = Cosigner("witness.example/w", key or Ed25519PrivateKey.generate())  # type: ignore[arg-type]  # a key
    logs = {ORIGIN: WitnessedLog(ORIGIN, (log,))}
    with running_witness(f"sqlite:///{folder / 'witness.sqlite'}", logs, cosigner=cosigner) as running:
        app = FastAPI()
        install_problems(app)
        app.include_router(witness_routes(running.witness))
        with serving(app, free_port()) as url:
            yield running, f"{url}/witness"


def policy_of(quorum: str, *witnesses: tuple[str, VerifierKey, str]) -> TrustPolicy:
    lines = [f"witness {name} {key.encode()} {url}" for name, key, url in witnesses]
    return TrustPolicy.decode("\n".join([*lines, f"quorum {quorum}", ""]))


def asker(
    running: RunningLog, witness: PolicyWitness, alarms: Alarmed, *, seconds: float = 5
) -> WitnessAsker:
    client = WitnessClient(witness, httpx2.Client(timeout=seconds, trust_env=False), longest_seconds=seconds)
    started = WitnessAsker(
        log=running.log,
        engine=running.engine,
        writer=running.writer,
        witness=witness,
        alarms=alarms,
        client=client,
    )
    STARTED.append(started)
    return started


@pytest.fixture(autouse=True)
def all_stopped() -> Iterator[None]:
    """Stop whoever a test let ask."""
    yield
    while STARTED:
        STARTED.pop().stop()


@dataclass
class Asking:
    """A log, one witness of it, and who asks."""

    running: RunningLog
    witness: RunningWitness
    asker: WitnessAsker
    published: PublishedLog
    alarms: Alarmed = field(default_factory=Alarmed)

    def sign(self, more: int) -> int:
        self.running.append_many(more)
        return self.running.log.checkpoint().checkpoint.size


@pytest.fixture(params=["ed25519", "ml-dsa-44"])
def asking(running: RunningLog, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Asking]:
    key = Ed25519PrivateKey.generate() if request.param == "ed25519" else MLDSA44PrivateKey.generate()
    with a_witness(tmp_path / "w", running.signer.verifier, key=key) as (witness, url):
        policy = policy_of("w", ("w", witness.witness.verifier, url))
        alarms = Alarmed()
        one = asker(running, policy.witnesses[0], alarms)
        yield Asking(running, witness, one, PublishedLog(running.engine, running.log, policy), alarms)


def test_every_checkpoint_is_cosigned_and_published_with_it(asking: Asking) -> None:
    for more in (1, 2, 0, 7, 300):
        size = asking.sign(more)
        assert asking.asker.work() < 1
        published = asking.published.checkpoint()
        assert published.checkpoint.size == size
        names = [each.name for each in Note.decode(published.note).signatures]
        assert names == [ORIGIN, "witness.example/w"]
        assert asking.published.policy.open(published.note).witnesses.keys() == {"w"}
        assert asking.witness.known(ORIGIN) == size
    assert not asking.alarms.open
    (state,) = asking.published.witnesses()
    assert (state.name, state.size) == ("w", 310)
    assert state.cosigned_at is not None


def test_nothing_is_asked_before_anything_was_signed(asking: Asking) -> None:
    asking.running.append()
    assert asking.asker.work() < 1
    assert asking.witness.known(ORIGIN) is None
    with pytest.raises(LogError, match=r"log\.entry_unknown"):
        asking.published.checkpoint()


def test_a_witness_that_was_told_by_another_process_is_asked_again_from_there(asking: Asking) -> None:
    asking.sign(3)
    asking.asker.work()
    # Another process of the same hub signs, asks, and its answer is not yet in the table.
    size = asking.sign(5)
    proof = asking.running.log.consistency_proof(3, size)
    note = asking.running.log.checkpoint().note
    asking.witness.witness.add_checkpoint(Submission(3, proof, note).encode())
    assert asking.asker.work() < 1
    assert asking.published.witnesses()[0].size == size
    assert not asking.alarms.open


def test_proofs_are_against_the_largest_checkpoint_that_was_witnessed(asking: Asking) -> None:
    asking.sign(5)
    asking.asker.work()
    asking.sign(4)
    policy = asking.published.policy
    proof = asking.published.proof(2)
    assert verify_proof(proof, asking.published.entry(2), policy).checkpoint.size == 5
    assert asking.published.witnessed_checkpoint().checkpoint.size == 5
    # No witness has seen what came later; the log alone vouches for it.
    assert asking.published.checkpoint().checkpoint.size == 9
    late = asking.published.proof(7)
    with pytest.raises(LogError, match=r"log\.not_witnessed"):
        verify_proof(late, asking.published.entry(7), policy)
    with pytest.raises(LogError, match=r"log\.not_witnessed"):
        asking.published.witnessed_checkpoint(6)
    asking.asker.work()
    assert verify_proof(asking.published.proof(7), asking.published.entry(7), policy).checkpoint.size == 9


def test_a_witness_away_raises_an_alarm_and_is_caught_up_with_later(
    running: RunningLog, tmp_path: Path
) -> None:
    alarms = Alarmed()
    with ExitStack() as stack:
        witness, url = stack.enter_context(a_witness(tmp_path / "w", running.signer.verifier))
        key = witness.witness.verifier
        away = PolicyWitness("w", key, f"http://127.0.0.1:{free_port()}")
        one = asker(running, away, alarms)
        pauses = []
        for _ in range(4):
            running.append_many(2)
            running.log.checkpoint()
            pauses.append(one.work())
        assert (UNREACHABLE, "w") in alarms.open
        assert pauses[0] >= 1
        assert pauses[3] >= 8, "ever more slowly"
        back = asker(running, PolicyWitness("w", key, url), alarms)
        assert back.work() < 1
        assert not alarms.open
        assert witness.known(ORIGIN) == 8


def test_a_witness_that_lost_its_memory_is_taught_anew(running: RunningLog, tmp_path: Path) -> None:
    alarms, key = Alarmed(), Ed25519PrivateKey.generate()
    running.append_many(6)
    running.log.checkpoint()
    for folder in ("before", "after"):
        with a_witness(tmp_path / folder, running.signer.verifier, key=key) as (witness, url):
            one = asker(running, PolicyWitness("w", witness.witness.verifier, url), alarms)
            assert one.work() < 1
            assert witness.known(ORIGIN) == 6
    assert not alarms.open


@on_sqlite
def test_a_log_put_back_to_an_older_copy_learns_it_from_its_witness_at_the_next_start(
    database_url: str, running: RunningLog, tmp_path: Path
) -> None:
    file = database_url.removeprefix("sqlite:///")
    with a_witness(tmp_path / "w", running.signer.verifier) as (witness, url):
        known = PolicyWitness("w", witness.witness.verifier, url)
        alarms = Alarmed()
        one = asker(running, known, alarms)
        running.append_many(5)
        running.log.checkpoint()
        one.work()
        with closing(sqlite3.connect(file)) as copying:
            copying.execute("VACUUM INTO ?", (str(tmp_path / "old.sqlite"),))
        running.append_many(5)
        running.log.checkpoint()
        one.work()
        assert witness.known(ORIGIN) == 10

        with older(tmp_path / "old.sqlite", running) as restored:
            # Its own tables say that the witness knows five and all is well.
            again = asker(restored, known, alarms)
            assert again.work() >= 1
            assert "it knows 10 entries" in alarms.open[DISAGREES, "w"]
            # Grown past what the witness knows, with other entries, it is a fork, and refused.
            restored.append_many(8)
            restored.log.checkpoint()
            again.work()
            assert "does not grow" in alarms.open[DISAGREES, "w"]
            assert witness.known(ORIGIN) == 10
            assert ("log.witnessed_log_unproven", ORIGIN) in witness.alarms.open
        # The right database again: the witness agrees, and the alarm ends.
        running.append_many(1)
        running.log.checkpoint()
        asker(running, known, alarms).work()
        assert (DISAGREES, "w") not in alarms.open


@contextmanager
def older(file: Path, running: RunningLog) -> Iterator[RunningLog]:
    engine = open_database(f"sqlite:///{file}")
    writer = Writer(engine)
    yield RunningLog(engine, writer, running.signer, MessageLog(engine, writer, running.signer, ORIGIN))
    writer.close()
    engine.dispose()


def answering(answer: Callable[[], Response]) -> FastAPI:
    app = FastAPI()

    @app.post("/add-checkpoint")
    def add_checkpoint() -> Response:
        return answer()

    return app


def line_of(cosigner: Cosigner, text: str, at: int = 1_700_000_000) -> str:
    return cosigner.cosign(text, at)


def test_a_witness_that_answers_nonsense_is_believed_nothing(running: RunningLog) -> None:
    running.append_many(3)
    note = running.log.checkpoint().note
    text = Note.decode(note).text
    cosigner = Cosigner("witness.example/w", MLDSA44PrivateKey.generate())
    stranger = Cosigner("stranger.example/w", Ed25519PrivateKey.generate())
    plain, size = {"Content-Type": "text/plain"}, {"Content-Type": "text/x.tlog.size"}
    bad: list[Callable[[], Response]] = [
        lambda: Response("", headers=plain),
        lambda: Response("thank you\n", headers=plain),
        lambda: Response(line_of(stranger, text), headers=plain),
        # No time, a cosignature of another checkpoint, and one cut short.
        lambda: Response(line_of(cosigner, text, 0), headers=plain),
        lambda: Response(line_of(cosigner, text.replace("\n3\n", "\n4\n")), headers=plain),
        lambda: Response(line_of(cosigner, text)[:-9] + "\n", headers=plain),
        lambda: Response("x" * 300_000, headers=plain),
        lambda: Response(b"\xff\xfe", headers=plain),
        lambda: Response("3\n", 409, headers=plain),
        lambda: Response("three\n", 409, headers=size),
        lambda: Response("-1\n", 409, headers=size),
        lambda: Response("", 409, headers=size),
        lambda: Response("1\n", 409, headers=size),
        lambda: Response("", 404),
        lambda: Response("", 500),
        lambda: Response("", 307, headers={"Location": "/elsewhere"}),
    ]
    current: list[Callable[[], Response]] = []

    def answer_in_turn() -> Response:
        return current.pop()()

    with serving(answering(answer_in_turn), free_port()) as url:
        for number, answer in enumerate(bad):
            current += [answer] * 4
            alarms = Alarmed()
            assert asker(running, PolicyWitness("w", cosigner.verifier, url), alarms).work() >= 1, number
            assert list(alarms.open) == [(UNREACHABLE, "w")], number
        current.append(lambda: Response(line_of(stranger, text) + line_of(cosigner, text), headers=plain))
        assert asker(running, PolicyWitness("w", cosigner.verifier, url), Alarmed()).work() < 1


def test_a_witness_that_says_422_or_knows_more_disagrees(running: RunningLog) -> None:
    running.append_many(3)
    running.log.checkpoint()
    cosigner = Cosigner("witness.example/w", Ed25519PrivateKey.generate())
    answers = [Response("", 422), Response("4\n", 409, headers={"Content-Type": "text/x.tlog.size"})]
    for answer in answers:
        with serving(answering(lambda answer=answer: answer), free_port()) as url:  # type: ignore[misc]  # a default
            alarms = Alarmed()
            assert asker(running, PolicyWitness("w", cosigner.verifier, url), alarms).work() >= 1
            assert list(alarms.open) == [(DISAGREES, "w")]


def test_a_slow_witness_holds_up_neither_messages_nor_the_others_nor_the_end(
    running: RunningLog, tmp_path: Path
) -> None:
    released = threading.Event()

    def answer() -> Response:
        released.wait(20)
        return Response("", 500)

    alarms = Alarmed()
    with ExitStack() as stack:
        slow_url = stack.enter_context(serving(answering(answer), free_port()))
        witness, url = stack.enter_context(a_witness(tmp_path / "w", running.signer.verifier))
        slow = Cosigner("slow.example/w", Ed25519PrivateKey.generate())
        policy = policy_of("w", ("slow", slow.verifier, slow_url), ("w", witness.witness.verifier, url))
        witnessing = Witnessing([asker(running, each, alarms, seconds=20) for each in policy.witnesses])
        published = PublishedLog(running.engine, running.log, policy)
        running.append_many(4)
        running.log.checkpoint()
        witnessing.start()
        wait_for(lambda: published.witnesses()[1].size == 4)
        begun = time.monotonic()
        running.append_many(10)
        running.log.checkpoint()
        wait_for(lambda: published.witnesses()[1].size == 14)
        assert published.witnesses()[0].size is None
        assert published.witnessed_checkpoint().checkpoint.size == 14
        witnessing.stop()
        assert time.monotonic() - begun < 15
        released.set()


def test_a_quorum_of_two_is_met_when_both_have_cosigned(running: RunningLog, tmp_path: Path) -> None:
    with ExitStack() as stack:
        witnesses = [
            stack.enter_context(a_witness(tmp_path / name, running.signer.verifier)) for name in ("a", "b")
        ]
        keys = [(name, each.witness.verifier, url) for name, (each, url) in zip("ab", witnesses, strict=True)]
        text = policy_of("none", *keys).encode().replace("quorum none", "group both all a b\nquorum both")
        policy = TrustPolicy.decode(text)
        published = PublishedLog(running.engine, running.log, policy)
        one, two = (asker(running, each, Alarmed()) for each in policy.witnesses)
        for size in (2, 4):
            running.append_many(2)
            running.log.checkpoint()
            one.work()
            if size == 2:
                two.work()
        # The second has not seen the later one.
        assert published.witnessed_checkpoint().checkpoint.size == 2
        assert ProofSize.of(published, 0) == 2
        assert ProofSize.of(published, 3) == 4
        two.work()
        assert published.witnessed_checkpoint().checkpoint.size == 4
        assert ProofSize.of(published, 0) == 4


class ProofSize:
    """The size of the checkpoint that a published proof is against."""

    @staticmethod
    def of(published: PublishedLog, index: int) -> int:
        return int(published.proof(index).checkpoint.split("\n")[1])


def test_a_kept_cosignature_that_was_damaged_is_left_out(running: RunningLog, tmp_path: Path) -> None:
    with a_witness(tmp_path / "w", running.signer.verifier) as (witness, url):
        policy = policy_of("w", ("w", witness.witness.verifier, url))
        running.append_many(3)
        running.log.checkpoint()
        asker(running, policy.witnesses[0], Alarmed()).work()
        with running.engine.begin() as connection, pytest.raises(DatabaseError, match="append-only"):
            connection.execute(sql("UPDATE log_cosignatures SET line = 'x'"))
        other = witness.cosigner.cosign(Note.decode(running.log.checkpoint().note).text.replace("3", "4"), 1)
        with running.engine.begin() as connection:
            connection.execute(
                sql("INSERT INTO log_cosignatures VALUES (3, 'another', :line, '2026-03-01T08:00:00.000Z')"),
                {"line": other},
            )
        published = PublishedLog(running.engine, running.log, policy)
        assert other not in published.checkpoint().note
        opened = policy.open(published.checkpoint().note, [running.log.verifier])
        assert opened.witnesses.keys() == {"w"}


@pytest.mark.parametrize(
    "line",
    ["", "log nonsense", "witness w {key}", "witness w {key} ftp://w.example", "witness w {key} w.example"],
)
def test_a_policy_by_which_no_witness_can_be_asked_is_refused(tmp_path: Path, line: str) -> None:
    key = Cosigner("w.example", Ed25519PrivateKey.generate()).verifier.encode()
    quorum = "quorum w" if line.startswith("witness") else ""
    (tmp_path / "policy").write_text(f"{line.format(key=key)}\n{quorum}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="witness_policy"):
        read_witness_policy(tmp_path / "policy")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_witness_policy(tmp_path / "nothing")
    (tmp_path / "policy").write_text(
        f"witness w {key} https://w.example/witness\nquorum w\n", encoding="utf-8"
    )
    assert read_witness_policy(tmp_path / "policy").quorum == "w"
