# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hub.database import Writer, open_database
from hub.identifiers import MessageId, new_message_id
from hub.messagelog import MessageLog
from hub.tlog import Entry, EntryEvent, LogPosition, NoteSigner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

ORIGIN = "hub.chenghua.example/log"
NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)


def an_entry(message_id: MessageId | None = None) -> Entry:
    return Entry(
        event=EntryEvent.ACCEPTED,
        at=NOW,
        container_sha256="a" * 64,
        message_id=message_id or new_message_id(NOW),
    )


@dataclass(frozen=True)
class RunningLog:
    engine: Engine
    writer: Writer
    signer: NoteSigner
    log: MessageLog

    def append(self, entry: Entry | None = None) -> LogPosition:
        return self.writer.run(lambda connection: self.log.append(connection, entry or an_entry()))

    def append_many(self, count: int) -> None:
        def work(connection: Connection) -> None:
            for _ in range(count):
                self.log.append(connection, an_entry())

        self.writer.run(work)


@pytest.fixture
def running(database_url: str) -> Iterator[RunningLog]:
    engine = open_database(database_url)
    writer = Writer(engine)
    signer = NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
    yield RunningLog(engine, writer, signer, MessageLog(engine, writer, signer, ORIGIN))
    writer.close()
    engine.dispose()
