# SPDX-License-Identifier: Apache-2.0
"""Announcing an envelope that is too large for memory, before its container is sent.

    seal_large          header + payloads, some of them files + key   -> what announces the container
    open_announcement   announcement                                  -> all that can be checked without them

An announcement is the container without the contents of its large payloads, and one member more, which says
what those contents' CRC-32 are and the SHA-256 of the whole. Every other byte of the container follows.

Source: docs/protocols/envelope.md section 12.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hub.canonical import encode_canonical
from hub.envelope.cades import sign_manifest
from hub.envelope.container import (
    FOLDER,
    MIMETYPE,
    assemble_envelope,
    check_manifest,
    check_members,
    check_payloads,
    manifest_of,
)
from hub.envelope.header import decode_header, encode_header
from hub.envelope.large import FilePayload, LargeEnvelope, read_container
from hub.envelope.model import HEADER_NAME, MANIFEST_NAME, SIGNATURE_NAME, Limits, Payload
from hub.envelope.zipform import MOST_BYTES, Hole, Member, read_zip, write_zip
from hub.errors import EnvelopeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.envelope.model import Header
    from hub.trust import SigningKey

ANNOUNCEMENT_MEDIA_TYPE = "application/vnd.heliograph.announcement+zip"
ANNOUNCED_NAME = "META-INF/announced.json"

_END_OF_DIRECTORY_BYTES = 22  # APPNOTE 4.3.16, without a comment.
_CRC = re.compile(r"[0-9a-f]{8}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def seal_large(header: Header, payloads: Sequence[Payload | FilePayload], key: SigningKey) -> LargeEnvelope:
    """Sign a message of which some payloads are files.

    Args:
        header: complete; its `payload` describes `payloads` in their order.
        payloads: as `header.payload` says; at least one is a file.
        key: the sender's.

    Raises:
        EnvelopeError: the header describes other payloads, or the container would be larger than a ZIP can
            be.
    """
    if header.payload != tuple(each.describe() for each in payloads):
        raise EnvelopeError("envelope.payload_mismatch", "the header describes other payloads")
    manifest = manifest_of(header, encode_header(header))
    signature = sign_manifest(manifest, key, header.sent_at.replace(microsecond=0))
    files = {each.entry.name: each.file for each in payloads if isinstance(each, FilePayload)}
    draft = LargeEnvelope(
        raw=b"",
        header=header,
        payloads={each.name: each.content for each in payloads if isinstance(each, Payload)},
        manifest=manifest,
        signature=signature,
        stated_sha256="",
        holes=tuple(
            Hole(FOLDER + each.entry.name, each.entry.bytes, each.crc32)
            for each in payloads
            if isinstance(each, FilePayload)
        ),
    )
    digest = hashlib.sha256()
    for piece in read_container(draft, files):
        digest.update(piece)
    sealed = replace(draft, stated_sha256=digest.hexdigest())
    return replace(sealed, raw=_write_announcement(sealed))


def open_announcement(
    raw: bytes, limits: Limits | None = None, *, most_bytes: int = MOST_BYTES
) -> LargeEnvelope:
    """Open an announcement: everything holds that can be checked without the large payloads.

    Args:
        raw: as received.
        limits: of the announcement itself.
        most_bytes: how large the container may be.

    Raises:
        EnvelopeError: as `open_envelope`; `announcement_invalid`: it does not announce this container.
    """
    limits = limits or Limits()
    members = read_zip(raw, replace(limits, members=limits.members + 1))
    if members[-1].name != ANNOUNCED_NAME:
        raise EnvelopeError("envelope.announcement_invalid", f"the last member is not {ANNOUNCED_NAME}")
    announced, members = members[-1].content, members[:-1]
    if not members:
        raise EnvelopeError("envelope.member_missing", HEADER_NAME)
    check_members(members, limits)
    header = decode_header(members[1].content)
    checksums, stated_sha256 = _read_announced(announced)
    present = replace(header, payload=tuple(e for e in header.payload if e.name not in checksums))
    check_payloads(present, members)
    check_manifest(header, members)
    missing = tuple(entry for entry in header.payload if entry.name in checksums)
    if [entry.name for entry in missing] != list(checksums) or not missing:
        raise EnvelopeError("envelope.announcement_invalid", "it names other payloads than the header")
    inner = assemble_envelope(raw, present, members)
    large = LargeEnvelope(
        raw=raw,
        header=header,
        payloads=inner.payloads,
        manifest=inner.manifest,
        signature=inner.signature,
        stated_sha256=stated_sha256,
        holes=tuple(Hole(FOLDER + each.name, each.bytes, checksums[each.name]) for each in missing),
    )
    if large.size > most_bytes:
        raise EnvelopeError("envelope.too_large", f"{large.size} bytes, allowed {most_bytes}")
    return large


def is_announcement(raw: bytes) -> bool:
    """Tell an announcement from a container by the last name of its directory; nothing else is checked."""
    name = ANNOUNCED_NAME.encode("ascii")
    end = len(raw) - _END_OF_DIRECTORY_BYTES
    return raw[max(end - len(name), 0) : max(end, 0)] == name


def _write_announcement(envelope: LargeEnvelope) -> bytes:
    announced = {
        "absent": [
            {"crc32": f"{hole.crc32:08x}", "name": hole.name.removeprefix(FOLDER)} for hole in envelope.holes
        ],
        "container_sha256": envelope.stated_sha256,
    }
    return write_zip(
        (
            MIMETYPE,
            Member(HEADER_NAME, encode_header(envelope.header)),
            *(Member(FOLDER + name, content) for name, content in envelope.payloads.items()),
            Member(MANIFEST_NAME, envelope.manifest),
            Member(SIGNATURE_NAME, envelope.signature),
            Member(ANNOUNCED_NAME, encode_canonical(announced)),
        )
    )


def _read_announced(raw: bytes) -> tuple[dict[str, int], str]:
    """Return the checksums by payload name, and the container's digest."""
    try:
        fields: dict[str, Any] = json.loads(raw)
        absent = {each["name"]: each["crc32"] for each in fields["absent"]}
        stated = fields["container_sha256"]
        is_ours = (
            encode_canonical(fields) == raw
            and fields.keys() == {"absent", "container_sha256"}
            and all(each.keys() == {"name", "crc32"} for each in fields["absent"])
            and len(absent) == len(fields["absent"])
            and all(_CRC.fullmatch(each) for each in absent.values())
            and _SHA256.fullmatch(stated) is not None
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise EnvelopeError("envelope.announcement_invalid", ANNOUNCED_NAME) from exc
    if not is_ours:
        raise EnvelopeError("envelope.announcement_invalid", ANNOUNCED_NAME)
    return {name: int(text, 16) for name, text in absent.items()}, stated
