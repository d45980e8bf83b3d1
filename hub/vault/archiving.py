# SPDX-License-Identifier: Apache-2.0
"""Moving a month's containers into archives, in portions, and never before their archive is proven.

    1. some 64 MiB of a key's containers are written into a file beside the database
    2. the file is put into its place, brought to disk there, read back, verified and opened with the key
    3. the archive is entered; then, in small portions, rows get its number and lose their content

Whatever is cut off is taken up again: an archive that is in its place and not entered is verified and
entered, one that is entered and not finished is finished. One process archives at a time.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

from hub.clock import format_instant
from hub.errors import VaultError
from hub.vault import archivestore, largestore, store
from hub.vault.archivefiles import ArchiveWriter, Circumstances, open_all, verify_archive
from hub.vault.largefiles import sealed_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from hub.clock import Clock
    from hub.database import Writer
    from hub.tlog import NoteSigner, VerifierKey
    from hub.vault.archivefiles import ReadArchive
    from hub.vault.archivestore import ArchiveRow
    from hub.vault.keyids import KeyId
    from hub.vault.largestore import LargeContainer
    from hub.vault.places import ArchivePlace
    from hub.vault.service import Vault

PART_BYTES = 64 * 1024 * 1024
MOST_ROWS_AT_A_TIME = 100
"""Rows changed in one unit of the writer: some milliseconds, which a message may have to wait."""

_LOCK = ".archiving"
_logger = structlog.get_logger(__name__)


class Evidence(Protocol):
    """What the log contributes to an archive."""

    def checkpoint(self) -> str | None:
        """Return the note signed last."""
        ...

    def record_of(self, container_sha256: str) -> bytes | None:
        """Return a container's evidence record (RFC 4998), where there is one."""
        ...


@dataclass(frozen=True, kw_only=True)
class ArchiveReport:
    """What became of looking at one archive.

    Attributes:
        path: in its place.
        place: URL of the place.
        containers: how many it holds, as far as it could be read.
        opened: whether they were opened with their key.
        problem: what is wrong; None when nothing is.
    """

    path: str
    place: str
    containers: int
    opened: bool
    problem: str | None


@dataclass(frozen=True, kw_only=True)
class Archiver:
    """Writes archives, and verifies them.

    Attributes:
        work_folder: where files are written before they go to their place; they are encrypted.
        part_bytes: how large an archive becomes, and one container more.
    """

    engine: Engine
    writer: Writer
    vault: Vault
    evidence: Evidence
    origin: str
    signer: NoteSigner
    verifiers: Sequence[VerifierKey]
    clock: Clock
    work_folder: Path
    part_bytes: int = PART_BYTES

    def waiting(self, now: datetime) -> tuple[KeyId, ...]:
        """Return the keys of months gone by that still have contents in the database, the oldest first."""
        with self.engine.connect() as connection:
            kept = store.read_keys(connection) - store.read_erased(connection)
            over = sorted(each for each in kept if not each.is_in_use(now))
            return tuple(
                each
                for each in over
                if archivestore.has_contents(connection, each) or largestore.has_files(connection, each)
            )

    def archive_month(
        self, month: str, url: str, *, told: Callable[[int], None] = lambda _rows: None
    ) -> tuple[ArchiveRow, ...]:
        """Move everything that was kept in a month into archives.

        Args:
            month: UTC, such as `2026-03`.
            url: of the place.
            told: hears how many contents left the database, portion by portion.

        Raises:
            VaultError: `vault.key_in_use`: the month is not over; `vault.archiving`: another process is at
                it; `vault.archive_unreachable`, `vault.archive_damaged`: for this archive nothing left the
                database.
        """
        with self.engine.connect() as connection:
            kept = store.read_keys(connection) - store.read_erased(connection)
        key_ids = sorted(each for each in kept if each.month == month)
        if any(each.is_in_use(self.clock.now()) for each in key_ids):
            raise VaultError("vault.key_in_use", f"{month} is not over, or was not a day ago")
        with self._alone():
            return tuple(row for key_id in key_ids for row in self.archive_key(key_id, url, told))

    def archive_key(self, key_id: KeyId, url: str, told: Callable[[int], None]) -> Iterator[ArchiveRow]:
        """Move what one key encrypts, part by part; take up first what was cut off."""
        place = self.vault.places.open(url)
        self._archive_files(key_id, place)
        self._take_up(key_id, place, told)
        while True:
            part = self._next_part(key_id)
            path = self._write_part(key_id, part, place)
            if path is None:
                return
            archive = self._prove(place, path)
            yield self._enter(place, path, archive, told)

    def _archive_files(self, key_id: KeyId, place: ArchivePlace) -> None:
        """Move the files under a key: each is copied as it is, read back and opened before it leaves here."""
        files = self.vault.files
        with self.engine.connect() as connection:
            waiting = [each for each in largestore.files_under(connection, key_id) if each.place is None]
        for large in waiting if files is not None else ():
            if files is None:
                raise TypeError("there are files only where there is a folder of them")
            place.put(largestore.archived_path(large), files.path(large.file))
            self.vault.prove_large(replace(large, place=place.url))
            self.writer.run(
                lambda connection, large=large: largestore.move_large(  # type: ignore[misc]
                    connection, large, place.url
                )
            )
            files.remove(large.file)

    def rows(self) -> tuple[ArchiveRow, ...]:
        """Return every archive there is, the oldest key first."""
        with self.engine.connect() as connection:
            return archivestore.read_archives(connection)

    def verify(self, row: ArchiveRow, *, with_key: bool = True) -> ArchiveReport:
        """Check an archive in its place, and that the database says the same; never raises for what it finds.

        Args:
            row: which.
            with_key: also open every container, where its key was not destroyed.
        """
        containers, opened = row.containers, False
        try:
            archive = verify_archive(
                row.path, self.vault.places.open(row.place).read(row.path), self.verifiers
            )
            with self.engine.connect() as connection:
                is_erased = row.key_id in store.read_erased(connection)
                rows = archivestore.read_places(connection, row.number)
            _require_same(row, archive, rows)
            if with_key and not is_erased:
                open_all(archive, self.vault.key(row.key_id))
                opened = True
        except VaultError as exc:
            return _report(row, containers, opened=opened, problem=f"{exc.code}: {exc.detail}")
        return _report(row, len(archive.contents), opened=opened, problem=None)

    def files(self) -> tuple[LargeContainer, ...]:
        """Return the containers that were archived as files of their own."""
        with self.engine.connect() as connection:
            erased = store.read_erased(connection)
            return tuple(each for each in largestore.archived_files(connection) if each.key_id not in erased)

    def verify_file(self, large: LargeContainer, *, with_key: bool = True) -> ArchiveReport:
        """Check a large container in its place; never raises for what it finds.

        Args:
            large: which.
            with_key: also read and open it as a whole.
        """
        path, place, problem = largestore.archived_path(large), large.place or "", None
        try:
            _require_size(path, self.vault.places.open(place).size(path), sealed_size(large.size))
            if with_key:
                self.vault.prove_large(large)
        except VaultError as exc:
            problem = f"{exc.code}: {exc.detail}"
        return ArchiveReport(
            path=path, place=place, containers=1, opened=with_key and problem is None, problem=problem
        )

    def verify_elsewhere(self, url: str, *, with_key: bool = True) -> ArchiveReport:
        """Check a copy of an archive anywhere; never raises for what it finds.

        Args:
            url: of the file; its name and the folder it is in are the archive's own.
            with_key: also open every container.
        """
        folder, _, name = url.rpartition("/")
        root, _, key = folder.rpartition("/")
        path, containers, opened = f"{key}/{name}", 0, False
        try:
            archive = verify_archive(path, self.vault.places.open(root or ".").read(path), self.verifiers)
            containers = len(archive.contents)
            if with_key:
                open_all(archive, self.vault.key(archive.key_id))
                opened = True
        except VaultError as exc:
            problem: str | None = f"{exc.code}: {exc.detail}"
        else:
            problem = None
        return ArchiveReport(path=path, place=root, containers=containers, opened=opened, problem=problem)

    def count(self, month: str) -> int:
        """Return how many containers of a month there are, archived or not."""
        with self.engine.connect() as connection:
            kept = store.read_keys(connection) - store.read_erased(connection)
            return sum(store.count_containers(connection, each)[0] for each in kept if each.month == month)

    def _take_up(self, key_id: KeyId, place: ArchivePlace, told: Callable[[int], None]) -> None:
        with self.engine.connect() as connection:
            known = archivestore.read_archives(connection, key_id)
        for row in known:
            if not row.is_finished:
                archive = self._prove(self.vault.places.open(row.place), row.path)
                self._finish(row, archive, told)
        entered = {row.path for row in known if row.place == place.url}
        for path in place.names(str(key_id)):
            if path in entered or not path.endswith(".zip"):
                continue
            try:
                archive = self._prove(place, path)
            except VaultError as exc:
                _logger.warning("vault.archive_left_alone", path=path, detail=exc.detail)
                continue
            self._enter(place, path, archive, told)

    def _next_part(self, key_id: KeyId) -> int:
        with self.engine.connect() as connection:
            return max((row.part for row in archivestore.read_archives(connection, key_id)), default=0) + 1

    def _write_part(self, key_id: KeyId, part: int, place: ArchivePlace) -> str | None:
        self.work_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=self.work_folder) as folder:
            file = Path(folder) / "archive.zip"
            writer = ArchiveWriter(file)
            with self.engine.connect() as connection:
                for sha256, size, sealed in archivestore.read_contents(connection, key_id):
                    writer.add(sha256, size, sealed, self.evidence.record_of(sha256))
                    if writer.size >= self.part_bytes:
                        break
            about = Circumstances(
                origin=self.origin,
                key_id=key_id,
                part=part,
                created_at=format_instant(self.clock.now()),
                checkpoint=self.evidence.checkpoint(),
            )
            path = writer.close(about, self.signer)
            if not writer.contents:
                return None
            place.put(path, file)
        return path

    def _prove(self, place: ArchivePlace, path: str) -> ReadArchive:
        """Read an archive back, verify it and open all that is in it."""
        archive = verify_archive(path, place.read(path), self.verifiers)
        open_all(archive, self.vault.key(archive.key_id))
        return archive

    def _enter(
        self, place: ArchivePlace, path: str, archive: ReadArchive, told: Callable[[int], None]
    ) -> ArchiveRow:
        now = self.clock.now()
        row = self.writer.run(
            lambda connection: archivestore.enter_archive(connection, place.url, path, archive, now)
        )
        self._finish(row, archive, told)
        return row

    def _finish(self, row: ArchiveRow, archive: ReadArchive, told: Callable[[int], None]) -> None:
        for start in range(0, len(archive.contents), MOST_ROWS_AT_A_TIME):
            some = archive.contents[start : start + MOST_ROWS_AT_A_TIME]
            moved = self.writer.run(
                lambda connection, some=some: archivestore.move_contents(connection, row, some)  # type: ignore[misc]
            )
            told(moved)
        self.writer.run(lambda connection: archivestore.finish_archive(connection, row.number))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        file = self.vault.folder.path / _LOCK
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            os.close(descriptor)
            raise VaultError("vault.archiving", "another process writes archives") from exc
        try:
            yield
        finally:
            os.close(descriptor)


def _require_size(path: str, size: int, expected: int) -> None:
    if size != expected:
        raise VaultError("vault.archive_damaged", f"{path} has {size} bytes in place of {expected}")


def _require_same(row: ArchiveRow, archive: ReadArchive, rows: frozenset[tuple[str, int]]) -> None:
    told = {(each.sha256, each.position) for each in archive.contents}
    if archive.sha256 != row.sha256 or not rows <= told:
        raise VaultError("vault.archive_damaged", f"{row.path} is not what the database says")


def _report(row: ArchiveRow, containers: int, *, opened: bool, problem: str | None) -> ArchiveReport:
    return ArchiveReport(
        path=row.path, place=row.place, containers=containers, opened=opened, problem=problem
    )
