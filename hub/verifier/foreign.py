# SPDX-License-Identifier: Apache-2.0
"""Reading ASiC-E containers of other producers: any ZIP layout, but nothing hostile, and the ASiC manifests.

Everything about the ZIP is checked from its directory before a byte is unpacked. Nothing is ever written to
disk, so a name can do no harm; names that would are refused all the same, since others will unpack the file.

Source: ETSI EN 319 162-1 clause 4.4 and annex A; PKWARE APPNOTE 6.3.3.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import unquote

from lxml import etree

from hub.errors import EnvelopeError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_MEMBERS = 1000
_MOST_UNPACKED = 256 * 1024 * 1024
_MOST_EXPANSION = 200
_UNSUSPICIOUS = 64 * 1024
_MOST_XML = 4 * 1024 * 1024
_LOCAL_HEADER = 30
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1

_ASIC = "{http://uri.etsi.org/02918/v1.2.1#}"
_DS = "{http://www.w3.org/2000/09/xmldsig#}"
_DIGESTS = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
_IS_MANIFEST = re.compile(r"META-INF/[^/]*ASiC[^/]*Manifest[^/]*\.xml")


class ProofKind(StrEnum):
    """What a manifest is protected by."""

    SIGNATURE = "signature"
    TIME_STAMP = "time stamp"
    EVIDENCE_RECORD = "evidence record"


_KINDS = {".p7s": ProofKind.SIGNATURE, ".tst": ProofKind.TIME_STAMP}
_KINDS |= dict.fromkeys((".ers", ".xml"), ProofKind.EVIDENCE_RECORD)


@dataclass(frozen=True)
class Reference:
    """One file a manifest names.

    Attributes:
        name: of the member, percent-decoded.
        digest: name of the digest for `hashlib`.
    """

    name: str
    digest: str
    value: bytes


@dataclass(frozen=True)
class Manifest:
    """An ASiCManifest, ASiCArchiveManifest or ASiCEvidenceRecordManifest.

    Attributes:
        proof: name of the member that protects this manifest or, an evidence record, the files it names.
    """

    name: str
    proof: str
    kind: ProofKind
    references: tuple[Reference, ...]


def unpack(raw: bytes) -> Mapping[str, bytes]:
    """Take every member out of a ZIP that is safe to take apart.

    Raises:
        EnvelopeError: it is damaged, or built to harm or to be read in two ways.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            entries = archive.infolist()
            _check_entries(entries)
            return {entry.filename: _read(archive, entry) for entry in entries if not entry.is_dir()}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as exc:
        raise EnvelopeError("envelope.not_a_zip", str(exc)[:200]) from exc


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as member:
        content = member.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise EnvelopeError("envelope.zip_bomb", f"{entry.filename} has not the size it claims")
    return content


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    if not entries or len(entries) > _MOST_MEMBERS:
        raise EnvelopeError("envelope.too_many_members", f"{len(entries)}, allowed 1 to {_MOST_MEMBERS}")
    if sum(entry.file_size for entry in entries) > _MOST_UNPACKED:
        raise EnvelopeError("envelope.zip_bomb", f"unpacks to more than {_MOST_UNPACKED} bytes")
    names = set()
    for entry in entries:
        _check_entry(entry)
        if entry.filename.casefold() in names:
            raise EnvelopeError("envelope.member_duplicate", entry.filename)
        names.add(entry.filename.casefold())
    _check_layout(entries)


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    parts = name.removesuffix("/").split("/")
    is_safe = name.isprintable() and not re.search(r"[\\:]", name) and not {"", ".", ".."} & set(parts)
    # What zipfile shows is cut at a zero byte; the directory's own form of the name must be the same.
    if not is_safe or entry.orig_filename != name or (name.endswith("/") and entry.file_size):
        raise EnvelopeError("envelope.member_name_invalid", repr(entry.orig_filename)[:200])
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
        raise EnvelopeError("envelope.not_a_zip", f"{name} is encrypted or compressed by an unusual method")
    if entry.file_size > max(_UNSUSPICIOUS, _MOST_EXPANSION * entry.compress_size):
        raise EnvelopeError(
            "envelope.zip_bomb", f"{name}: {entry.compress_size} bytes claim to unpack to {entry.file_size}"
        )


def _check_layout(entries: list[zipfile.ZipInfo]) -> None:
    """Refuse members that overlap, and bytes before the first one: two readers could see two containers."""
    end = 0
    for entry in sorted(entries, key=lambda each: each.header_offset):
        if entry.header_offset < end or (end == 0 and entry.header_offset != 0):
            raise EnvelopeError(
                "envelope.zip_bomb", f"{entry.filename} overlaps another member, or is hidden"
            )
        end = entry.header_offset + _LOCAL_HEADER + len(entry.orig_filename) + entry.compress_size


def read_manifests(members: Mapping[str, bytes]) -> tuple[Manifest, ...]:
    """Read every ASiC manifest in META-INF.

    Raises:
        EnvelopeError: `manifest_invalid` when one is not of the standard's form, or there is none.

    Source: ETSI EN 319 162-1 annex A.4 and A.7.
    """
    names = sorted(name for name in members if _IS_MANIFEST.fullmatch(name))
    if not names:
        raise EnvelopeError("envelope.manifest_invalid", "there is no META-INF/ASiCManifest*.xml")
    return tuple(_read_manifest(name, members[name]) for name in names)


def _read_manifest(name: str, content: bytes) -> Manifest:
    root = _parse(name, content)
    proofs = root.findall(_ASIC + "SigReference")
    objects = root.findall(_ASIC + "DataObjectReference")
    if root.tag != _ASIC + "ASiCManifest" or len(proofs) != 1 or len(proofs[0]) or not objects:
        raise EnvelopeError("envelope.manifest_invalid", f"{name} is not of the form of an ASiC manifest")
    if any(each.get("Critical") in {"true", "1"} for each in root.iter()):
        raise EnvelopeError("envelope.manifest_invalid", f"{name} has a critical extension unknown here")
    proof = _member_name(name, proofs[0])
    kind = next((kind for ending, kind in _KINDS.items() if proof.endswith(ending)), None)
    if kind is None or not proof.startswith("META-INF/"):
        raise EnvelopeError("envelope.manifest_invalid", f"{name} is protected by {proof}, which is no proof")
    return Manifest(name, proof, kind, tuple(_read_reference(name, each) for each in objects))


def _parse(name: str, content: bytes) -> etree._Element:
    if len(content) > _MOST_XML:
        raise EnvelopeError("envelope.too_large", f"{name}: {len(content)} bytes")
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, dtd_validation=False, huge_tree=False
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise EnvelopeError("envelope.manifest_invalid", f"{name} is not XML") from exc
    if root.getroottree().docinfo.internalDTD is not None or any(True for _ in root.iter(etree.Entity)):
        raise EnvelopeError("envelope.manifest_invalid", f"{name} declares a document type")
    return root


def _read_reference(manifest: str, element: etree._Element) -> Reference:
    name = _member_name(manifest, element)
    methods, values = element.findall(_DS + "DigestMethod"), element.findall(_DS + "DigestValue")
    if len(methods) != 1 or len(values) != 1:
        raise EnvelopeError("envelope.manifest_invalid", f"{manifest} states not one digest of {name}")
    algorithm = methods[0].get("Algorithm", "")
    if algorithm not in _DIGESTS:
        raise EnvelopeError("envelope.algorithm_not_allowed", f"{manifest}: {algorithm} of {name}"[:200])
    try:
        value = base64.b64decode("".join((values[0].text or "").split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise EnvelopeError("envelope.manifest_invalid", f"{manifest}: digest of {name}") from exc
    return Reference(name, _DIGESTS[algorithm], value)


def _member_name(manifest: str, element: etree._Element) -> str:
    uri = element.get("URI")
    if not uri or "#" in uri:
        raise EnvelopeError("envelope.manifest_invalid", f"{manifest} has a reference without a file's name")
    # A URI reference is relative to the container's root (EN 319 162-1 annex A.4).
    return unquote(uri).removeprefix("./").removeprefix("/")
