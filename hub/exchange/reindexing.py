# SPDX-License-Identifier: Apache-2.0
"""Business keys computed anew from the kept containers: after the search key or a contract changed.

Message by message, so that it may be stopped at any time and run beside a hub that serves. What was erased
cannot be read any more, so its keys are gone afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.contracts import PayloadSyntaxError, Side, parse_json
from hub.envelope import Kind
from hub.errors import HubError
from hub.exchange import store
from hub.exchange.search_store import forget_keys, keep_keys
from hub.exchange.searchkeys import purpose_keys
from hub.tlog import EntryEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection, Engine

    from hub.contracts import BusinessKey, Contract, JsonValue
    from hub.database import Writer
    from hub.envelope import Envelope
    from hub.exchange.model import ExchangeRecord
    from hub.exchange.searchkeys import SearchKeys, StoredKey
    from hub.identifiers import ContractId
    from hub.messagelog import MessageLog
    from hub.vault import Vault

_AT_A_TIME = 200


@dataclass(frozen=True)
class Reindexed:
    """What was done: how many messages there are, and how many of them could not be read."""

    messages: int
    unreadable: int


@dataclass(frozen=True, kw_only=True)
class Reindexer:
    """Computes business keys anew."""

    engine: Engine
    writer: Writer
    vault: Vault
    log: MessageLog
    contracts: Mapping[ContractId, Contract]
    search_keys: SearchKeys

    def run(self, progress: Callable[[int, int], None] = lambda _done, _total: None) -> Reindexed:
        """Go through all messages; `progress` is told how many were done, and how many there are."""
        done = unreadable = 0
        after = ""
        with self.engine.connect() as connection:
            total = store.count(connection)
        while records := self._next(after):
            found = [(record, self._keys_of(record)) for record in records]
            self.writer.run(lambda connection, found=found: _keep(connection, found))  # type: ignore[misc]  # mypy cannot type a default
            done += len(records)
            unreadable += sum(keys is None for _, keys in found)
            after = records[-1].message_id
            progress(done, max(total, done))
        return Reindexed(done, unreadable)

    def _next(self, after: str) -> list[ExchangeRecord]:
        with self.engine.connect() as connection:
            return store.list_after(connection, after, _AT_A_TIME)

    def _keys_of(self, record: ExchangeRecord) -> tuple[StoredKey, ...] | None:
        """Return the keys of a message; None when its request cannot be read."""
        try:
            request = self.vault.envelope(record.request_sha256)
        except HubError:
            # Erased or lost; which of the two, the vault says to who asks for the message.
            return None
        keys = [*purpose_keys(request.header)]
        if self._was_accepted(request):
            keys += self._promoted(request, request, Side.REQUEST)
        if record.answer_sha256 is not None:
            try:
                answer = self.vault.envelope(record.answer_sha256)
            except HubError:
                return self.search_keys.store(keys)
            if answer.header.kind is Kind.RESPONSE:
                keys += self._promoted(request, answer, Side.ANSWER)
        return self.search_keys.store(keys)

    def _was_accepted(self, request: Envelope) -> bool:
        """Tell whether a message came so far; what is refused before is not found by its content."""
        return any(
            logged.entry.event is EntryEvent.ACCEPTED
            and logged.entry.container_sha256 == request.container_sha256
            for logged in self.log.entries_of(request.header.id)
        )

    def _promoted(self, request: Envelope, source: Envelope, side: Side) -> tuple[BusinessKey, ...]:
        contract = self.contracts.get(request.header.contract) if request.header.contract else None
        if contract is None:
            return ()
        documents: dict[str, JsonValue] = {}
        for promotion in contract.promoted:
            raw = source.payloads.get(promotion.file_name)
            if promotion.side is side and raw is not None and promotion.file_name not in documents:
                try:
                    documents[promotion.file_name] = parse_json(raw)
                except PayloadSyntaxError:
                    # A refused request; it is found by its case.
                    continue
        return contract.promote(side, documents)


def _keep(connection: Connection, found: list[tuple[ExchangeRecord, tuple[StoredKey, ...] | None]]) -> None:
    for record, keys in found:
        forget_keys(connection, record.message_id)
        keep_keys(connection, record.message_id, keys or ())
