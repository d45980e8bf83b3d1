# SPDX-License-Identifier: Apache-2.0
"""The ZIP of an envelope, in the one byte form allowed on the wire.

Members are stored, in a fixed order, with the timestamp 1980-01-01 00:00, plain ASCII names and no extra
fields, comments, data descriptors or gaps. Reading takes the members out and writes them again: a container
that differs from its own rewriting in one byte is refused, and the structure that differs is named.

Source: PKWARE APPNOTE 6.3.3; ETSI EN 319 162-1 annex A.1 (mimetype first and stored).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.errors import EnvelopeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.envelope.model import Limits

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCAL_MAGIC = b"PK\x03\x04"
_CENTRAL_MAGIC = b"PK\x01\x02"
_END_MAGIC = b"PK\x05\x06"
_VERSION = 10  # Version needed for stored members, APPNOTE 4.4.3.
_STORED = 0
_DATE_1980_01_01 = (1 << 5) | 1


@dataclass(frozen=True, slots=True)
class Member:
    """One file in the container."""

    name: str
    content: bytes


def write_zip(members: Iterable[Member]) -> bytes:
    """Write members in the canonical form."""
    local: list[bytes] = []
    central: list[bytes] = []
    offset = 0
    for member in members:
        name = member.name.encode("ascii")
        checksum, size = zlib.crc32(member.content), len(member.content)
        shared = (_VERSION, 0, _STORED, 0, _DATE_1980_01_01, checksum, size, size, len(name), 0)
        local += (_LOCAL.pack(_LOCAL_MAGIC, *shared), name, member.content)
        central += (_CENTRAL.pack(_CENTRAL_MAGIC, _VERSION, *shared, 0, 0, 0, 0, offset), name)
        offset += _LOCAL.size + len(name) + size
    directory = b"".join(central)
    count = len(central) // 2
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
    checksums: list[int] = []
    seen: set[str] = set()
    offset = 0
    while raw[offset : offset + 4] == _LOCAL_MAGIC:
        if len(members) == limits.members:
            raise EnvelopeError("envelope.too_many_members", f"more than {limits.members}")
        member, checksum, offset = _read_member(raw, offset, limits)
        if member.name in seen:
            raise EnvelopeError("envelope.member_duplicate", member.name)
        seen.add(member.name)
        members.append(member)
        checksums.append(checksum)
    _check_rewriting(raw, members, checksums, directory_offset=offset)
    return tuple(members)


def _read_member(raw: bytes, offset: int, limits: Limits) -> tuple[Member, int, int]:
    where = f"local file header at offset {offset}"
    if offset + _LOCAL.size > len(raw):
        raise EnvelopeError("envelope.zip_not_canonical", f"{where} is cut off")
    header = _LOCAL.unpack_from(raw, offset)
    method, checksum, stored, size, name_length = header[3], header[6], header[7], header[8], header[9]
    start = offset + _LOCAL.size + name_length
    raw_name = raw[offset + _LOCAL.size : start]
    name = _read_name(raw_name, where)
    if method != _STORED:
        if size > limits.container_bytes or size > 100 * max(stored, 1):
            raise EnvelopeError("envelope.zip_bomb", f"{name}: {stored} bytes claim to unpack to {size}")
        raise EnvelopeError("envelope.zip_not_canonical", f"{name} is compressed; {where}")
    if stored != size or start + size > len(raw):
        raise EnvelopeError("envelope.zip_not_canonical", f"sizes of {name}; {where}")
    return Member(name, raw[start : start + size]), checksum, start + size


def _read_name(raw_name: bytes, where: str) -> str:
    try:
        name = raw_name.decode("ascii")
    except UnicodeDecodeError as error:
        raise EnvelopeError("envelope.member_name_invalid", f"not ASCII; {where}") from error
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or any(part in {"", ".", ".."} for part in parts):
        raise EnvelopeError("envelope.member_name_invalid", f"{name!r}; {where}")
    return name


def _check_rewriting(raw: bytes, members: list[Member], checksums: list[int], directory_offset: int) -> None:
    for member, checksum in zip(members, checksums, strict=True):
        if zlib.crc32(member.content) != checksum:
            raise EnvelopeError("envelope.zip_checksum_mismatch", member.name)
    canonical = write_zip(members)
    if canonical == raw:
        return
    difference = next(
        (i for i, (a, b) in enumerate(zip(raw, canonical, strict=False)) if a != b),
        min(len(raw), len(canonical)),
    )
    raise EnvelopeError(
        "envelope.zip_not_canonical", _name_structure(canonical, members, difference, directory_offset)
    )


def _name_structure(canonical: bytes, members: list[Member], position: int, directory_offset: int) -> str:
    """Say which ZIP structure of the canonical form holds the byte at `position`."""
    if position >= len(canonical):
        return "bytes after the end of central directory record"
    if position >= len(canonical) - _END.size:
        return f"end of central directory record, byte {position - (len(canonical) - _END.size)}"
    is_central = position >= directory_offset
    offset = directory_offset if is_central else 0
    for member in members:
        name_bytes = len(member.name)
        length = _CENTRAL.size + name_bytes if is_central else _LOCAL.size + name_bytes + len(member.content)
        if position < offset + length:
            kind = "central directory header" if is_central else "local file header"
            return f"{kind} of {member.name}, byte {position - offset}"
        offset += length
    raise AssertionError("every position lies in a structure")  # pragma: no cover
