# SPDX-License-Identifier: Apache-2.0
"""Envelopes too large for memory: what is known of one, and its container as a stream of bytes.

Source: docs/protocols/envelope.md section 12.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING
from zlib import crc32

from hub.envelope.container import FOLDER, MIMETYPE
from hub.envelope.header import encode_header
from hub.envelope.model import HEADER_NAME, MANIFEST_NAME, SIGNATURE_NAME, Envelope, PayloadEntry
from hub.envelope.zipform import Hole, Member, write_zip_around

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class FilePayload:
    """A payload whose content is a file.

    Attributes:
        entry: its line in the header.
        crc32: of its content.
        file: where it lies; it must not change any more.
    """

    entry: PayloadEntry
    crc32: int
    file: Path

    @classmethod
    def of(cls, name: str, media_type: str, file: Path) -> FilePayload:
        """Read a file once for its digests."""
        digest, checksum, size = hashlib.sha256(), 0, 0
        for piece in read_pieces(file):
            digest.update(piece)
            checksum = crc32(piece, checksum)
            size += len(piece)
        entry = PayloadEntry(name=name, media_type=media_type, bytes=size, sha256=digest.hexdigest())
        return cls(entry, checksum, file)

    def describe(self) -> PayloadEntry:
        """Return this payload's line in the header."""
        return self.entry


@dataclass(frozen=True)
class LargeEnvelope(Envelope):
    """An envelope of which some payloads are not in memory.

    `raw` is its announcement, `payloads` are those that the announcement holds. Whether the container is what
    the announcement says shows an `Intake`.

    Attributes:
        stated_sha256: of the container, as announced, lower-case hex.
        holes: the payloads that are elsewhere, by their member names.
        file: what the place that keeps the container calls it; empty where nothing keeps it.
    """

    stated_sha256: str
    holes: tuple[Hole, ...]
    file: str = ""

    @property
    def absent_sizes(self) -> Mapping[str, int]:
        """How many octets the payloads have that are too large to be here, by name."""
        return {hole.name.removeprefix(FOLDER): hole.size for hole in self.holes}

    @cached_property
    def container_sha256(self) -> str:
        """SHA-256 of the whole container, hexadecimal."""
        return self.stated_sha256

    @cached_property
    def layout(self) -> tuple[bytes | Hole, ...]:
        """The container in order: bytes that follow from the announcement, and holes."""
        holes = {hole.name: hole for hole in self.holes}
        named = ((FOLDER + entry.name, entry.name) for entry in self.header.payload)
        return write_zip_around(
            (
                MIMETYPE,
                Member(HEADER_NAME, encode_header(self.header)),
                *(holes.get(member) or Member(member, self.payloads[name]) for member, name in named),
                Member(MANIFEST_NAME, self.manifest),
                Member(SIGNATURE_NAME, self.signature),
            )
        )

    @cached_property
    def size(self) -> int:
        """Of the container, octets."""
        return sum(piece.size if isinstance(piece, Hole) else len(piece) for piece in self.layout)

    def kept_as(self, file: str) -> LargeEnvelope:
        """Return it as one that a place keeps."""
        return replace(self, file=file)


def read_container(envelope: LargeEnvelope, files: Mapping[str, Path], start: int = 0) -> Iterator[bytes]:
    """Yield a container's bytes from an offset on.

    Args:
        envelope: whose.
        files: the contents of the payloads that are elsewhere, by the payload's name.
        start: the first byte that is wanted.
    """
    offset = 0
    for piece in envelope.layout:
        length = piece.size if isinstance(piece, Hole) else len(piece)
        skip = max(start - offset, 0)
        offset += length
        if skip >= length:
            continue
        if isinstance(piece, Hole):
            yield from read_pieces(files[piece.name.removeprefix(FOLDER)], skip)
        else:
            yield piece[skip:]


def payload_offsets(envelope: LargeEnvelope) -> dict[str, int]:
    """Return from which byte of the container on each payload that is elsewhere lies, by its name."""
    offsets, offset = {}, 0
    for piece in envelope.layout:
        if isinstance(piece, Hole):
            offsets[piece.name.removeprefix(FOLDER)] = offset
            offset += piece.size
        else:
            offset += len(piece)
    return offsets


def read_pieces(file: Path, start: int = 0) -> Iterator[bytes]:
    """Yield a file's content from an offset on, some hundred kilobytes at a time."""
    with file.open("rb", buffering=0) as content:
        content.seek(start)
        while piece := content.read(_PIECE_BYTES):
            yield piece
