# SPDX-License-Identifier: Apache-2.0
"""The SSH file transfer protocol, version 3, with as many requests under way as a fast network needs.

paramiko carries the bytes; its own file objects copy every piece several times and keep a whole file's
answers in memory. Here a transfer has a fixed number of requests under way, and its pieces come in order.

Source: draft-ietf-secsh-filexfer-02; OpenSSH's PROTOCOL file, section 4, for the extensions.
"""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import paramiko

WINDOW_BYTES = 4 * 1024 * 1024
PACKET_BYTES = 128 * 1024
"""Of a channel: larger packets than the usual 32 KiB halve the work for each byte that comes."""

_VERSION = 3
_UNDER_WAY_BYTES = 4 * 1024 * 1024
_SAFE_PIECE_BYTES = 32 * 1024
_LARGEST_PIECE_BYTES = 255 * 1024
_LARGEST_REPLY_BYTES = 1024 * 1024
_RECEIVE_BYTES = 1024 * 1024
_MOST_NAMES = 200_000
_HAS_SIZE, _HAS_OWNER, _HAS_PERMISSIONS, _HAS_TIMES, _HAS_EXTENDED = 1, 2, 4, 8, 0x80000000


class _Packet(IntEnum):
    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    FSTAT = 8
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    STAT = 17
    RENAME = 18
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105
    EXTENDED = 200
    EXTENDED_REPLY = 201


class Opening(IntEnum):
    """How a file is opened."""

    READ = 0x01
    WRITE = 0x02
    CREATE = 0x08
    TRUNCATE = 0x10
    EXCLUSIVE = 0x20


class Status(IntEnum):
    """What a server says of an operation; any other number counts as `FAILURE`."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    NO_CONNECTION = 6
    CONNECTION_LOST = 7
    OP_UNSUPPORTED = 8


class StatusError(Exception):
    """The server refused an operation."""

    def __init__(self, status: Status, operation: str) -> None:
        super().__init__(f"{operation}: {status.name.lower()}")
        self.status = status


class ProtocolError(Exception):
    """The server does not keep to the protocol."""


@dataclass(frozen=True)
class Attributes:
    """What a server says of a file; None where it says nothing.

    Attributes:
        modified_at: seconds since 1970, by the server's clock.
    """

    size: int | None
    modified_at: int | None
    permissions: int | None

    @property
    def is_folder(self) -> bool:
        """Tell whether it is a folder."""
        return self.permissions is not None and stat.S_ISDIR(self.permissions)

    @property
    def is_file(self) -> bool:
        """Tell whether it is an ordinary file; a server that does not say means one."""
        return self.permissions is None or stat.S_ISREG(self.permissions)


class SftpClient:
    """A conversation with an SFTP server, for one thread.

    Args:
        channel: open, with nothing running on it yet; its time limit holds for every wait.

    Raises:
        ProtocolError: what answers is no SFTP server of version 3 or later.
    """

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._received = bytearray()
        self._last_id = 0
        # Requests whose answers nobody waits for any more; they still come.
        self._given_up: set[int] = set()
        channel.invoke_subsystem("sftp")
        self._send(_Packet.INIT, struct.pack(">I", _VERSION), has_id=False)
        kind, body = self._receive()
        if kind != _Packet.VERSION or body.number() < _VERSION:
            raise ProtocolError("no SFTP server of version 3")
        self.extensions: Mapping[str, bytes] = dict(body.pairs())
        self._most_read, self._most_write = self._limits()

    def open(self, path: str, *how: Opening) -> bytes:
        """Open a file; return its handle."""
        flags = sum(how)
        return self._handle(_Packet.OPEN, _text(path) + struct.pack(">II", flags, 0), f"open {path}")

    def close(self, handle: bytes) -> None:
        """Close a file or a folder."""
        self._plain(_Packet.CLOSE, _string(handle), "close")

    def stat(self, path: str) -> Attributes:
        """Return what is known of the file at a path; links are followed."""
        return self._attributes(_Packet.STAT, _text(path), f"stat {path}")

    def stat_open(self, handle: bytes) -> Attributes:
        """Return what is known of an open file."""
        return self._attributes(_Packet.FSTAT, _string(handle), "fstat")

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._plain(_Packet.REMOVE, _text(path), f"remove {path}")

    def make_folder(self, path: str) -> None:
        """Make a folder."""
        self._plain(_Packet.MKDIR, _text(path) + struct.pack(">I", 0), f"mkdir {path}")

    def move(self, path: str, target: str) -> None:
        """Rename a file to a name that is free; OpenSSH refuses one that is not."""
        self._plain(_Packet.RENAME, _text(path) + _text(target), f"rename {path}")

    def replace(self, path: str, target: str) -> None:
        """Rename a file in one step, over whatever has the name.

        A server without `posix-rename@openssh.com` has no such step: there a file in the way is removed
        first, and for a moment nobody finds either.
        """
        if "posix-rename@openssh.com" in self.extensions:
            self._extended("posix-rename@openssh.com", _text(path) + _text(target), f"rename {path}")
            return
        try:
            self.move(path, target)
        except StatusError as exc:
            if exc.status in {Status.NO_SUCH_FILE, Status.PERMISSION_DENIED}:
                raise
            self.remove(target)
            self.move(path, target)

    def flush(self, handle: bytes) -> None:
        """Have what was written put on the server's disk, where it knows how."""
        if "fsync@openssh.com" in self.extensions:
            self._extended("fsync@openssh.com", _string(handle), "fsync")

    def free_bytes(self, path: str) -> int | None:
        """Return how much room a folder's disk has for this user; None where the server does not say."""
        if "statvfs@openssh.com" not in self.extensions:
            return None
        kind, body = self._ask(_Packet.EXTENDED, _text("statvfs@openssh.com") + _text(path))
        if kind != _Packet.EXTENDED_REPLY:
            return None
        _, fragment_bytes, _, _, available = (body.long() for _ in range(5))
        return fragment_bytes * available

    def list_folder(self, path: str) -> Iterator[tuple[str, Attributes]]:
        """Yield names and attributes, without `.` and `..`.

        Raises:
            ProtocolError: there are more than 200,000, or a name is none.
        """
        handle = self._handle(_Packet.OPENDIR, _text(path), f"opendir {path}")
        count = 0
        try:
            while True:
                kind, body = self._ask(_Packet.READDIR, _string(handle))
                if kind == _Packet.STATUS:
                    status = _status(body)
                    if status is Status.EOF:
                        return
                    raise StatusError(status, f"readdir {path}")
                for name, attributes in _names(kind, body):
                    count += 1
                    if count > _MOST_NAMES:
                        raise ProtocolError(f"{path} has more than {_MOST_NAMES} names")
                    if name not in {".", ".."}:
                        yield name, attributes
        finally:
            self.close(handle)

    def read(self, handle: bytes, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes of an open file from `start` up to `end`, in order.

        Raises:
            StatusError: `EOF`, the file ends before `end`.
        """
        pieces: dict[int, bytes] = {}
        asked: dict[int, tuple[int, int]] = {}
        most = max(1, _UNDER_WAY_BYTES // self._most_read)
        asked_up_to = given_up_to = start
        try:
            while given_up_to < end:
                while len(asked) + len(pieces) < most and asked_up_to < end:
                    length = min(self._most_read, end - asked_up_to)
                    asked[self._ask_for(handle, asked_up_to, length)] = (asked_up_to, length)
                    asked_up_to += length
                offset, piece = self._piece(handle, asked)
                pieces[offset] = piece
                while given_up_to in pieces:
                    piece = pieces.pop(given_up_to)
                    given_up_to += len(piece)
                    yield piece
        finally:
            self._given_up |= asked.keys()

    def write(self, handle: bytes, start: int, content: Iterable[bytes]) -> int:
        """Write to an open file from `start` on; return how many bytes were written.

        Raises:
            StatusError: the server could not write; how much it has written is not known then.
        """
        offset = start
        under_way: dict[int, None] = {}
        most = max(1, _UNDER_WAY_BYTES // self._most_write)
        try:
            for piece in _cut(content, self._most_write):
                while len(under_way) >= most:
                    self._written(under_way)
                head = _string(handle) + struct.pack(">QI", offset, len(piece))
                under_way[self._send(_Packet.WRITE, head, piece)] = None
                offset += len(piece)
            while under_way:
                self._written(under_way)
        finally:
            self._given_up |= under_way.keys()
        return offset - start

    def _ask_for(self, handle: bytes, offset: int, length: int) -> int:
        return self._send(_Packet.READ, _string(handle) + struct.pack(">QI", offset, length))

    def _piece(self, handle: bytes, asked: dict[int, tuple[int, int]]) -> tuple[int, bytes]:
        kind, number, body = self._answer()
        if number not in asked:
            raise ProtocolError("an answer to nothing that was asked")
        offset, length = asked.pop(number)
        if kind != _Packet.DATA:
            raise _unexpected(kind, body, "read")
        piece = body.string()
        if not 0 < len(piece) <= length:
            raise ProtocolError("another piece than was asked for")
        if len(piece) < length:
            # A server may give less than was asked for; the rest is asked for again.
            rest = (offset + len(piece), length - len(piece))
            asked[self._ask_for(handle, *rest)] = rest
        return offset, piece

    def _written(self, under_way: dict[int, None]) -> None:
        kind, number, body = self._answer()
        if number not in under_way:
            raise ProtocolError("an answer to nothing that was asked")
        del under_way[number]
        error = _unexpected(kind, body, "write")
        if not isinstance(error, StatusError) or error.status is not Status.OK:
            raise error

    def _limits(self) -> tuple[int, int]:
        """Return how much may be read and written at once."""
        if "limits@openssh.com" not in self.extensions:
            return _SAFE_PIECE_BYTES, _SAFE_PIECE_BYTES
        kind, body = self._ask(_Packet.EXTENDED, _text("limits@openssh.com"))
        if kind != _Packet.EXTENDED_REPLY:
            return _SAFE_PIECE_BYTES, _SAFE_PIECE_BYTES
        _, most_read, most_write = (body.long() for _ in range(3))
        # A zero says that the server does not know.
        return (
            min(most_read or _SAFE_PIECE_BYTES, _LARGEST_PIECE_BYTES),
            min(most_write or _SAFE_PIECE_BYTES, _LARGEST_PIECE_BYTES),
        )

    def _handle(self, kind: _Packet, body: bytes, operation: str) -> bytes:
        answer, said = self._ask(kind, body)
        if answer != _Packet.HANDLE:
            raise _unexpected(answer, said, operation)
        return said.string()

    def _attributes(self, kind: _Packet, body: bytes, operation: str) -> Attributes:
        answer, said = self._ask(kind, body)
        if answer != _Packet.ATTRS:
            raise _unexpected(answer, said, operation)
        return said.attributes()

    def _extended(self, name: str, body: bytes, operation: str) -> None:
        self._plain(_Packet.EXTENDED, _text(name) + body, operation)

    def _plain(self, kind: _Packet, body: bytes, operation: str) -> None:
        answer, said = self._ask(kind, body)
        error = _unexpected(answer, said, operation)
        if not isinstance(error, StatusError) or error.status is not Status.OK:
            raise error

    def _ask(self, kind: _Packet, body: bytes) -> tuple[int, _Body]:
        number = self._send(kind, body)
        answer, answered, said = self._answer()
        if answered != number:
            raise ProtocolError("an answer to another request")
        return answer, said

    def _answer(self) -> tuple[int, int, _Body]:
        """Return the next answer somebody waits for: its type, whose it is, and the rest."""
        while True:
            kind, body = self._receive()
            number = body.number()
            if number not in self._given_up:
                return kind, number, body
            self._given_up.discard(number)

    def _send(self, kind: _Packet, body: bytes, content: bytes = b"", *, has_id: bool = True) -> int:
        self._last_id = (self._last_id + 1) % 2**32
        head = struct.pack(">BI", kind, self._last_id) if has_id else struct.pack(">B", kind)
        length = struct.pack(">I", len(head) + len(body) + len(content))
        try:
            self._channel.sendall(b"".join((length, head, body, content)))
        except TimeoutError:
            raise
        except OSError as exc:
            raise EOFError("the server closed the channel") from exc
        return self._last_id

    def _receive(self) -> tuple[int, _Body]:
        self._fill(4)
        (length,) = struct.unpack_from(">I", self._received)
        if not 1 <= length <= _LARGEST_REPLY_BYTES:
            raise ProtocolError(f"a packet of {length} bytes")
        self._fill(4 + length)
        packet = bytes(memoryview(self._received)[4 : 4 + length])
        del self._received[: 4 + length]
        return packet[0], _Body(packet, 1)

    def _fill(self, count: int) -> None:
        while len(self._received) < count:
            some = self._channel.recv(_RECEIVE_BYTES)
            if not some:
                raise EOFError("the server closed the channel")
            self._received += some


class _Body:
    """What is left to be read of a packet."""

    def __init__(self, packet: bytes, at: int) -> None:
        self._packet, self._at = packet, at

    def number(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def long(self) -> int:
        return int.from_bytes(self._take(8), "big")

    def string(self) -> bytes:
        return self._take(self.number())

    def pairs(self) -> Iterator[tuple[str, bytes]]:
        while self._at < len(self._packet):
            name = self.string().decode("utf-8", "replace")
            yield name, self.string()

    def attributes(self) -> Attributes:
        flags = self.number()
        size = self.long() if flags & _HAS_SIZE else None
        if flags & _HAS_OWNER:
            self._take(8)
        permissions = self.number() if flags & _HAS_PERMISSIONS else None
        modified_at = None
        if flags & _HAS_TIMES:
            self._take(4)
            modified_at = self.number()
        if flags & _HAS_EXTENDED:
            for _ in range(2 * self.number()):
                self.string()
        return Attributes(size, modified_at, permissions)

    def _take(self, count: int) -> bytes:
        taken = self._packet[self._at : self._at + count]
        if len(taken) < count:
            raise ProtocolError("a packet ends too early")
        self._at += count
        return taken


def _text(text: str) -> bytes:
    # Names that are no UTF-8 come back as they came.
    return _string(text.encode("utf-8", "surrogateescape"))


def _string(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def _status(body: _Body) -> Status:
    try:
        return Status(body.number())
    except ValueError:
        return Status.FAILURE


def _unexpected(kind: int, body: _Body, operation: str) -> StatusError | ProtocolError:
    if kind == _Packet.STATUS:
        return StatusError(_status(body), operation)
    return ProtocolError(f"{operation}: a packet of type {kind}")


def _names(kind: int, body: _Body) -> Iterator[tuple[str, Attributes]]:
    if kind != _Packet.NAME:
        raise ProtocolError(f"a packet of type {kind} for names")
    for _ in range(body.number()):
        name = body.string().decode("utf-8", "surrogateescape")
        body.string()
        if not name or "/" in name or "\0" in name:
            # A server must not lead anybody to another folder.
            raise ProtocolError("a name that is none")
        yield name, body.attributes()


def _cut(content: Iterable[bytes], most: int) -> Iterator[bytes]:
    for piece in content:
        for start in range(0, len(piece), most):
            yield piece[start : start + most]
