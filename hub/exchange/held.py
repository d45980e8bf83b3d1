# SPDX-License-Identifier: Apache-2.0
"""Which containers belong to a case or a conversation, for a legal hold on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.errors import VaultError
from hub.exchange import store
from hub.identifiers import MessageId
from hub.vault import HoldKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from hub.exchange.model import ExchangeRecord
    from hub.vault import Vault


@dataclass(frozen=True)
class HeldMessages:
    """Finds the containers of a case by reading every kept request, and of a conversation by its id.

    Business keys would find a case at once, but not where there was no search key when a message came; what
    is overlooked here is erased for good. It is asked by `heliograph vault` and in the background only.
    """

    engine: Engine
    vault: Vault

    def containers_of(self, kind: HoldKind, subject: str) -> Iterator[str]:
        """Return the SHA-256 of every container of a case or a conversation, lower-case hex."""
        found = self._conversation(subject) if kind is HoldKind.CONVERSATION else self._case(subject)
        for record in found:
            digests = (record.request_sha256, record.answer_sha256, record.receipt_sha256)
            yield from (digest for digest in digests if digest is not None)

    def _conversation(self, subject: str) -> Iterator[ExchangeRecord]:
        with self.engine.connect() as connection:
            yield from store.find_conversation(connection, MessageId(subject))

    def _case(self, subject: str) -> Iterator[ExchangeRecord]:
        with self.engine.connect() as connection:
            for record in store.all_exchanges(connection):
                if self._case_of(record) == subject:
                    yield record

    def _case_of(self, record: ExchangeRecord) -> str | None:
        try:
            request = self.vault.envelope(record.request_sha256)
        except VaultError as exc:
            if exc.code != "vault.erased":
                raise
            return None
        purpose = request.header.purpose
        return purpose.case if purpose else None
