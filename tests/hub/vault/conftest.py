# SPDX-License-Identifier: Apache-2.0
"""A vault over a database and a folder, with a clock that is moved by the test."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hub.clock import FixedClock
from hub.database import Writer, open_database
from hub.envelope import Payload
from hub.messagelog import MessageLog
from hub.tlog import NoteSigner
from hub.vault import ArchivePlaces, Archiver, Eraser, HoldKind, Holds, KeyFolder, LargeFiles, Vault
from tests.hub.envelope.signers import request_envelope
from tests.vaults import a_key_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from hub.envelope import Envelope

ORIGIN = "hub.chenghua.example/log"
NOW = datetime(2026, 3, 15, 8, tzinfo=UTC)


def an_envelope(text: str = "张伟") -> Envelope:
    """Return a container with a text nobody may find in a database."""
    content = f'{{"holder":"{text}"}}'.encode()
    return request_envelope(payloads=(Payload("request.json", "application/json", content),))


@dataclass(frozen=True)
class OpenVault:
    """A vault and what it stands on."""

    engine: Engine
    writer: Writer
    folder: KeyFolder
    clock: FixedClock
    vault: Vault
    log: MessageLog
    eraser: Eraser
    cases: Cases
    archiver: Archiver
    derived: Derived

    def keep(self, *envelopes: Envelope, retention: str | None = None) -> None:
        def work(connection: Connection) -> None:
            for envelope in envelopes:
                self.vault.keep(connection, envelope, retention=retention)

        self.writer.run(work)

    def again(self) -> Vault:
        """Return a vault as another process, or the next start, would have it."""
        return Vault(
            self.engine,
            self.folder,
            self.clock,
            default_retention="P10Y",
            places=self.vault.places,
            files=self.vault.files,
        )


class Cases:
    """Which containers belong to which case or conversation, as a test says."""

    def __init__(self) -> None:
        self.containers: dict[str, list[str]] = {}
        self.asked: list[HoldKind] = []

    def containers_of(self, kind: HoldKind, subject: str) -> list[str]:
        self.asked.append(kind)
        return self.containers.get(subject, [])


class Derived:
    """What was made of containers: remembers which of them it was told to forget."""

    def __init__(self) -> None:
        self.forgotten: list[str] = []
        self.fails_at: int | None = None

    def forget(self, connection: Connection, digests: Sequence[str]) -> None:
        assert connection.in_transaction()
        if self.fails_at is not None and len(self.forgotten) >= self.fails_at:
            raise InterruptedError("cut off")
        self.forgotten += digests


class Records:
    """Evidence records as a test says; no checkpoint was signed yet."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}

    def checkpoint(self) -> str | None:
        return None

    def record_of(self, container_sha256: str) -> bytes | None:
        return self.records.get(container_sha256)


@pytest.fixture
def opened(database_url: str, tmp_path: Path) -> Iterator[OpenVault]:
    engine = open_database(database_url)
    writer = Writer(engine)
    clock = FixedClock(NOW)
    folder = a_key_folder(tmp_path / "keys")
    vault = Vault(
        engine,
        folder,
        clock,
        default_retention="P10Y",
        places=ArchivePlaces(),
        files=LargeFiles(tmp_path / "large"),
    )
    signer = NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
    log = MessageLog(engine, writer, signer, ORIGIN)
    cases = Cases()
    holds, derived = Holds(engine, writer, vault, cases, clock), Derived()
    eraser = Eraser(engine, writer, vault, holds, log, clock, derived)
    archiver = Archiver(
        engine=engine,
        writer=writer,
        vault=vault,
        evidence=Records(),
        origin=ORIGIN,
        signer=signer,
        verifiers=log.verifiers,
        clock=clock,
        work_folder=tmp_path / "archiving",
    )
    yield OpenVault(engine, writer, folder, clock, vault, log, eraser, cases, archiver, derived)
    writer.close()
    engine.dispose()
