# SPDX-License-Identifier: Apache-2.0
"""A witness with its own database, and logs that can be honest or not."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from hub.clock import FixedClock
from hub.database import Writer, open_database
from hub.tlog import (
    Checkpoint,
    Cosigner,
    NoteSigner,
    Subtree,
    consistency_spans,
    leaf_hash,
    prove,
    root_of,
    write_base64,
)
from hub.witness import Witness, WitnessedLog
from hub.witness.submissions import Submission

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

ORIGIN = "log.example/2026"
NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)


@dataclass
class Alarmed:
    """An alarm sink that remembers what lasts."""

    open: dict[tuple[str, str], str] = field(default_factory=dict)

    def raise_alarm(self, code: str, subject: str, detail: str) -> None:
        self.open[code, subject] = detail

    def clear(self, code: str, subject: str) -> None:
        self.open.pop((code, subject), None)


@dataclass
class SignedLog:
    """A log whose operator can sign whatever he likes."""

    signer: NoteSigner
    leaves: list[bytes] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return self.signer.name

    def grow(self, count: int, kind: str = "honest") -> SignedLog:
        """Return the same log, longer."""
        first = len(self.leaves)
        more = [leaf_hash(f"{kind} {first + number}".encode()) for number in range(count)]
        return SignedLog(self.signer, self.leaves + more)

    def cut(self, size: int) -> SignedLog:
        """Return the log as it was."""
        return SignedLog(self.signer, self.leaves[:size])

    def checkpoint(self, *extensions: str) -> Checkpoint:
        return Checkpoint(self.origin, len(self.leaves), root_of(self.leaves), extensions)

    def note(self) -> str:
        return self.signer.sign(self.checkpoint().to_text())

    def proof(self, old: int) -> tuple[bytes, ...]:
        def hash_of(subtree: Subtree) -> bytes:
            start = subtree.number << subtree.level
            return root_of(self.leaves[start : start + (1 << subtree.level)])

        return prove(consistency_spans(old, len(self.leaves)), hash_of)

    def submission(self, old: int) -> bytes:
        return Submission(old, self.proof(old) if old <= len(self.leaves) else (), self.note()).encode()


@dataclass
class RunningWitness:
    """A witness, and what can be seen of it from behind."""

    engine: Engine
    writer: Writer
    witness: Witness
    cosigner: Cosigner
    alarms: Alarmed
    clock: FixedClock
    log: SignedLog

    def known(self, origin: str = ORIGIN) -> int | None:
        (state,) = [each for each in self.witness.states() if each.origin == origin]
        return state.size

    def kinds(self) -> list[str]:
        return [each.kind.value for state in self.witness.states() for each in state.evidence]


@contextmanager
def running_witness(
    url: str,
    logs: dict[str, WitnessedLog] | None = None,
    *,
    signer: NoteSigner | None = None,
    cosigner: Cosigner | None = None,
) -> Iterator[RunningWitness]:
    """Open a witness on a database."""
    signer = signer or NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
    cosigner = cosigner or Cosigner("witness.example/w1", Ed25519PrivateKey.generate())
    engine = open_database(url)
    writer = Writer(engine)
    alarms, clock = Alarmed(), FixedClock(NOW)
    known = {ORIGIN: WitnessedLog(ORIGIN, (signer.verifier,))} if logs is None else logs
    witness = Witness(engine=engine, writer=writer, cosigner=cosigner, logs=known, alarms=alarms, clock=clock)
    try:
        yield RunningWitness(engine, writer, witness, cosigner, alarms, clock, SignedLog(signer))
    finally:
        writer.close()
        engine.dispose()


@pytest.fixture(params=["ed25519", "ml-dsa-44"])
def running(database_url: str, request: pytest.FixtureRequest) -> Iterator[RunningWitness]:
    """The same witness with a key of either kind."""
    is_ed25519 = request.param == "ed25519"
    key = Ed25519PrivateKey.generate() if is_ed25519 else MLDSA44PrivateKey.generate()
    with running_witness(database_url, cosigner=Cosigner("witness.example/w1", key)) as started:
        yield started


def body(old: str, proof: tuple[bytes, ...], note: str) -> bytes:
    """Write a request with whatever stands in its first line."""
    return "\n".join((old, *map(write_base64, proof), "", note)).encode()
