# SPDX-License-Identifier: Apache-2.0
"""Keeping containers encrypted, and giving them back byte for byte."""

from __future__ import annotations

import hashlib
import threading
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from hub.contracts import RetentionPeriod
from hub.errors import ExchangeError, VaultError
from hub.vault import archivestore, store
from hub.vault.keyids import KeyId, month_of
from hub.vault.places import ArchivePlaces
from hub.vault.sealing import OVERHEAD_BYTES, container_subject

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from hub.clock import Clock
    from hub.database import Writer
    from hub.envelope import Envelope
    from hub.vault.keyfolder import KeyFolder
    from hub.vault.sealing import DataKey
    from hub.vault.store import StoredContainer

_MOST_CACHED_KEYS = 256


class ContainerState(StrEnum):
    """Where a container is."""

    UNKNOWN = "unknown"
    """It was never here."""
    KEPT = "kept"
    """It lies in the database."""
    ARCHIVED = "archived"
    """It lies in an archive."""
    ERASED = "erased"
    """Its key was destroyed."""


class Vault:
    """Containers by their SHA-256, encrypted under the key of their month and retention period.

    Args:
        engine: of the database.
        folder: of the data keys.
        clock: says which month it is.
        default_retention: of what no contract speaks for.
        places: where archives lie.

    Raises:
        ValueError: the default is no retention period.
    """

    def __init__(
        self,
        engine: Engine,
        folder: KeyFolder,
        clock: Clock,
        *,
        default_retention: str,
        places: ArchivePlaces | None = None,
    ) -> None:
        self._engine = engine
        self.places = places or ArchivePlaces()
        self.folder = folder
        self._clock = clock
        self._default = RetentionPeriod(default_retention).text
        self._current: dict[tuple[str, str], DataKey] = {}
        self._opened: dict[KeyId, DataKey] = {}
        self._on_record: frozenset[KeyId] = frozenset()
        self._erased: frozenset[KeyId] = frozenset()
        self._lock = threading.Lock()

    @property
    def keys_on_record(self) -> frozenset[KeyId]:
        """The keys that were ever used, as of the last `refresh`."""
        return self._on_record

    def prepare(self, writer: Writer, retentions: Iterable[str], *, ahead: timedelta = timedelta()) -> None:
        """Make the keys of this month before a message waits for one.

        Args:
            writer: of the database.
            retentions: the periods the contracts ask for; the default comes by itself.
            ahead: how long before it begins a month's keys are made.

        Raises:
            VaultError, TrustError: as `keep`.
        """
        now = self._clock.now()
        wanted = sorted(
            (month_of(at), retention)
            for at in {now, now + ahead}
            for retention in {self._default, *retentions}
        )
        kept = {(each.month, each.retention) for each in self._on_record - self._erased}
        missing = [place for place in wanted if place not in kept]

        def work(connection: Connection) -> None:
            for place in missing:
                self._enter(connection, self._find_or_make(connection, KeyId(*place), now))

        if missing:
            writer.run(work)
            self.refresh()

    def refresh(self) -> None:
        """Take note of keys that other processes made or destroyed; destroyed ones leave this memory."""
        with self._engine.connect() as connection:
            on_record, erased = store.read_keys(connection), store.read_erased(connection)
        with self._lock:
            self._on_record, self._erased = on_record, erased
            for key_id in erased & self._opened.keys():
                del self._opened[key_id]
            for place in [place for place, key in self._current.items() if key.key_id in erased]:
                del self._current[place]

    def keep(self, connection: Connection, envelope: Envelope, *, retention: str | None = None) -> None:
        """Keep a container inside a unit of the writer; keeping it twice changes nothing.

        Only a longer retention than that of the first time puts it under another key.

        Args:
            connection: of the unit.
            envelope: whose container is kept.
            retention: how long, as `RetentionPeriod`; None is the default of the settings.

        Raises:
            VaultError: `vault.key_missing`, `vault.keys_exposed` or `vault.damaged`: there is no key to use.
            TrustError: the master key's token is away; once a month matters.
        """
        sha256, plain = envelope.container_sha256, envelope.raw
        key = self._key_for(connection, retention or self._default)
        sealed = key.seal(container_subject(sha256), plain)
        if store.insert_container(connection, sha256, key.key_id, len(plain), sealed):
            self._enter(connection, key)
            return
        known = store.read_container(connection, sha256)
        if known is not None and known.erased_at is None and _is_longer(key.key_id, known.key_id):
            store.replace_container(connection, sha256, key.key_id, sealed)
            self._enter(connection, key)

    def read(self, sha256: str, connection: Connection | None = None) -> bytes:
        """Return a kept container by its digest, lower-case hex, wherever it lies.

        Raises:
            ExchangeError: `exchange.message_unknown`: it was never here.
            VaultError: `vault.erased`: its key was destroyed, when and why; `vault.damaged`: it was changed;
                `vault.key_missing`: its key is gone without a record; `vault.archive_missing` and
                `vault.archive_unreachable`: it lies in an archive that is not to be had.
            TrustError: the master key's token is away.
        """
        if connection is None:
            with self._engine.connect() as reading:
                return self.read(sha256, reading)
        stored = store.read_container(connection, sha256)
        if stored is None:
            raise ExchangeError("exchange.message_unknown", sha256)
        if stored.erased_at is not None:
            raise VaultError("vault.erased", f"{stored.erased_at}: {stored.reason}")
        sealed = stored.content if stored.content is not None else self._archived(connection, stored)
        plain = self.key(stored.key_id).open(container_subject(sha256), sealed)
        if hashlib.sha256(plain).hexdigest() != sha256:
            raise VaultError("vault.damaged", f"{sha256} is not what its digest says")
        return plain

    def state(self, sha256: str) -> ContainerState:
        """Tell where a container is, without opening it."""
        with self._engine.connect() as connection:
            stored = store.read_container(connection, sha256)
        if stored is None:
            return ContainerState.UNKNOWN
        if stored.erased_at is not None:
            return ContainerState.ERASED
        return ContainerState.KEPT if stored.archive is None else ContainerState.ARCHIVED

    def seal(
        self, connection: Connection, subject: str, plain: bytes, *, retention: str | None = None
    ) -> tuple[KeyId, bytes]:
        """Encrypt something another slice keeps in its own table.

        Args:
            connection: of a unit of the writer.
            subject: its kind and id, such as `draft:01a…`; always the same text under the same subject.
            plain: the text.
            retention: as for `keep`.

        Returns:
            The key's name and the encrypted text, for `unseal`.

        Raises:
            VaultError, TrustError: as `keep`.
        """
        key = self._key_for(connection, retention or self._default)
        self._enter(connection, key)
        return key.key_id, key.seal(subject, plain)

    def unseal(self, connection: Connection, subject: str, key_id: KeyId, sealed: bytes) -> bytes:
        """Decrypt what `seal` encrypted.

        Raises:
            VaultError, TrustError: as `read`.
        """
        erasure = store.read_erasure(connection, key_id)
        if erasure is not None:
            raise VaultError("vault.erased", f"{erasure.erased_at}: {erasure.reason}")
        return self.key(key_id).open(subject, sealed)

    def key(self, key_id: KeyId) -> DataKey:
        """Return a data key, read from its file once.

        Raises:
            VaultError: `vault.erased` when a record of its erasure lies in its place; otherwise as `read`.
            TrustError: the master key's token is away.
        """
        found = self._opened.get(key_id)
        if found is not None:
            return found
        if self.folder.erasure(key_id) is not None:
            raise VaultError("vault.erased", f"the key {key_id} was destroyed")
        found = self.folder.read(key_id)
        with self._lock:
            while len(self._opened) >= _MOST_CACHED_KEYS:
                del self._opened[next(iter(self._opened))]
            self._opened[key_id] = found
        return found

    def _archived(self, connection: Connection, stored: StoredContainer) -> bytes:
        if stored.archive is None or stored.position is None:
            raise VaultError("vault.damaged", f"{stored.sha256} is nowhere")
        archive = archivestore.read_archive(connection, stored.archive)
        place = self.places.open(archive.place)
        return place.read_range(archive.path, stored.position, stored.size + OVERHEAD_BYTES)

    def _key_for(self, connection: Connection, retention: str) -> DataKey:
        """Return the key that encrypts at present; made, once a month, when it is not there."""
        now = self._clock.now()
        place = (month_of(now), retention)
        found = self._current.get(place)
        if found is None:
            found = self._find_or_make(connection, KeyId(*place), now)
            with self._lock:
                self._current = {at: key for at, key in self._current.items() if at[0] == place[0]}
                self._current[place] = found
        return found

    def _find_or_make(self, connection: Connection, key_id: KeyId, now: datetime) -> DataKey:
        erased = store.read_erased(connection)
        while key_id in erased or self.folder.erasure(key_id) is not None:
            key_id = KeyId(key_id.month, key_id.retention, key_id.number + 1)
        if key_id in store.read_keys(connection):
            # A new key of this name would make unreadable for good what was encrypted under the old one.
            return self.key(key_id)
        return self.folder.create(key_id, now)

    def _enter(self, connection: Connection, key: DataKey) -> None:
        if key.key_id not in self._on_record:
            store.enter_key(connection, key.key_id, self._clock.now())


def _is_longer(one: KeyId, other: KeyId) -> bool:
    return RetentionPeriod(one.retention).is_longer_than(RetentionPeriod(other.retention))
