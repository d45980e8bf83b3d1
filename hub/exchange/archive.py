# SPDX-License-Identifier: Apache-2.0
"""Reading what has been exchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.errors import ExchangeError
from hub.exchange import store
from hub.exchange.search_store import find_one, find_page
from hub.exchange.searching import Found, Search, merge, plan, window_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from hub.exchange.model import ExchangeRecord
    from hub.exchange.searchkeys import SearchKeys, StoredKey
    from hub.identifiers import MessageId, SubsystemId
    from hub.vault import Vault


@dataclass(frozen=True)
class Archive:
    """Exchanges and kept containers, read only."""

    engine: Engine
    vault: Vault
    search_keys: SearchKeys | None = None

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
        return self.search(Search(most=most, party=party)).records

    def search(self, search: Search) -> Found:
        """Return a page of what is looked for.

        Raises:
            ExchangeError: `search_invalid`: a cursor or a key's name is not one; `search_unavailable`: a
                business key is looked for, and the hub has no search key.
        """
        keys = self._stored_keys(search)
        window = window_of(search)
        with self.engine.connect() as connection:
            if search.message_id is not None:
                one = find_one(connection, search, keys, window)
                return Found(() if one is None else (one,), None)
            walks = [
                find_page(connection, walk, keys, window, search.most + 1)
                for walk in plan(search, by_key=bool(keys))
            ]
        return merge(walks, search.most)

    def _stored_keys(self, search: Search) -> tuple[StoredKey, ...]:
        if not search.keys:
            return ()
        if self.search_keys is None:
            raise ExchangeError("exchange.search_unavailable", "no search_key is set")
        return self.search_keys.look_for(search.keys)

    def container(self, sha256: str) -> bytes:
        """Return a kept container by its digest.

        Raises:
            ExchangeError: `message_unknown`.
        """
        return self.vault.read(sha256)
