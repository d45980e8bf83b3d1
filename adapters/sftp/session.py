# SPDX-License-Identifier: Apache-2.0
"""One SFTP session: atomic publishing, reading files that are finished, and going on where one was cut off.

OpenSSH's server cannot compute digests, so whether a file came over whole is known from what stands beside
it, and whether it is finished from one of the rules in `adapters.sftp.finishing`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.sftp.connecting import Login, Patience, connected
from adapters.sftp.protocol import Attributes, Opening, SftpClient, Status, StatusError
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import paramiko

_DIGEST = re.compile(rb"\\?([0-9a-fA-F]{64})(?:[ \t][^\r\n]*)?(?:\r?\n)?")
_PIECE_BYTES = 1024 * 1024
_COMPARED_BYTES = 64 * 1024
_SMALL_FILE_BYTES = 64 * 1024
_MISSING = {Status.NO_SUCH_FILE}


@dataclass(frozen=True)
class Waiting:
    """For how long and how large an answer file is waited for.

    Attributes:
        poll_seconds: how often it is looked for.
        settle_seconds: how long a file that does not match its digest has to stay unchanged before it is
            called damaged and not merely unfinished.
    """

    poll_seconds: float
    settle_seconds: float
    most_bytes: int


@contextmanager
def opened(login: Login, patience: Patience) -> Iterator[Session]:
    """Connect, sign in, and close at the end; raises as `adapters.sftp.connecting.connected` does."""
    with connected(login, patience) as (client, channel):
        yield Session(client, channel, patience, staging=login.settings.staging)


class Session:
    """An open SFTP session, for one thread."""

    def __init__(
        self, client: SftpClient, channel: paramiko.Channel, patience: Patience, *, staging: str | None = None
    ) -> None:
        self._client = client
        self._channel = channel
        self._patience = patience
        self._staging = staging

    def publish(self, folder: str, name: str, content: bytes) -> None:
        """Write a small file under a name nobody looks for, then give it its own, in one step.

        Raises:
            AdapterError: `adapter.folder_missing`; `adapter.file_not_written`, of which nothing is left.
        """
        self._publish(
            folder, name, hashlib.sha256(content).hexdigest(), len(content), lambda at: [content[at:]]
        )

    def publish_file(self, folder: str, name: str, file: Path, *, sha256: str) -> None:
        """Write a file of any size as `publish` does; one that was cut off goes on where it was.

        Args:
            folder: where to.
            name: under which name.
            file: on this machine; it does not change meanwhile.
            sha256: its digest, by which what is there of it is known again.
        """

        def content(start: int) -> Iterator[bytes]:
            with file.open("rb") as source:
                source.seek(start)
                while piece := source.read(_PIECE_BYTES):
                    self._limit()
                    yield piece

        self._publish(folder, name, sha256, file.stat().st_size, content)

    def _publish(
        self, folder: str, name: str, sha256: str, size: int, content: Callable[[int], Iterable[bytes]]
    ) -> None:
        self._limit()
        # Of two files with one name only the same content goes on where the other stopped.
        known = hashlib.sha256(f"{name}\0{sha256}".encode("utf-8", "surrogateescape")).hexdigest()[:24]
        hidden = f"{self._staging or folder}/.{known}.part"
        start = self._already_there(hidden, size, content)
        how = (Opening.WRITE, Opening.CREATE) if start else (Opening.WRITE, Opening.CREATE, Opening.TRUNCATE)
        with self._in_folder(self._staging or folder):
            handle = self._client.open(hidden, *how)
        try:
            self._client.write(handle, start, content(start))
            self._client.flush(handle)
            written = self._client.stat_open(handle).size
            self._client.close(handle)
        except StatusError as exc:
            raise self._not_written(exc.status, folder, name, hidden) from exc
        if written not in {size, None}:
            raise self._not_written(Status.FAILURE, folder, name, hidden)
        with self._in_folder(folder):
            self._client.replace(hidden, f"{folder}/{name}")

    def _already_there(self, hidden: str, size: int, content: Callable[[int], Iterable[bytes]]) -> int:
        """Return how much of a file is there already, and is what it should be."""
        state = self.find(hidden)
        there = (state.size or 0) if state else 0
        if not 0 < there <= size:
            return 0
        start = max(0, there - _COMPARED_BYTES)
        handle = self._client.open(hidden, Opening.READ)
        last = b"".join(self._client.read(handle, start, there))
        self._client.close(handle)
        wanted = b""
        for piece in content(start):
            wanted += piece
            if len(wanted) >= len(last):
                break
        return there if wanted[: len(last)] == last else 0

    def _not_written(self, status: Status, folder: str, name: str, hidden: str) -> AdapterError:
        """Take away what was written of a file, and say what is known of the reason."""
        with suppress(StatusError):
            self._client.remove(hidden)
        try:
            free = self._client.free_bytes(folder)
        except StatusError:
            free = None
        room = "" if free is None else f"; its disk has {free} bytes left for this user"
        return AdapterError("adapter.file_not_written", f"{folder}/{name}: {status.name.lower()}{room}")

    def fetch(self, path: str, to: Path, seen: Attributes, is_stopped: Callable[[], bool]) -> str:
        """Bring a file here, or what is missing of it, and return its SHA-256.

        Args:
            path: at the server.
            to: on this machine; what is there already is taken for the file's beginning.
            seen: what the server said of the file when it was found finished.
            is_stopped: whether to leave off; what is here then is gone on with later.

        Raises:
            AdapterError: `adapter.file_unfinished`, it changes while it is read, and nothing of it is kept;
                `adapter.storage_full`, this machine cannot hold it.
            InterruptedError: it was left off.
        """
        size = seen.size or 0
        digest = hashlib.sha256()
        to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._in_folder(path):
            handle = self._client.open(path, Opening.READ)
        try:
            self._require_unchanged(handle, path, seen, to)
            with to.open("ab+") as local:
                local.seek(0)
                while piece := local.read(_PIECE_BYTES):
                    digest.update(piece)
                if local.tell() > size:
                    local.truncate(0)
                    digest = hashlib.sha256()
                for piece in self._client.read(handle, local.tell(), size):
                    if is_stopped():
                        raise InterruptedError("the gateway stops")
                    self._limit()
                    local.write(piece)
                    digest.update(piece)
                local.flush()
                os.fsync(local.fileno())
            self._require_unchanged(handle, path, seen, to)
        except StatusError as exc:
            if exc.status is not Status.EOF:
                raise
            raise _unfinished(path, to) from exc
        except OSError as exc:
            if exc.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                raise
            raise AdapterError("adapter.storage_full", f"{to.parent}: {os.strerror(exc.errno)}") from exc
        self._client.close(handle)
        return digest.hexdigest()

    def _require_unchanged(self, handle: bytes, path: str, seen: Attributes, to: Path) -> None:
        now = self._client.stat_open(handle)
        if (now.size, now.modified_at) != (seen.size, seen.modified_at):
            raise _unfinished(path, to)

    def read_small(self, path: str, most: int = _SMALL_FILE_BYTES) -> bytes | None:
        """Return a small file's content; None where there is no such file.

        Raises:
            AdapterError: `adapter.file_unreadable`, it has more bytes than `most`.
        """
        self._limit()
        try:
            handle = self._client.open(path, Opening.READ)
        except StatusError as exc:
            if exc.status in _MISSING:
                return None
            raise
        try:
            size = self._client.stat_open(handle).size or 0
            if size > most:
                raise AdapterError("adapter.file_unreadable", f"{path} has {size} bytes")
            return b"".join(self._client.read(handle, 0, size))
        except StatusError as exc:
            if exc.status is Status.EOF:
                # It became shorter at this moment.
                return b""
            raise
        finally:
            self._client.close(handle)

    def read_digest(self, path: str) -> str | None:
        """Return the digest a sidecar states; None while there is none, or only a part of one."""
        content = self.read_small(path)
        match = None if content is None else _DIGEST.fullmatch(content)
        return match[1].decode("ascii").lower() if match else None

    def wait_for(self, folder: str, name: str, waiting: Waiting) -> tuple[bytes, str]:
        """Return a finished answer file and its SHA-256.

        A file without its sidecar, or still changing, is not finished and is not given out.

        Raises:
            AdapterError: `adapter.system_timeout`, there is no file; `adapter.file_unfinished`, there is one,
                but not finished in time; `adapter.file_damaged`, the file stays other than its digest says;
                `adapter.answer_unreadable`, it is larger than allowed.
        """
        path = f"{folder}/{name}"
        unchanged_since: float | None = None
        last_state: tuple[int | None, int | None, str] | None = None
        while True:
            expected = self.read_digest(f"{path}.sha256")
            state = self.find(path)
            if expected is not None and state is not None:
                content = self._read_whole(path, state, waiting.most_bytes)
                digest = hashlib.sha256(content).hexdigest()
                if digest == expected:
                    return content, digest
                present = (state.size, state.modified_at, expected)
                if present != last_state or unchanged_since is None:
                    last_state, unchanged_since = present, time.monotonic()
                elif time.monotonic() - unchanged_since >= waiting.settle_seconds:
                    raise AdapterError("adapter.file_damaged", f"{name}: SHA-256 is {digest}, not {expected}")
            self._pause(waiting.poll_seconds, path if state is not None else None)

    def _pause(self, seconds: float, unfinished: str | None) -> None:
        try:
            left = self._patience.seconds_left
        except AdapterError as exc:
            if unfinished is None:
                raise
            raise AdapterError("adapter.file_unfinished", f"{unfinished}, or its .sha256") from exc
        time.sleep(min(seconds, left))

    def _read_whole(self, path: str, state: Attributes, most: int) -> bytes:
        if (state.size or 0) > most:
            raise AdapterError("adapter.answer_unreadable", f"the file has {state.size} bytes")
        self._limit()
        handle = self._client.open(path, Opening.READ)
        try:
            return b"".join(self._client.read(handle, 0, state.size or 0))
        except StatusError as exc:
            if exc.status is Status.EOF:
                # It is being written anew just now.
                return b""
            raise
        finally:
            self._client.close(handle)

    def archive(self, folder: str, name: str, archive: str, *, suffix: str = "") -> str:
        """Move a file away without overwriting an earlier one; return its new name.

        Raises:
            AdapterError: `adapter.folder_missing`.
        """
        self._limit()
        target = f"{name}{suffix}"
        number = 0
        while self.find(f"{archive}/{target}") is not None:
            number += 1
            target = f"{name}{suffix}.{number}"
        with self._in_folder(archive):
            self._client.move(f"{folder}/{name}", f"{archive}/{target}")
        return target

    def list_folder(self, folder: str) -> list[tuple[str, Attributes]]:
        """Return the ordinary files of a folder, by name.

        Raises:
            AdapterError: `adapter.folder_missing`.
        """
        self._limit()
        with self._in_folder(folder):
            found = [each for each in self._client.list_folder(folder) if each[1].is_file]
        return sorted(found, key=lambda each: each[0])

    def find(self, path: str) -> Attributes | None:
        """Return what is known of a file; None where there is none."""
        self._limit()
        try:
            return self._client.stat(path)
        except StatusError as exc:
            if exc.status in _MISSING:
                return None
            raise

    @contextmanager
    def _in_folder(self, path: str) -> Iterator[None]:
        """Say of a place that is gone that it is gone."""
        try:
            yield
        except StatusError as exc:
            if exc.status in _MISSING:
                raise AdapterError("adapter.folder_missing", f"{path} is not there") from exc
            raise

    def _limit(self) -> None:
        """Let the next operation take no longer than there is time."""
        self._channel.settimeout(self._patience.seconds_left)


def _unfinished(path: str, to: Path) -> AdapterError:
    # What was read of it belongs to no file that will ever be there.
    to.unlink(missing_ok=True)
    return AdapterError("adapter.file_unfinished", f"{path} changes while it is read")
