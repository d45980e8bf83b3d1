# SPDX-License-Identifier: Apache-2.0
"""Messages whose try nobody works on any more, and letting them be tried again.

A message is in progress from the moment it is accepted until its exchange is concluded, and another copy of
it is refused meanwhile. Its row names the process that works on it. When that process has ended, or has lost
sight of it, the message is released: what became of it at the recipient is unknown, so its sender decides
whether to send it again.

    who worked on it                            when it is released
    a process that ended, on SQLite             when the next one starts: there is one at a time
    a process that ended, on PostgreSQL         when it was missed twice in a row by one that serves
    this process, which does so no more         when it was found twice in a row, after a failed write
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import structlog

from hub.exchange import store

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from hub.database import ServingClaim, Writer
    from hub.identifiers import MessageId

_logger = structlog.get_logger(__name__)


class Interruptions:
    """What this process works on, and what nobody does.

    Args:
        engine: opened by `hub.database.open_database`.
        writer: the engine's.
        claim: this process's; `number` is what rows name.
    """

    def __init__(self, engine: Engine, writer: Writer, claim: ServingClaim) -> None:
        self._engine = engine
        self._writer = writer
        self._claim = claim
        self._under_way: Counter[MessageId] = Counter()
        self._suspects: frozenset[store.Try] = frozenset()

    @property
    def worker(self) -> int:
        """What a row says when this process works on it."""
        return self._claim.number

    def begin(self, message_id: MessageId) -> None:
        """Say that this process works on a message, before its row can be there."""
        self._under_way[message_id] += 1

    def end(self, message_id: MessageId) -> None:
        """Say that it does so no more, whatever came of it."""
        self._under_way[message_id] -= 1
        if not self._under_way[message_id]:
            del self._under_way[message_id]

    def start(self) -> None:
        """Release what an earlier process left; where others may serve, take the first look at it."""
        if self._engine.dialect.name == "sqlite":
            self._suspects = self._abandoned()
        self.look()

    def look(self) -> None:
        """Release what was already abandoned at the last look.

        Once is not enough: a process may have lost its claim with a connection and be about to take it again,
        and a row may have been read that was concluded a moment later.
        """
        abandoned = self._abandoned()
        confirmed = abandoned & self._suspects
        self._suspects = abandoned - confirmed
        if not confirmed:
            return
        count = self._writer.run(lambda connection: _release(connection, confirmed))
        _logger.warning("exchange.interrupted", count=count)

    def _abandoned(self) -> frozenset[store.Try]:
        with self._engine.connect() as connection:
            # Who claims after this was read has begun nothing that the query after it could miss.
            tries = store.list_in_progress(connection)
            living = self._claim.living(connection)
        return frozenset(
            each
            for each in tries
            if each.worker not in living
            or (each.worker == self.worker and each.message_id not in self._under_way)
        )


def _release(connection: Connection, tries: frozenset[store.Try]) -> int:
    return sum(store.release(connection, each) for each in tries)
