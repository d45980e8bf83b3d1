# SPDX-License-Identifier: Apache-2.0
"""Erasing what was kept long enough, by destroying its key; nobody can do it silently.

    1. the key's retention is over, its month is past, nothing holds it
    2. a record says what is erased, by whom and why; it and an entry of the message log are one transaction
    3. what was made of the contents, such as what they are searched by, is forgotten in small portions
    4. the key's file is overwritten and removed, the record takes its place
    5. the encrypted contents, worth nothing now, leave the database in small portions

Digests, log entries, proofs and receipts stay and still verify. A crash between 2 and 4 is made good by
`resume`: as long as the key's file is there, what comes before its end is done once more.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hub.canonical import encode_canonical
from hub.clock import format_instant
from hub.errors import VaultError
from hub.tlog import Entry, EntryEvent
from hub.vault import largestore, store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from hub.clock import Clock
    from hub.database import Writer
    from hub.tlog import LogPosition
    from hub.vault.holds import Hold, Holds
    from hub.vault.keyids import KeyId
    from hub.vault.service import Vault
    from hub.vault.store import Erasure

FORMAT = "heliograph-erasure/1"
MOST_ROWS_AT_A_TIME = 100
"""Contents dropped in one unit of the writer: some milliseconds, which a message may have to wait."""


class AppendsToLog(Protocol):
    """The message log, as far as it is needed here."""

    def append(self, connection: Connection, entry: Entry) -> LogPosition:
        """Append an entry inside a unit of the writer."""
        ...


class ForgetsContainers(Protocol):
    """Whoever keeps something that was made of what containers say."""

    def forget(self, connection: Connection, digests: Sequence[str]) -> None:
        """Delete all of it, inside a unit of the writer; doing it twice changes nothing.

        Args:
            connection: of the unit.
            digests: SHA-256 of the containers, lower-case hex.
        """
        ...


@dataclass(frozen=True)
class ErasableKey:
    """A data key, and whether it may be destroyed.

    Attributes:
        key_id: its name.
        containers: how many containers are encrypted under it.
        size: of those containers, octets.
        retention_ends_at: None when never.
        holds: what forbids it.
    """

    key_id: KeyId
    containers: int
    size: int
    retention_ends_at: datetime | None
    holds: tuple[Hold, ...]


@dataclass(frozen=True)
class Eraser:
    """Lists what may be erased, and erases it."""

    engine: Engine
    writer: Writer
    vault: Vault
    holds: Holds
    log: AppendsToLog
    clock: Clock
    derived: ForgetsContainers

    def due(self, at: datetime) -> tuple[ErasableKey, ...]:
        """Return the keys whose retention is over at an instant, held ones as well, the oldest first."""
        with self.engine.connect() as connection:
            kept = store.read_keys(connection) - store.read_erased(connection)
            over = [each for each in sorted(kept) if _is_over(each, at)]
            return tuple(self._erasable(connection, key_id) for key_id in over)

    def look_at(self, key_id: KeyId) -> ErasableKey:
        """Say what destroying a key would erase.

        Raises:
            VaultError: `vault.key_unknown`.
        """
        with self.engine.connect() as connection:
            if key_id not in store.read_keys(connection):
                raise VaultError("vault.key_unknown", str(key_id))
            return self._erasable(connection, key_id)

    def done(self) -> tuple[Erasure, ...]:
        """Return what was erased, the oldest first."""
        with self.engine.connect() as connection:
            return store.read_erasures(connection)

    def erase(
        self,
        key_id: KeyId,
        *,
        reason: str,
        by: str,
        before_its_time: bool = False,
        told: Callable[[int], None] = lambda _rows: None,
    ) -> Erasure:
        """Destroy a key; doing it again finishes what was cut off.

        Args:
            key_id: which.
            reason: why, for good; without personal data.
            by: who does it.
            before_its_time: whether its retention need not be over.
            told: hears how many contents were dropped, portion by portion.

        Raises:
            VaultError: `vault.key_unknown`, `vault.key_in_use`, `vault.not_due`, `vault.held`.
        """
        known_holds = frozenset(hold.id for hold in self.holds.active())
        erasable = self.look_at(key_id)
        digest = self._digest_of_digests(key_id)

        def work(connection: Connection) -> Erasure:
            known = store.read_erasure(connection, key_id)
            if known is not None:
                return known
            now = self.clock.now()
            _require_allowed(erasable, now, before_its_time=before_its_time)
            if not self.holds.ids(connection) <= known_holds:
                # What it covers takes long to find out, so that is not done while messages wait.
                raise VaultError("vault.held", f"{key_id}: a hold was placed just now; try again")
            fields = {
                "at": format_instant(now),
                "before_its_time": before_its_time,
                "by": by,
                "containers": erasable.containers,
                "containers_sha256": digest,
                "format": FORMAT,
                "key": str(key_id),
                "reason": reason,
                "retention_ends_at": format_instant(erasable.retention_ends_at)
                if erasable.retention_ends_at
                else None,
            }
            record = encode_canonical(fields)
            self.log.append(
                connection,
                Entry(event=EntryEvent.ERASED, at=now, container_sha256=hashlib.sha256(record).hexdigest()),
            )
            return store.enter_erasure(connection, key_id, now, reason, record)

        erasure = self.writer.run(work)
        self._complete(erasure, told)
        return erasure

    def resume(self) -> tuple[KeyId, ...]:
        """Destroy keys that a crash left although their erasure is on record; return which."""
        with self.engine.connect() as connection:
            erased = store.read_erased(connection)
            left = erased & set(self.vault.folder.key_ids())
            erasures = [store.read_erasure(connection, key_id) for key_id in sorted(left)]
        for erasure in erasures:
            if erasure is not None:
                self._complete(erasure, lambda _rows: None)
        return tuple(sorted(left))

    def _complete(self, erasure: Erasure, told: Callable[[int], None]) -> None:
        self._forget(erasure.key_id)
        self.vault.folder.destroy(erasure.key_id, erasure.record)
        self.vault.refresh()
        if self.vault.files is not None:
            # Worth nothing without the key; their room on the disk is.
            self.vault.files.remove_all(erasure.key_id)
        after = ""
        while True:
            last = self.writer.run(
                lambda connection, start=after: store.drop_contents(  # type: ignore[misc]
                    connection, erasure.key_id, after=start, most=MOST_ROWS_AT_A_TIME
                )
            )
            if last is None:
                return
            after, dropped = last
            told(dropped)

    def _forget(self, key_id: KeyId) -> None:
        """Have forgotten what was made of the contents, a portion in a unit of the writer."""
        after = ""

        def work(connection: Connection) -> str | None:
            some = store.next_digests(connection, key_id, after=after, most=MOST_ROWS_AT_A_TIME)
            self.derived.forget(connection, some)
            return some[-1] if some else None

        while (last := self.writer.run(work)) is not None:
            after = last

    def _erasable(self, connection: Connection, key_id: KeyId) -> ErasableKey:
        containers, size = store.count_containers(connection, key_id)
        holds = self.holds.on(connection, key_id)
        size += largestore.count_bytes(connection, key_id)
        return ErasableKey(key_id, containers, size, key_id.retention_ends_at, holds)

    def _digest_of_digests(self, key_id: KeyId) -> str:
        """Return SHA-256 over the digests of what is erased, sorted, each with a line feed."""
        digest = hashlib.sha256()
        with self.engine.connect() as connection:
            for sha256 in store.read_digests(connection, key_id):
                digest.update(f"{sha256}\n".encode("ascii"))
        return digest.hexdigest()


def read_record(record: bytes) -> dict[str, object]:
    """Return the fields of an erasure's record."""
    fields: dict[str, object] = json.loads(record)
    return fields


def _require_allowed(erasable: ErasableKey, now: datetime, *, before_its_time: bool) -> None:
    key_id, end = erasable.key_id, erasable.retention_ends_at
    if key_id.is_in_use(now):
        raise VaultError("vault.key_in_use", f"{key_id}, until a day after its month")
    if not before_its_time and not _is_over(key_id, now):
        raise VaultError("vault.not_due", f"{key_id}: {format_instant(end) if end else 'never'}")
    if erasable.holds:
        since = format_instant(erasable.holds[0].placed_at)
        raise VaultError("vault.held", f"{key_id}: {len(erasable.holds)} holds, the first since {since}")


def _is_over(key_id: KeyId, at: datetime) -> bool:
    end = key_id.retention_ends_at
    return end is not None and end <= at
