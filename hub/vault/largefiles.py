# SPDX-License-Identifier: Apache-2.0
"""Containers too large for the database: encrypted piece by piece in files of the data folder.

    <folder>/<key id>/<32 random hex digits>.sealed
    piece n = hub.vault.sealing, subject "file:<random>/<n>", of 256 KiB of the container; the last is shorter

A file grows at its end while its container comes in. What was cut off is taken up at the last byte that is
there and opens. No two pieces can change places, within a file or between files; that one is cut off at its
end shows by its size, which the database knows, and by the container's digest.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hub.errors import VaultError
from hub.vault.keyids import KeyId
from hub.vault.sealing import OVERHEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hub.vault.sealing import DataKey

PIECE_BYTES = 256 * 1024
SEALED_PIECE_BYTES = PIECE_BYTES + OVERHEAD_BYTES

_NAME = re.compile(r"[^/]{1,40}/[0-9a-f]{32}")
_SUFFIX = ".sealed"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Brought to disk from time to time, so that the end of a long file does not wait for all of it.
_FLUSHED_BYTES = 256 * PIECE_BYTES


@dataclass(frozen=True)
class LargeFiles:
    """The folder of the encrypted files.

    Attributes:
        folder: of all of them.
        spare_bytes: how much room on the disk is left to everything else.
    """

    folder: Path
    spare_bytes: int = 0

    def new_name(self, key_id: KeyId) -> str:
        """Return the name of a file that is not there yet."""
        return f"{key_id}/{secrets.token_hex(16)}"

    def require_room(self, more_bytes: int) -> None:
        """Refuse what would not find room on the disk.

        Raises:
            VaultError: `vault.storage_full`.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        free = shutil.disk_usage(self.folder).free
        if free < sealed_size(more_bytes) + self.spare_bytes:
            raise VaultError("vault.storage_full", f"{free} bytes are free, {more_bytes} more are wanted")

    def path(self, name: str) -> Path:
        """Return where a file lies, whether it is there or not."""
        if not _NAME.fullmatch(name):
            raise VaultError("vault.damaged", "not a name of a large file")
        return self.folder / f"{name}{_SUFFIX}"

    def key_id(self, name: str) -> KeyId:
        """Return what a file is encrypted under."""
        return KeyId.parse(name.partition("/")[0])

    def names(self) -> Iterator[str]:
        """Return the names of all files that are there."""
        for path in sorted(self.folder.glob(f"*/*{_SUFFIX}")):
            yield f"{path.parent.name}/{path.name.removesuffix(_SUFFIX)}"

    def age_seconds(self, name: str, now: float) -> float | None:
        """Return how long ago a file was written to; None where it is not there."""
        try:
            return now - self.path(name).stat().st_mtime
        except FileNotFoundError:
            return None

    def size(self, name: str) -> int:
        """Return how many bytes of its container a file may hold; the last piece may turn out to be torn."""
        try:
            return plain_size(self.path(name).stat().st_size)
        except FileNotFoundError:
            return 0

    def remove(self, name: str) -> None:
        """Remove a file; doing it twice does no harm."""
        self.path(name).unlink(missing_ok=True)

    def remove_all(self, key_id: KeyId) -> None:
        """Remove every file under a key."""
        shutil.rmtree(self.folder / str(key_id), ignore_errors=True)

    @contextmanager
    def append(self, name: str, key: DataKey) -> Iterator[FileWriter]:
        """Open a file for writing at its end; when the block ends, all that was written is on disk.

        Raises:
            VaultError: `vault.storage_full`; what was written before stays. `vault.file_busy`: somebody else
                writes to it.
        """
        path = self.path(name)
        with _room_errors(name):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _require_alone(descriptor, name)
            writer = FileWriter(descriptor, name, key)
            writer.take_up()
            try:
                yield writer
            finally:
                writer.flush()
            _flush_folder(path.parent)
            _flush_folder(self.folder)
        finally:
            os.close(descriptor)

    def read(self, name: str, key: DataKey, start: int, stop: int) -> Iterator[bytes]:
        """Yield a container's bytes from one offset up to another.

        Raises:
            VaultError: `vault.damaged`: a piece was changed or is not there.
        """
        try:
            content = self.path(name).open("rb", buffering=0)
        except FileNotFoundError as exc:
            raise VaultError("vault.damaged", f"the file {name} is gone") from exc
        with content:
            yield from open_pieces(content.read, name, key, start, stop, seek=content.seek)


class FileWriter:
    """Writes pieces at the end of a file; one at a time writes to a file."""

    def __init__(self, descriptor: int, name: str, key: DataKey) -> None:
        self._descriptor = descriptor
        self._name = name
        self._key = key
        self._number = 0
        self._waiting = bytearray()
        self._unflushed = 0

    @property
    def offset(self) -> int:
        """How many bytes of the container there are."""
        return self._number * PIECE_BYTES + len(self._waiting)

    def take_up(self) -> None:
        """Begin behind what is there: a last, shorter piece is opened and written anew with what follows."""
        size = os.fstat(self._descriptor).st_size
        self._number, rest = divmod(size, SEALED_PIECE_BYTES)
        if rest > OVERHEAD_BYTES:
            sealed = os.pread(self._descriptor, rest, self._number * SEALED_PIECE_BYTES)
            try:
                self._waiting[:] = self._key.open(piece_subject(self._name, self._number), sealed)
            except VaultError:
                # A crash tore it; its sender has it still.
                self._waiting.clear()

    def truncate(self, offset: int) -> None:
        """Forget what is behind an offset, the beginning of a piece."""
        self._number, self._waiting = offset // PIECE_BYTES, bytearray()
        os.ftruncate(self._descriptor, self._number * SEALED_PIECE_BYTES)

    def write(self, content: bytes | memoryview) -> None:
        """Write more.

        Raises:
            VaultError: `vault.storage_full`.
        """
        rest = memoryview(content)
        while rest:
            room = PIECE_BYTES - len(self._waiting)
            self._waiting += rest[:room]
            rest = rest[room:]
            if len(self._waiting) == PIECE_BYTES:
                self._put(bytes(self._waiting))
                self._number += 1
                self._waiting.clear()

    def flush(self) -> None:
        """Bring everything to disk, the piece that is not full as well."""
        if self._waiting:
            self._put(bytes(self._waiting))
        with _room_errors(self._name):
            os.fsync(self._descriptor)

    def _put(self, piece: bytes) -> None:
        sealed = self._key.seal(piece_subject(self._name, self._number), piece)
        position = self._number * SEALED_PIECE_BYTES
        with _room_errors(self._name):
            written = 0
            while written < len(sealed):
                written += os.pwrite(self._descriptor, sealed[written:], position + written)
            # A longer, torn piece may have been there.
            os.ftruncate(self._descriptor, position + len(sealed))
            self._unflushed += len(sealed)
            if self._unflushed >= _FLUSHED_BYTES:
                os.fdatasync(self._descriptor)
                self._unflushed = 0


@dataclass
class _Reader:
    read: Callable[[int], bytes]
    name: str
    buffer: bytearray = field(default_factory=bytearray)

    def piece(self) -> bytes:
        while len(self.buffer) < SEALED_PIECE_BYTES:
            some = self.read(SEALED_PIECE_BYTES - len(self.buffer))
            if not some:
                break
            self.buffer += some
        found = bytes(self.buffer)
        self.buffer.clear()
        return found


def open_pieces(  # noqa: PLR0913 (what is read, and from where to where)
    read: Callable[[int], bytes],
    name: str,
    key: DataKey,
    start: int,
    stop: int,
    *,
    seek: Callable[[int], object] = lambda _position: None,
) -> Iterator[bytes]:
    """Yield bytes of a container from its encrypted pieces.

    Args:
        read: gives at most so many octets of the encrypted file; none at its end.
        name: of the file.
        key: what it is encrypted under.
        start: offset in the container.
        stop: the offset behind the last byte.
        seek: goes to a place in the encrypted file; without it, `read` begins with the piece of `start`.

    Raises:
        VaultError: `vault.damaged`.
    """
    number = start // PIECE_BYTES
    seek(number * SEALED_PIECE_BYTES)
    reader = _Reader(read, name)
    while number * PIECE_BYTES < stop:
        plain = key.open(piece_subject(name, number), reader.piece())
        first = number * PIECE_BYTES
        wanted = plain[max(start - first, 0) : stop - first]
        if len(plain) < min(PIECE_BYTES, stop - first):
            raise VaultError("vault.damaged", f"the file {name} ends too early")
        if wanted:
            yield wanted
        number += 1


def piece_subject(name: str, number: int) -> str:
    """Return the subject a piece is encrypted as."""
    return f"file:{name.partition('/')[2]}/{number}"


def plain_size(sealed_bytes: int) -> int:
    """Return how many bytes of a container an encrypted file of some size holds."""
    pieces, rest = divmod(sealed_bytes, SEALED_PIECE_BYTES)
    return pieces * PIECE_BYTES + max(rest - OVERHEAD_BYTES, 0)


def sealed_size(plain_bytes: int) -> int:
    """Return how large the encrypted file of a container is, octets."""
    return plain_bytes + -(-plain_bytes // PIECE_BYTES) * OVERHEAD_BYTES


def _require_alone(descriptor: int, name: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise VaultError("vault.file_busy", f"another connection writes to {name}") from exc


@contextmanager
def _room_errors(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise VaultError("vault.storage_full", f"{name} cannot grow") from exc
        raise VaultError("vault.storage_failed", f"{name}: {os.strerror(exc.errno or 0)}") from exc


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
