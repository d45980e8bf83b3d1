# SPDX-License-Identifier: Apache-2.0
"""Keeping containers encrypted, and giving them back byte for byte."""

from __future__ import annotations

import hashlib
import threading
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from hub.contracts import RetentionPeriod
from hub.envelope import Envelope, LargeEnvelope, open_announcement, open_envelope
from hub.errors import ExchangeError, VaultError
from hub.vault import archivestore, largestore, store
from hub.vault.keyids import KeyId, month_of
from hub.vault.largefiles import LargeFiles, open_pieces, sealed_size
from hub.vault.places import ArchivePlaces
from hub.vault.sealing import OVERHEAD_BYTES, container_subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from hub.clock import Clock
    from hub.database import Writer
    from hub.vault.keyfolder import KeyFolder
    from hub.vault.largefiles import FileWriter
    from hub.vault.largestore import LargeContainer
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
        files: where containers lie that are too large for the database; none can be kept without.

    Raises:
        ValueError: the default is no retention period.
    """

    def __init__(  # noqa: PLR0913 (its dependencies)
        self,
        engine: Engine,
        folder: KeyFolder,
        clock: Clock,
        *,
        default_retention: str,
        places: ArchivePlaces | None = None,
        files: LargeFiles | None = None,
    ) -> None:
        self._engine = engine
        self.files = files
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
        if isinstance(envelope, LargeEnvelope):
            self._keep_large(connection, envelope)
            return
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
        if stored.content is None and stored.archive is None:
            raise self._why_not_whole(connection, stored)
        sealed = stored.content if stored.content is not None else self._archived(connection, stored)
        plain = self.key(stored.key_id).open(container_subject(sha256), sealed)
        if hashlib.sha256(plain).hexdigest() != sha256:
            raise VaultError("vault.damaged", f"{sha256} is not what its digest says")
        return plain

    def envelope(self, sha256: str, connection: Connection | None = None) -> Envelope:
        """Open a kept container; of a large one, what its announcement says.

        Raises:
            ExchangeError, VaultError, TrustError: as `read`.
            EnvelopeError: it cannot be opened.
        """
        if connection is None:
            with self._engine.connect() as reading:
                return self.envelope(sha256, reading)
        large = largestore.read_large(connection, sha256)
        if large is None:
            return open_envelope(self.read(sha256, connection))
        announcement = self.unseal(connection, _announced(sha256), large.key_id, large.announcement)
        return open_announcement(announcement).kept_as(large.file)

    def size(self, sha256: str) -> int:
        """Return how large a container is, octets.

        Raises:
            ExchangeError: `exchange.message_unknown`: it was never here.
        """
        with self._engine.connect() as connection:
            stored = store.read_container(connection, sha256)
            large = largestore.read_large(connection, sha256)
        if stored is None:
            raise ExchangeError("exchange.message_unknown", sha256)
        return stored.size if large is None else large.size

    def stream(self, sha256: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield a kept container piece by piece, from one offset up to another.

        Each piece is what was kept in its place; that all of them are the container, its digest says.

        Raises:
            ExchangeError, VaultError, TrustError: as `read`, before the first piece or at a damaged one.
        """
        with self._engine.connect() as connection:
            large = largestore.read_large(connection, sha256)
            if large is None:
                yield self.read(sha256, connection)[start:stop]
                return
            stored = store.read_container(connection, sha256)
        if stored is None:
            raise ExchangeError("exchange.message_unknown", sha256)
        if stored.erased_at is not None:
            raise VaultError("vault.erased", f"{stored.erased_at}: {stored.reason}")
        stop = large.size if stop is None else min(stop, large.size)
        yield from self._read_file(large, start, stop)

    def prove_large(self, large: LargeContainer) -> None:
        """Read a file where it lies, from its first byte to its last, and hold it to its digest.

        Raises:
            VaultError, TrustError: as `read`.
        """
        digest = hashlib.sha256()
        for piece in self._read_file(large, 0, large.size):
            digest.update(piece)
        if digest.hexdigest() != large.sha256:
            raise VaultError("vault.damaged", f"{large.sha256} is not what its digest says")

    def begin_large(self, connection: Connection, *, retention: str | None = None) -> str:
        """Choose the file, and with it the key, of a container that is about to come in.

        Args:
            connection: of a unit of the writer.
            retention: as for `keep`.

        Raises:
            VaultError, TrustError: as `keep`.
        """
        key = self._key_for(connection, retention or self._default)
        self._enter(connection, key)
        return self._require_files().new_name(key.key_id)

    def seal_about(self, sha256: str, kind: str, plain: bytes) -> bytes:
        """Encrypt something about a large container that is kept, under its key.

        Raises:
            ExchangeError: `exchange.message_unknown`: it is not kept, or not large.
            VaultError, TrustError: as `read`.
        """
        return self.key(self._large(sha256).key_id).seal(f"{kind}:{sha256}", plain)

    def unseal_about(self, sha256: str, kind: str, sealed: bytes) -> bytes:
        """Decrypt what `seal_about` encrypted; raises as that does."""
        return self.key(self._large(sha256).key_id).open(f"{kind}:{sha256}", sealed)

    def seal_beside(self, name: str, subject: str, plain: bytes) -> bytes:
        """Encrypt what belongs to a file that comes in, under the file's key."""
        return self.key(self._require_files().key_id(name)).seal(subject, plain)

    def unseal_beside(self, name: str, subject: str, sealed: bytes) -> bytes:
        """Decrypt what `seal_beside` encrypted.

        Raises:
            VaultError, TrustError: as `read`.
        """
        return self.key(self._require_files().key_id(name)).open(subject, sealed)

    def large_size(self, name: str) -> int:
        """Return how many bytes of its container a file may hold."""
        return self._require_files().size(name)

    def require_room(self, more_bytes: int) -> None:
        """Refuse what would not find room on the disk.

        Raises:
            VaultError: `vault.storage_full`.
        """
        self._require_files().require_room(more_bytes)

    def remove_large(self, name: str) -> None:
        """Remove a file no container lies in."""
        self._require_files().remove(name)

    def large_age_seconds(self, name: str, now: float) -> float | None:
        """Return how long ago a file was written to; None where it is not there."""
        return self._require_files().age_seconds(name, now)

    def append_large(self, name: str) -> AbstractContextManager[FileWriter]:
        """Open a file `begin_large` named, to write at its end.

        Raises:
            VaultError: `vault.storage_full`, `vault.storage_failed`; otherwise as `read`.
            TrustError: the master key's token is away.
        """
        files = self._require_files()
        return files.append(name, self.key(files.key_id(name)))

    def read_large(self, name: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield bytes of a file `begin_large` named, whether its container is complete or not.

        Raises:
            VaultError, TrustError: as `read`.
        """
        files = self._require_files()
        return files.read(name, self.key(files.key_id(name)), start, stop)

    def sweep_large(self, in_use: frozenset[str], older_than_seconds: float, now: float) -> int:
        """Remove files no container and no upload needs; return how many.

        Args:
            in_use: files of containers that still come in.
            older_than_seconds: how long nobody must have written to them.
            now: seconds since 1970, as file systems count.
        """
        files = self._require_files()
        removed = 0
        for name in list(files.names()):
            age = files.age_seconds(name, now)
            if name in in_use or age is None or age < older_than_seconds:
                continue
            with self._engine.connect() as connection:
                is_kept = largestore.is_file_kept(connection, name)
            if not is_kept:
                files.remove(name)
                removed += 1
        return removed

    def state(self, sha256: str) -> ContainerState:
        """Tell where a container is, without opening it."""
        with self._engine.connect() as connection:
            stored = store.read_container(connection, sha256)
            large = largestore.read_large(connection, sha256)
        if stored is None:
            return ContainerState.UNKNOWN
        if stored.erased_at is not None:
            return ContainerState.ERASED
        is_archived = stored.archive is not None or (large is not None and large.place is not None)
        return ContainerState.ARCHIVED if is_archived else ContainerState.KEPT

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

    def _keep_large(self, connection: Connection, envelope: LargeEnvelope) -> None:
        """Enter a container whose file is complete; of two files of one container the longer-lived counts."""
        files, sha256 = self._require_files(), envelope.container_sha256
        key = self.key(files.key_id(envelope.file))
        sealed = key.seal(_announced(sha256), envelope.raw)
        large = largestore.LargeContainer(sha256, key.key_id, envelope.size, envelope.file, None, sealed)
        if store.insert_container(connection, sha256, key.key_id, 0, None):
            largestore.enter_large(connection, large)
            return
        known = store.read_container(connection, sha256)
        if known is not None and known.erased_at is None and _is_longer(key.key_id, known.key_id):
            store.replace_container(connection, sha256, key.key_id, None)
            largestore.replace_large(connection, large)

    def _large(self, sha256: str) -> LargeContainer:
        with self._engine.connect() as connection:
            large = largestore.read_large(connection, sha256)
        if large is None:
            raise ExchangeError("exchange.message_unknown", sha256)
        return large

    def _why_not_whole(self, connection: Connection, stored: StoredContainer) -> VaultError:
        large = largestore.read_large(connection, stored.sha256)
        if large is None:
            return VaultError("vault.damaged", f"{stored.sha256} is nowhere")
        return VaultError("vault.too_large", f"{stored.sha256}: {large.size} bytes")

    def _read_file(self, large: LargeContainer, start: int, stop: int) -> Iterator[bytes]:
        if large.place is None:
            yield from self.read_large(large.file, start, stop)
            return
        whole = sealed_size(large.size)
        place, path = self.places.open(large.place), largestore.archived_path(large)
        position = 0

        def seek(to: int) -> None:
            nonlocal position
            position = to

        def read(most: int) -> bytes:
            nonlocal position
            most = min(most, whole - position)
            some = place.read_range(path, position, most) if most > 0 else b""
            position += len(some)
            return some

        yield from open_pieces(read, large.file, self.key(large.key_id), start, stop, seek=seek)

    def _require_files(self) -> LargeFiles:
        if self.files is None:
            raise VaultError("vault.storage_failed", "this vault has no folder for large containers")
        return self.files

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


def _announced(sha256: str) -> str:
    return f"announcement:{sha256}"
