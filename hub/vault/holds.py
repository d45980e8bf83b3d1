# SPDX-License-Identifier: Apache-2.0
"""Legal holds: what must not be erased although its time is over, because somebody still needs it.

A hold names a case, a conversation or a data key. It stops the destruction of every key under which something
of it is encrypted. What it names may be personal, so it is encrypted like what it protects; who placed and
released it, and when, stays for good.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from hub.contracts import PERMANENT
from hub.errors import VaultError
from hub.identifiers import is_message_id, new_message_id
from hub.vault import store
from hub.vault.keyids import KeyId

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from hub.clock import Clock
    from hub.database import Writer
    from hub.vault.service import Vault


class HoldKind(StrEnum):
    """What a hold names."""

    CASE = "case"
    CONVERSATION = "conversation"
    KEY = "key"

    @classmethod
    def of(cls, subject: str) -> HoldKind:
        """Tell what a subject is by its form; what is neither key nor id is a case number."""
        try:
            KeyId.parse(subject)
        except ValueError:
            return cls.CONVERSATION if is_message_id(subject) else cls.CASE
        return cls.KEY


@dataclass(frozen=True)
class Hold:
    """One hold that was placed."""

    id: str
    kind: HoldKind
    subject: str
    reason: str
    placed_by: str
    placed_at: datetime


class Holdings(Protocol):
    """Who knows which containers belong to a case or a conversation."""

    def containers_of(self, kind: HoldKind, subject: str) -> Iterable[str]:
        """Return the SHA-256 of its containers, lower-case hex."""
        ...


@dataclass(frozen=True)
class Holds:
    """Places, lists and releases holds."""

    engine: Engine
    writer: Writer
    vault: Vault
    holdings: Holdings
    clock: Clock

    def place(self, subject: str, *, reason: str, by: str) -> Hold:
        """Place a hold; what is not here yet, a later message of the same case, is held as well."""
        now = self.clock.now()
        hold = Hold(new_message_id(now), HoldKind.of(subject), subject, reason, by, now)

        def work(connection: Connection) -> None:
            written = json.dumps({"kind": hold.kind, "subject": subject, "reason": reason}).encode()
            key_id, sealed = self.vault.seal(connection, _sealed_as(hold.id), written, retention=PERMANENT)
            store.enter_hold(connection, store.StoredHold(hold.id, None, by, now, key_id, sealed))

        self.writer.run(work)
        return hold

    def release(self, subject: str, *, reason: str, by: str) -> tuple[Hold, ...]:
        """Release every hold on a subject.

        Raises:
            VaultError: `vault.hold_unknown`: there is none.
        """
        now = self.clock.now()

        def work(connection: Connection) -> tuple[Hold, ...]:
            placed = tuple(each for each in self.read(connection) if each.subject == subject)
            for hold in placed:
                release_id = new_message_id(now)
                written = json.dumps({"reason": reason}).encode()
                sealed = self.vault.seal(connection, _sealed_as(release_id), written, retention=PERMANENT)
                store.enter_hold(connection, store.StoredHold(release_id, hold.id, by, now, *sealed))
            return placed

        released = self.writer.run(work)
        if not released:
            raise VaultError("vault.hold_unknown", "nothing of that name is held")
        return released

    def active(self) -> tuple[Hold, ...]:
        """Return the holds that are in force, the oldest first."""
        with self.engine.connect() as connection:
            return self.read(connection)

    def read(self, connection: Connection) -> tuple[Hold, ...]:
        """Return the holds in force, as a transaction sees them."""
        rows = store.read_holds(connection)
        released = {row.releases for row in rows}
        return tuple(
            self._opened(connection, row)
            for row in rows
            if row.releases is None and row.hold_id not in released
        )

    def ids(self, connection: Connection) -> frozenset[str]:
        """Return the ids of the holds in force, without asking what they cover."""
        rows = store.read_holds(connection)
        placed = {row.hold_id for row in rows if row.releases is None}
        return frozenset(placed - {row.releases for row in rows})

    def on(self, connection: Connection, key_id: KeyId) -> tuple[Hold, ...]:
        """Return the holds that stop the destruction of a key."""
        return tuple(hold for hold in self.read(connection) if self._covers(connection, hold, key_id))

    def keys_of(self, hold: Hold) -> frozenset[KeyId]:
        """Return the keys a hold protects at present."""
        with self.engine.connect() as connection:
            return self._keys(connection, hold)

    def _covers(self, connection: Connection, hold: Hold, key_id: KeyId) -> bool:
        return key_id in self._keys(connection, hold)

    def _keys(self, connection: Connection, hold: Hold) -> frozenset[KeyId]:
        if hold.kind is HoldKind.KEY:
            return frozenset({KeyId.parse(hold.subject)})
        return store.read_keys_of(connection, self.holdings.containers_of(hold.kind, hold.subject))

    def _opened(self, connection: Connection, row: store.StoredHold) -> Hold:
        fields = json.loads(self.vault.unseal(connection, _sealed_as(row.hold_id), row.key_id, row.content))
        kind = HoldKind(fields["kind"])
        return Hold(row.hold_id, kind, fields["subject"], fields["reason"], row.by, row.at)


def _sealed_as(hold_id: str) -> str:
    return f"hold:{hold_id}"
