# SPDX-License-Identifier: Apache-2.0
"""The ZIP of an envelope, in the one byte form allowed on the wire.

Members are stored, in a fixed order, with the timestamp 1980-01-01 00:00, plain ASCII names and no extra
fields, comments, data descriptors or gaps. Reading takes the members out and writes them again: a container
that differs from its own rewriting in one byte is refused, and the structure that differs is named.

Source: PKWARE APPNOTE 6.3.3; ETSI EN 319 162-1 annex A.1 (mimetype first and stored).
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, NoReturn
from zlib import crc32

from hub.errors import EnvelopeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.envelope.model import Limits

# Version needed, flags, method, time, date, CRC-32, stored size, size, name length, extra length: the fields
# that local and central headers share (APPNOTE 4.3.7 and 4.3.12).
_SHARED = struct.Struct("<5H3I2H")
_CENTRAL_TAIL = struct.Struct("<3H2I")
_END = struct.Struct("<4s4H2IH")
_LOCAL_MAGIC = b"PK\x03\x04"
_CENTRAL_MAGIC = b"PK\x01\x02"
_END_MAGIC = b"PK\x05\x06"
_VERSION = 10  # What stored members need (APPNOTE 4.4.3).
_CENTRAL_HEAD = _CENTRAL_MAGIC + _VERSION.to_bytes(2, "little")
_LOCAL_BYTES = len(_LOCAL_MAGIC) + _SHARED.size
_CENTRAL_BYTES = len(_CENTRAL_HEAD) + _SHARED.size + _CENTRAL_TAIL.size
_STORED = 0
_DATE_1980_01_01 = (1 << 5) | 1
_LONGEST_NAME = 255
_MOST_EXPANSION = 100

# Relative, ASCII, without empty parts and without parts that begin with a dot.
_SAFE_NAME = re.compile(rb"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class Member(NamedTuple):
    """One file in the container."""

    name: str
    content: bytes


class Hole(NamedTuple):
    """A file in the container whose content is elsewhere.

    Attributes:
        size: of the content, octets.
        crc32: of the content, as ZIP states it.
    """

    name: str
    size: int
    crc32: int


MOST_BYTES = 0xFFFF_FFFE
"""What a ZIP without ZIP64 can hold: sizes and offsets have 32 bits, all ones mean ZIP64 (APPNOTE 4.4.9)."""


def write_zip_around(members: Iterable[Member | Hole]) -> tuple[bytes | Hole, ...]:
    """Write the canonical form of members of which some are elsewhere: all other bytes, in order, and holes.

    Raises:
        EnvelopeError: `too_large`: a ZIP of this form cannot hold it.
    """
    pieces: list[bytes | Hole] = []
    central: list[bytes] = []
    offset, count, before = 0, 0, b""
    for member in members:
        name = member.name.encode("ascii")
        if isinstance(member, Hole):
            size, crc = member.size, member.crc32
        else:
            size, crc = len(member.content), crc32(member.content)
        if offset + size > MOST_BYTES:
            raise EnvelopeError("envelope.too_large", f"a container holds at most {MOST_BYTES} bytes")
        shared = _SHARED.pack(_VERSION, 0, _STORED, 0, _DATE_1980_01_01, crc, size, size, len(name), 0)
        before += _LOCAL_MAGIC + shared + name
        if isinstance(member, Hole):
            pieces += (before, member)
            before = b""
        else:
            before += member.content
        central += (_CENTRAL_HEAD, shared, _CENTRAL_TAIL.pack(0, 0, 0, 0, offset), name)
        offset += _LOCAL_BYTES + len(name) + size
        count += 1
    directory = b"".join(central)
    if offset + len(directory) + _END.size > MOST_BYTES:
        raise EnvelopeError("envelope.too_large", f"a container holds at most {MOST_BYTES} bytes")
    end = _END.pack(_END_MAGIC, 0, 0, count, count, len(directory), offset, 0)
    return (*pieces, before + directory + end)


def write_zip(members: Iterable[Member]) -> bytes:
    """Write members in the canonical form."""
    local: list[bytes] = []
    central: list[bytes] = []
    offset = 0
    for name_text, content in members:
        name = name_text.encode("ascii")
        size, name_size = len(content), len(name)
        shared = _SHARED.pack(
            _VERSION, 0, _STORED, 0, _DATE_1980_01_01, crc32(content), size, size, name_size, 0
        )
        local += (_LOCAL_MAGIC, shared, name, content)
        central += (_CENTRAL_HEAD, shared, _CENTRAL_TAIL.pack(0, 0, 0, 0, offset), name)
        offset += _LOCAL_BYTES + name_size + size
    directory = b"".join(central)
    count = len(central) // 4
    end = _END.pack(_END_MAGIC, 0, 0, count, count, len(directory), offset, 0)
    return b"".join((*local, directory, end))


def read_zip(raw: bytes, limits: Limits) -> tuple[Member, ...]:
    """Take the members out of a canonical container; nothing is ever decompressed.

    Raises:
        EnvelopeError: the container is too large, not a ZIP, damaged, hostile or not canonical.
    """
    if len(raw) > limits.container_bytes:
        raise EnvelopeError("envelope.too_large", f"{len(raw)} bytes, allowed {limits.container_bytes}")
    if raw[:4] != _LOCAL_MAGIC:
        raise EnvelopeError("envelope.not_a_zip", "no local file header at offset 0")
    members: list[Member] = []
    offset = 0
    while raw.startswith(_LOCAL_MAGIC, offset):
        if len(members) == limits.members:
            raise EnvelopeError("envelope.too_many_members", f"more than {limits.members}")
        member, offset = _read_member(raw, offset, limits)
        members.append(member)
    if not raw.startswith(_CENTRAL_MAGIC, offset):
        raise EnvelopeError(
            "envelope.zip_not_canonical",
            f"neither a local file header nor the central directory at offset {offset}",
        )
    if len({member.name for member in members}) != len(members):
        raise EnvelopeError("envelope.member_duplicate", ", ".join(member.name for member in members))
    canonical = write_zip(members)
    if canonical != raw:
        _refuse_difference(raw, canonical, members, directory_offset=offset)
    return tuple(members)


def _read_member(raw: bytes, offset: int, limits: Limits) -> tuple[Member, int]:
    start = offset + _LOCAL_BYTES
    if start > len(raw):
        raise EnvelopeError("envelope.zip_not_canonical", f"local file header at offset {offset} is cut off")
    _, flags, method, _, _, _, stored, size, name_size, extra_size = _SHARED.unpack_from(raw, offset + 4)
    data = start + name_size
    name = _read_name(raw[start:data]) if name_size <= _LONGEST_NAME else None
    if name is None:
        raise EnvelopeError("envelope.member_name_invalid", f"in the local file header at offset {offset}")
    if method != _STORED:
        if size > limits.container_bytes or size > _MOST_EXPANSION * max(stored, 1):
            raise EnvelopeError("envelope.zip_bomb", f"{name}: {stored} bytes claim to unpack to {size}")
        raise EnvelopeError("envelope.zip_not_canonical", f"{name} is compressed")
    if flags or extra_size:
        raise EnvelopeError(
            "envelope.zip_not_canonical", f"local file header of {name}: flags or extra field"
        )
    if stored != size or data + size > len(raw):
        raise EnvelopeError("envelope.zip_not_canonical", f"local file header of {name}: sizes")
    return Member(name, raw[data : data + size]), data + size


# A process meets the same few names in every message.
@lru_cache(maxsize=256)
def _read_name(raw_name: bytes) -> str | None:
    return raw_name.decode("ascii") if _SAFE_NAME.fullmatch(raw_name) else None


def _refuse_difference(
    raw: bytes, canonical: bytes, members: list[Member], directory_offset: int
) -> NoReturn:
    """Name what differs: a damaged member first, else the ZIP structure with the first differing byte."""
    offset = 0
    for member in members:
        if _SHARED.unpack_from(raw, offset + 4)[5] != crc32(member.content):
            raise EnvelopeError("envelope.zip_checksum_mismatch", member.name)
        offset += _LOCAL_BYTES + len(member.name) + len(member.content)
    position = next(
        (i for i, (a, b) in enumerate(zip(raw, canonical, strict=False)) if a != b),
        min(len(raw), len(canonical)),
    )
    where = _name_structure(canonical, members, position, directory_offset)
    raise EnvelopeError("envelope.zip_not_canonical", where)


def _name_structure(canonical: bytes, members: list[Member], position: int, directory_offset: int) -> str:
    """Say which ZIP structure of the canonical form holds the byte at `position`."""
    if position >= len(canonical):
        return "bytes after the end of central directory record"
    if position >= len(canonical) - _END.size:
        return f"end of central directory record, byte {position - (len(canonical) - _END.size)}"
    is_central = position >= directory_offset
    offset = directory_offset if is_central else 0
    for member in members:
        name_size = len(member.name)
        length = _CENTRAL_BYTES + name_size if is_central else _LOCAL_BYTES + name_size + len(member.content)
        if position < offset + length:
            byte = position - offset
            if not is_central:
                return f"local file header of {member.name}, byte {byte}"
            other = ": the local file header has another name" if byte >= _CENTRAL_BYTES else ""
            return f"central directory header of {member.name}, byte {byte}{other}"
        offset += length
    raise AssertionError("every position lies in a structure")
