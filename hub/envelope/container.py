# SPDX-License-Identifier: Apache-2.0
"""An envelope made, opened and checked.

    seal_envelope      header + payloads + key   -> container
    open_envelope      container                 -> members, digests and header hold
    verify_signature   opened envelope           -> who signed it, when

Source: docs/protocols/envelope.md; ETSI EN 319 162-1 clause 4.4 (ASiC-E with CAdES).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NoReturn

from hub.envelope.cades import sign_manifest, verify_canonical_cades
from hub.envelope.header import decode_header, encode_header
from hub.envelope.manifest import write_manifest
from hub.envelope.model import (
    CONTAINER_MEDIA_TYPE,
    HEADER_MEDIA_TYPE,
    HEADER_NAME,
    MANIFEST_NAME,
    SIGNATURE_NAME,
    Envelope,
    Limits,
)
from hub.envelope.zipform import Member, read_zip, write_zip
from hub.errors import EnvelopeError
from hub.trust import DEFAULT_ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from hub.envelope.model import Header, Payload, Signature
    from hub.trust import SignatureAlgorithm, SigningKey

MIMETYPE = Member("mimetype", CONTAINER_MEDIA_TYPE.encode("ascii"))
FOLDER = "payload/"
_LIMITS = Limits()
_FIXED_NAMES = {"mimetype", HEADER_NAME, MANIFEST_NAME, SIGNATURE_NAME}


def seal_envelope(header: Header, payloads: Sequence[Payload], key: SigningKey) -> Envelope:
    """Write and sign a container.

    Args:
        header: complete; its `payload` describes `payloads` in their order.
        payloads: as `header.payload` says.
        key: the sender's.

    Raises:
        EnvelopeError: the header describes other payloads, the key's algorithm is not allowed, or the
            container would exceed the limits.
    """
    if [(e.name, e.bytes) for e in header.payload] != [(p.name, len(p.content)) for p in payloads]:
        raise EnvelopeError("envelope.payload_mismatch", "the header describes other payloads")
    header_bytes = encode_header(header)
    manifest = manifest_of(header, header_bytes)
    signature = sign_manifest(manifest, key, header.sent_at.replace(microsecond=0))
    raw = write_zip(
        (
            MIMETYPE,
            Member(HEADER_NAME, header_bytes),
            *(Member(FOLDER + p.name, p.content) for p in payloads),
            Member(MANIFEST_NAME, manifest),
            Member(SIGNATURE_NAME, signature),
        )
    )
    if len(raw) > _LIMITS.container_bytes:
        raise EnvelopeError("envelope.too_large", f"{len(raw)} bytes")
    return Envelope(raw, header, {p.name: p.content for p in payloads}, manifest, signature)


def open_envelope(raw: bytes, limits: Limits | None = None) -> Envelope:
    """Open a container whose every byte but the signature's has been checked against the others.

    Checks, in order: size, ZIP form, members, header, payloads against the header, manifest against both.

    Raises:
        EnvelopeError: the first check that failed, naming the part of the container.
    """
    limits = limits or _LIMITS
    members = read_zip(raw, limits)
    check_members(members, limits)
    header = decode_header(members[1].content)
    check_payloads(header, members)
    check_manifest(header, members)
    return assemble_envelope(raw, header, members)


def assemble_envelope(raw: bytes, header: Header, members: Sequence[Member]) -> Envelope:
    """Put together what was checked step by step."""
    contents = [member.content for member in members]
    payloads = {entry.name: content for entry, content in zip(header.payload, contents[2:-2], strict=True)}
    return Envelope(raw, header, payloads, contents[-2], contents[-1])


def verify_signature(
    envelope: Envelope, allowed: AbstractSet[SignatureAlgorithm] = DEFAULT_ALGORITHMS
) -> Signature:
    """Check an opened envelope's signature; its certificate is still to be believed or not.

    Args:
        envelope: opened before.
        allowed: the rows of the table of algorithms that the policy for envelopes allows.

    Raises:
        EnvelopeError: the signature does not hold, is not in the one form allowed, or was made at another
            time than the header states.
    """
    stated_at = envelope.header.sent_at.replace(microsecond=0)
    return verify_canonical_cades(envelope.signature, envelope.manifest, stated_at, allowed)


def manifest_of(header: Header, header_bytes: bytes) -> bytes:
    """Write the manifest that a header and its bytes call for."""
    files = [(HEADER_NAME, HEADER_MEDIA_TYPE, hashlib.sha256(header_bytes).digest())]
    files += [(FOLDER + p.name, p.media_type, bytes.fromhex(p.sha256)) for p in header.payload]
    return write_manifest(files)


def check_members(members: Sequence[Member], limits: Limits) -> None:
    """Refuse any other members than those of the format, in their order.

    Raises:
        EnvelopeError: `mimetype_invalid`, `member_unexpected`, `member_missing`, `zip_not_canonical` or
            `too_large`.

    Source: docs/protocols/envelope.md section 2.
    """
    if members[0] != MIMETYPE:
        raise EnvelopeError("envelope.mimetype_invalid", f"first member is {members[0].name!r}")
    names = [member.name for member in members]
    for name in names:
        if name not in _FIXED_NAMES and not name.startswith(FOLDER):
            raise EnvelopeError("envelope.member_unexpected", name)
    for needed in (HEADER_NAME, MANIFEST_NAME, SIGNATURE_NAME):
        if needed not in names:
            raise EnvelopeError("envelope.member_missing", needed)
    if names[1] != HEADER_NAME or names[-2] != MANIFEST_NAME or names[-1] != SIGNATURE_NAME:
        raise EnvelopeError("envelope.zip_not_canonical", "the members are not in the order of the format")
    for member, limit in ((members[1], limits.header_bytes), (members[-1], limits.signature_bytes)):
        if len(member.content) > limit:
            raise EnvelopeError("envelope.too_large", f"{member.name}: {len(member.content)} bytes")


def check_payloads(header: Header, members: Sequence[Member]) -> None:
    """Compare the payloads, their sizes and their digests with what the header says.

    Raises:
        EnvelopeError: `member_unexpected`, `member_missing`, `zip_not_canonical` or `payload_mismatch`.
    """
    payloads = members[2:-2]
    stated, present = [FOLDER + entry.name for entry in header.payload], [member.name for member in payloads]
    if stated != present:
        _refuse_other_payloads(stated, present)
    for entry, member in zip(header.payload, payloads, strict=True):
        if entry.bytes != len(member.content):
            raise EnvelopeError("envelope.payload_mismatch", f"{member.name}: size")
        if entry.sha256 != hashlib.sha256(member.content).hexdigest():
            raise EnvelopeError("envelope.payload_mismatch", f"{member.name}: SHA-256")


def check_manifest(header: Header, members: Sequence[Member]) -> None:
    """Compare the manifest with the one that the header and its bytes call for.

    Raises:
        EnvelopeError: `manifest_not_canonical`.

    Source: docs/protocols/envelope.md section 5.
    """
    if members[-2].content != manifest_of(header, members[1].content):
        raise EnvelopeError("envelope.manifest_not_canonical", MANIFEST_NAME)


def _refuse_other_payloads(stated: Sequence[str], present: Sequence[str]) -> NoReturn:
    for name in present:
        if name not in stated:
            raise EnvelopeError("envelope.member_unexpected", f"{name} is not in the header")
    for name in stated:
        if name not in present:
            raise EnvelopeError("envelope.member_missing", name)
    raise EnvelopeError("envelope.zip_not_canonical", "the payloads are not in the header's order")
