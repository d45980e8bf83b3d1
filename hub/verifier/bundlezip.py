# SPDX-License-Identifier: Apache-2.0
"""The ZIP of an evidence bundle, read strictly: every byte of the file belongs to a member or the directory.

Everything is checked from the directory and the local headers before a byte is unpacked; then one member is
unpacked at a time, never to disk. What two readers could see differently is refused: names that differ or
occur twice, members that overlap, bytes in front, between or behind, comments, links, encryption, data
descriptors, extra fields other than ZIP64's.

Source: docs/protocols/evidence-bundle.md sections 2 and 7; PKWARE APPNOTE 6.3.9 sections 4.3 and 4.5.3.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

from hub.errors import BundleError

if TYPE_CHECKING:
    from typing import BinaryIO

INDEX_NAME = "bundle.json"

_MOST_MEMBERS = 200_000
_LONGEST_NAME = 200
_MOST_UNPACKED = 16 * 1024**3
_MOST_EXPANSION = 1032
"""More than DEFLATE can do, so whatever claims more lies (RFC 1951: 258 bytes out of two bits)."""

_MEBIBYTE = 1024 * 1024
_LIMITS = (
    (re.compile(r"bundle\.json"), 64 * _MEBIBYTE),
    (re.compile(r"messages/[^/]+/[a-z]+\.asice"), 17 * _MEBIBYTE),
    (re.compile(r"trust/lists/[^/]+\.asice"), 8 * _MEBIBYTE),
    (re.compile(r"trust/revocation/[^/]+"), 16 * _MEBIBYTE),
    (re.compile(r".*"), 4 * _MEBIBYTE),
)
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_ZIP64_END = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_LOCAL_MAGIC, _CENTRAL_MAGIC, _END_MAGIC = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_ZIP64_END_MAGIC, _LOCATOR_MAGIC = b"PK\x06\x06", b"PK\x06\x07"
_IN_ZIP64 = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
"""Stands for a number of the end of the directory that its ZIP64 form states."""

_ZIP64 = struct.Struct("<2H")
_ZIP64_ID, _LONGEST_ZIP64 = 1, 32


class BundleZip:
    """An evidence bundle's members; use it as a context.

    Args:
        file: open for reading, at any position; it is the caller's to close.

    Raises:
        BundleError: `bundle.unreadable`: it is no ZIP of the form asked for.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        try:
            self._zip = zipfile.ZipFile(file)
            self._entries = {entry.filename: entry for entry in self._zip.infolist()}
            self._check()
        except (zipfile.BadZipFile, struct.error, ValueError, EOFError, NotImplementedError) as exc:
            raise BundleError("bundle.unreadable", f"not a readable ZIP: {exc}"[:200]) from exc

    @property
    def names(self) -> frozenset[str]:
        """The names of all members."""
        return frozenset(self._entries)

    @property
    def size(self) -> int:
        """The bytes of all members, unpacked."""
        return sum(entry.file_size for entry in self._entries.values())

    def read(self, name: str) -> bytes:
        """Unpack a member.

        Raises:
            BundleError: `bundle.file_missing`, or `bundle.unreadable` when it does not unpack to what the
                directory says.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise BundleError("bundle.file_missing", name)
        try:
            with self._zip.open(entry) as member:
                content = member.read(entry.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError) as exc:
            raise BundleError("bundle.unreadable", f"{name}: {exc}"[:300]) from exc
        _require(len(content) == entry.file_size, f"{name} has not the size it claims")
        return content

    def _check(self) -> None:
        entries = self._zip.infolist()
        _require(0 < len(entries) <= _MOST_MEMBERS, f"{len(entries)} members, allowed 1 to {_MOST_MEMBERS}")
        names = {entry.orig_filename.casefold() for entry in entries}
        _require(len(names) == len(entries), "a name occurs twice")
        for entry in entries:
            _check_entry(entry)
        _require(self.size <= _MOST_UNPACKED, f"unpacks to more than {_MOST_UNPACKED} bytes")
        self._check_layout(entries)

    def _check_layout(self, entries: list[zipfile.ZipInfo]) -> None:
        """Account for every byte of the file, from the first local header to the end of the directory."""
        position = 0
        for entry in sorted(entries, key=lambda each: each.header_offset):
            is_next = entry.header_offset == position
            _require(is_next, f"bytes before {entry.filename}, or it overlaps another")
            position += self._check_local(entry) + entry.compress_size
        _require(self._zip.start_dir == position, "bytes before the directory")
        self._check_directory(position)

    def _check_directory(self, start: int) -> None:
        """Hold each field of the directory and of its end to what was read, that no two readers differ."""
        end = self._file.seek(0, 2) - _END.size
        self._file.seek(start)
        for entry in self._zip.infolist():
            stated = _CENTRAL.unpack(self._file.read(_CENTRAL.size))
            name, extra = entry.orig_filename.encode(), entry.extra
            is_same = (stated[0], *stated[10:14]) == (_CENTRAL_MAGIC, len(name), len(extra), 0, 0)
            is_same = is_same and self._file.read(len(name) + len(extra)) == name + extra
            _require(is_same, f"{entry.filename}: its lengths are wrong, or bytes in the directory")
        position, count = self._file.tell(), len(self._entries)
        totals = (count, count, position - start, start)
        is_zip64 = position != end
        if is_zip64:
            self._check_zip64(position, end, totals)
        magic, disk, first_disk, *stated_totals, comment = _END.unpack(self._file.read(_END.size))
        is_same = all(
            each == total or (is_zip64 and each == most)
            for each, total, most in zip(stated_totals, totals, _IN_ZIP64, strict=True)
        )
        is_same = is_same and (magic, disk, first_disk, comment) == (_END_MAGIC, 0, 0, 0)
        _require(is_same, "bytes in or behind the directory, a comment, or a wrong count")

    def _check_zip64(self, position: int, end: int, totals: tuple[int, ...]) -> None:
        _require(end - position == _ZIP64_END.size + _LOCATOR.size, "bytes behind the directory")
        magic, length, _, _, disk, first_disk, *stated = _ZIP64_END.unpack(self._file.read(_ZIP64_END.size))
        locator = _LOCATOR.unpack(self._file.read(_LOCATOR.size))
        is_same = (magic, length, disk, first_disk) == (_ZIP64_END_MAGIC, _ZIP64_END.size - 12, 0, 0)
        is_same = is_same and tuple(stated) == totals and locator == (_LOCATOR_MAGIC, 0, position, 1)
        _require(is_same, "the end of the directory is not what it should be")

    def _check_local(self, entry: zipfile.ZipInfo) -> int:
        """Hold a local header to the directory; return its length, name and extra field included."""
        self._file.seek(entry.header_offset)
        fixed = self._file.read(_LOCAL.size)
        magic, _, flags, method, _, _, crc, packed, size, name_bytes, extra_bytes = _LOCAL.unpack(fixed)
        name, extra = self._file.read(name_bytes), self._file.read(extra_bytes)
        sizes = [(packed, entry.compress_size), (size, entry.file_size)]
        is_same = (
            magic == _LOCAL_MAGIC
            and (flags, method, crc) == (entry.flag_bits, entry.compress_type, entry.CRC)
            and name == entry.orig_filename.encode()
            and all(local in {stated, 0xFFFFFFFF} for local, stated in sizes)
        )
        is_same = is_same and _is_zip64_or_nothing(extra)
        _require(is_same, f"{entry.filename}: two headers that differ")
        return _LOCAL.size + len(name) + len(extra)


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    if entry.orig_filename != name or len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise BundleError("bundle.unreadable", f"a name that is not allowed: {entry.orig_filename!r}"[:300])
    is_plain = entry.flag_bits == 0 and entry.compress_type in _METHODS and not entry.comment
    kind = stat.S_IFMT(entry.external_attr >> 16)
    is_plain = is_plain and kind in {0, stat.S_IFREG} and _is_zip64_or_nothing(entry.extra)
    _require(is_plain, f"{name} is encrypted, a link, or packed by a method not allowed")
    most = next(limit for pattern, limit in _LIMITS if pattern.fullmatch(name))
    is_possible = entry.file_size <= min(most, _MOST_EXPANSION * entry.compress_size)
    _require(is_possible, f"{name}: {entry.compress_size} bytes claim to unpack to {entry.file_size}")
    is_its_size = entry.compress_type != zipfile.ZIP_STORED or entry.file_size == entry.compress_size
    _require(is_its_size, f"{name} is stored in another size than its own")


def _require(holds: bool, detail: str) -> None:  # noqa: FBT001 (the condition is what it is about)
    if not holds:
        raise BundleError("bundle.unreadable", detail)


def _is_zip64_or_nothing(extra: bytes) -> bool:
    if not extra:
        return True
    identifier, length = _ZIP64.unpack_from(extra)
    return bool(identifier == _ZIP64_ID and len(extra) == _ZIP64.size + length <= _LONGEST_ZIP64)
