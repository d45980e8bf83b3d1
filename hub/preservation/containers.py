# SPDX-License-Identifier: Apache-2.0
"""A container and its evidence record: which members the record covers, and the exported container with both.

The data objects of a container are all its members but `mimetype`, which is the same in every one. An
exported container holds the canonical members unchanged and in their order, and behind them

    META-INF/ASiCEvidenceRecordManifest001.xml   names each data object with its digest
    META-INF/evidencerecord001.ers               proves that all of them existed

Taken out again, the container is byte for byte what passed the hub.

Source: ETSI EN 319 162-1 clause 4.4.3.2 and annexes A.4 and A.7 (names of the two members).
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from hub.envelope import (
    CONTAINER_MEDIA_TYPE,
    Envelope,
    Intake,
    LargeEnvelope,
    Limits,
    Member,
    decode_header,
    encode_header,
    read_zip,
    write_zip,
)
from hub.errors import EnvelopeError
from hub.preservation.digests import DEFAULT_DIGEST
from hub.preservation.records import MOST_RECORD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

RECORD_MANIFEST_NAME = "META-INF/ASiCEvidenceRecordManifest001.xml"
RECORD_NAME = "META-INF/evidencerecord001.ers"
_MIMETYPE = "mimetype"
_ADDED = (RECORD_MANIFEST_NAME, RECORD_NAME)
_MOST_ADDED_BYTES = MOST_RECORD_BYTES + 64 * 1024
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#"'
    ' xmlns:ds="http://www.w3.org/2000/09/xmldsig#">\n'
    f'<asic:SigReference URI="{RECORD_NAME}"/>\n'
)
_METHOD = '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
_TAIL = "</asic:ASiCManifest>\n"
_HEADER_NAME, _MANIFEST_NAME = "message.json", "META-INF/ASiCManifest.xml"
_SIGNATURE_NAME = "META-INF/signature.p7s"
_MEDIA_TYPES = {_HEADER_NAME: "application/json", _MANIFEST_NAME: "text/xml"}
_SIGNATURE_MEDIA_TYPE = "application/pkcs7-signature"
# In the canonical form message.json comes behind mimetype, the content of which is always the same. The size
# stands in the local header (APPNOTE 4.3.7).
_LOCAL_HEADER = 30
_HEADER_LOCAL = _LOCAL_HEADER + len(_MIMETYPE) + len(CONTAINER_MEDIA_TYPE)
_HEADER_SIZE_AT = _HEADER_LOCAL + 22
_HEADER_AT = _HEADER_LOCAL + _LOCAL_HEADER + len(_HEADER_NAME)


def group_of(container: Envelope | Sequence[Member], digest: str = DEFAULT_DIGEST) -> tuple[bytes, ...]:
    """Return the hashes of a container's data objects, in the order of its members.

    Args:
        container: in the canonical form, opened or as its members; those of a record are passed over.
        digest: by its `hashlib` name.
    """
    if isinstance(container, LargeEnvelope):
        if digest != DEFAULT_DIGEST:
            raise ValueError("what is not in memory is hashed by group_of_stream")
        return tuple(
            hashlib.new(digest, each).digest() if isinstance(each, bytes) else bytes.fromhex(each)
            for each in _large_contents(container)
        )
    if isinstance(container, Envelope):
        contents: Iterable[bytes] = _contents(container)
    else:
        contents = (each.content for each in container if each.name != _MIMETYPE and each.name not in _ADDED)
    return tuple(hashlib.new(digest, content).digest() for content in contents)


def group_of_stream(container: LargeEnvelope, pieces: Iterable[bytes], digest: str) -> tuple[bytes, ...]:
    """Return the same hashes of a container that is not in memory, by any digest.

    Args:
        container: its announcement, opened.
        pieces: the container's bytes, in order.
        digest: by its `hashlib` name.

    Raises:
        EnvelopeError: they are not the container that was announced.
    """
    intake = Intake(container)
    spans = _large_spans(container)
    hashes = [hashlib.new(digest) for _ in spans]
    for piece in pieces:
        begin = intake.offset
        intake.take(piece)
        for (start, stop), each in zip(spans, hashes, strict=True):
            each.update(piece[max(start - begin, 0) : max(stop - begin, 0)])
    intake.finish()
    return tuple(each.digest() for each in hashes)


def _large_spans(container: LargeEnvelope) -> list[tuple[int, int]]:
    """Return from where to where in the container each data object lies."""
    spans, offset = [], _LOCAL_HEADER + len(_MIMETYPE) + len(CONTAINER_MEDIA_TYPE)
    for name, size in _large_sizes(container):
        offset += _LOCAL_HEADER + len(name)
        spans.append((offset, offset + size))
        offset += size
    return spans


def _large_sizes(container: LargeEnvelope) -> Iterator[tuple[str, int]]:
    yield _HEADER_NAME, len(encode_header(container.header))
    for entry in container.header.payload:
        yield f"payload/{entry.name}", entry.bytes
    yield _MANIFEST_NAME, len(container.manifest)
    yield _SIGNATURE_NAME, len(container.signature)


def _large_contents(container: LargeEnvelope) -> Iterator[bytes | str]:
    """Yield the data objects; of those that are elsewhere, their SHA-256."""
    yield encode_header(container.header)
    for entry in container.header.payload:
        yield entry.sha256
    yield container.manifest
    yield container.signature


def _contents(envelope: Envelope) -> Iterator[bytes]:
    """Yield the members of an envelope; every message passes here, so its ZIP is not read again."""
    size = int.from_bytes(envelope.raw[_HEADER_SIZE_AT : _HEADER_SIZE_AT + 4], "little")
    yield envelope.raw[_HEADER_AT : _HEADER_AT + size]
    yield from envelope.payloads.values()
    yield envelope.manifest
    yield envelope.signature


def with_record(container: bytes, record: bytes) -> bytes:
    """Write the exported container.

    Args:
        container: in the canonical form.
        record: the evidence record in DER; it is not checked here.

    Raises:
        EnvelopeError: the container is not in the canonical form.
    """
    members = read_zip(container, Limits())
    return write_zip(
        (*members, Member(RECORD_MANIFEST_NAME, _manifest(members)), Member(RECORD_NAME, record))
    )


def without_record(raw: bytes) -> tuple[bytes, bytes | None]:
    """Take the evidence record out of an exported container.

    Returns:
        The container as it passed the hub, still to be opened and checked, and the record; `raw` itself and
        None where it has none.

    Raises:
        EnvelopeError: the container is not in the one form of exported containers, or its evidence record
            manifest is not the one its members call for.
    """
    limits = Limits()
    allowed = replace(
        limits,
        container_bytes=limits.container_bytes + _MOST_ADDED_BYTES,
        members=limits.members + len(_ADDED),
    )
    members = read_zip(raw, allowed)
    names = [member.name for member in members]
    if not set(_ADDED) & set(names):
        return raw, None
    if tuple(names[-len(_ADDED) :]) != _ADDED:
        missing = [name for name in _ADDED if name not in names]
        if missing:
            raise EnvelopeError("envelope.member_missing", missing[0])
        raise EnvelopeError("envelope.zip_not_canonical", "the evidence record is not behind all members")
    original = members[: -len(_ADDED)]
    if members[-2].content != _manifest(original):
        raise EnvelopeError("envelope.manifest_not_canonical", RECORD_MANIFEST_NAME)
    return write_zip(original), members[-1].content


def _manifest(members: Sequence[Member]) -> bytes:
    """Write the ASiCEvidenceRecordManifest of a container (EN 319 162-1 annex A.7)."""
    media_types = _media_types(members)
    lines = [
        f'<asic:DataObjectReference URI="{member.name}" MimeType={quoteattr(media_types[member.name])}>'
        f"{_METHOD}<ds:DigestValue>{b64encode(hashlib.sha256(member.content).digest()).decode('ascii')}"
        "</ds:DigestValue></asic:DataObjectReference>\n"
        for member in members
        if member.name != _MIMETYPE
    ]
    return "".join((_HEAD, *lines, _TAIL)).encode("utf-8")


def _media_types(members: Sequence[Member]) -> dict[str, str]:
    header = next((member.content for member in members if member.name == _HEADER_NAME), None)
    if header is None:
        raise EnvelopeError("envelope.member_missing", _HEADER_NAME)
    stated = {f"payload/{entry.name}": entry.media_type for entry in decode_header(header).payload}
    return {
        member.name: _MEDIA_TYPES.get(member.name) or stated.get(member.name, _SIGNATURE_MEDIA_TYPE)
        for member in members
    }
