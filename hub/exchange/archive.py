# SPDX-License-Identifier: Apache-2.0
"""Reading what has been exchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.errors import ExchangeError
from hub.exchange import store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from hub.exchange.model import ExchangeRecord
    from hub.identifiers import MessageId, SubsystemId
    from hub.vault import Vault


@dataclass(frozen=True)
class Archive:
    """Exchanges and kept containers, read only."""

    engine: Engine
    vault: Vault

    def exchange(self, message_id: MessageId) -> ExchangeRecord:
        """Return the exchange of a message.

        Raises:
            ExchangeError: `message_unknown`.
        """
        record = self.find(message_id)
        if record is None:
            raise ExchangeError("exchange.message_unknown", message_id)
        return record

    def find(self, message_id: MessageId) -> ExchangeRecord | None:
        """Return the exchange of a message, or None while there is none."""
        with self.engine.connect() as connection:
            return store.find(connection, message_id)

    def conversation(self, conversation: MessageId) -> Sequence[ExchangeRecord]:
        """Return the exchanges of a conversation in the order of their arrival."""
        with self.engine.connect() as connection:
            return store.find_conversation(connection, conversation)

    def latest(self, most: int, *, party: SubsystemId | None = None) -> Sequence[ExchangeRecord]:
        """Return the exchanges that arrived last, the latest first; only those of `party` if one is given."""
        with self.engine.connect() as connection:
            return store.list_latest(connection, most, party)

    def container(self, sha256: str) -> bytes:
        """Return a kept container by its digest.

        Raises:
            ExchangeError: `message_unknown`.
        """
        return self.vault.read(sha256)
