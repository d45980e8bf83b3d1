# SPDX-License-Identifier: Apache-2.0
"""A container and its record go into one file and come out of it again, byte for byte."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest

from hub.envelope import Envelope, Limits, Member, Payload, open_envelope, read_zip, write_zip
from hub.errors import EnvelopeError
from hub.preservation import (
    RECORD_MANIFEST_NAME,
    RECORD_NAME,
    EvidenceRecord,
    group_of,
    with_record,
    without_record,
)
from hub.verifier import ProofKind, read_manifests, unpack
from tests.hub.envelope.signers import request_envelope

RECORD = b"0\x03\x02\x01\x01"


@pytest.fixture(scope="module")
def envelope() -> Envelope:
    payloads = [
        Payload("form.json", "application/json", b'{"a":1}'),
        Payload("scan.pdf", "application/pdf", b"%PDF-"),
    ]
    return open_envelope(request_envelope(payloads=payloads).raw)


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_the_group_is_every_member_but_the_one_that_is_always_the_same(
    envelope: Envelope, digest: str
) -> None:
    members = read_zip(envelope.raw, Limits())

    expected = tuple(hashlib.new(digest, each.content).digest() for each in members[1:])
    assert group_of(envelope, digest) == group_of(members, digest) == expected
    assert len(expected) == 5


def test_the_record_goes_behind_the_members_and_comes_out_again(envelope: Envelope) -> None:
    exported = with_record(envelope.raw, RECORD)

    with zipfile.ZipFile(io.BytesIO(exported)) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
    assert names == [each.name for each in read_zip(envelope.raw, Limits())] + [
        RECORD_MANIFEST_NAME,
        RECORD_NAME,
    ]
    assert without_record(exported) == (envelope.raw, RECORD)
    assert without_record(envelope.raw) == (envelope.raw, None)
    assert group_of(read_zip(exported, Limits())) == group_of(envelope)


def test_others_read_the_manifest_of_the_record_as_the_standard_says(envelope: Envelope) -> None:
    members = unpack(with_record(envelope.raw, RECORD))

    manifest = next(each for each in read_manifests(members) if each.kind is ProofKind.EVIDENCE_RECORD)

    assert (manifest.name, manifest.proof) == (RECORD_MANIFEST_NAME, RECORD_NAME)
    named = [(each.name, each.digest, each.value) for each in manifest.references]
    assert named == [
        (name, "sha256", hashlib.sha256(content).digest())
        for name, content in members.items()
        if name not in {"mimetype", RECORD_MANIFEST_NAME, RECORD_NAME}
    ]


def changed(envelope: Envelope, how: str) -> bytes:
    members = list(read_zip(with_record(envelope.raw, RECORD), Limits()))
    match how:
        case "order":
            members[-1], members[-2] = members[-2], members[-1]
        case "in front":
            members = [members[0], *members[-2:], *members[1:-2]]
        case "no record":
            members.pop()
        case "no manifest":
            members.pop(-2)
        case "one more":
            members.append(Member("META-INF/evidencerecord002.ers", RECORD))
        case "other manifest":
            other = members[-2].content.replace(b"scan.pdf", b"scan.txt")
            members[-2] = Member(RECORD_MANIFEST_NAME, other)
        case "other member":
            members[2] = Member(members[2].name, b'{"a":2}')
    return write_zip(members)


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("order", "envelope.zip_not_canonical"),
        ("in front", "envelope.zip_not_canonical"),
        ("no record", "envelope.member_missing"),
        ("no manifest", "envelope.member_missing"),
        ("one more", "envelope.zip_not_canonical"),
        ("other manifest", "envelope.manifest_not_canonical"),
        ("other member", "envelope.manifest_not_canonical"),
    ],
)
def test_an_exported_container_has_one_form(envelope: Envelope, how: str, code: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        without_record(changed(envelope, how))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"0\x00",
        b"\x30\x80\x00\x00",
        b"0\x03\x02\x01\x01",
        b"\xff" * 40,
        b"0\x84\x7f\xff\xff\xff",
        b"x" * (5 * 2**20),
    ],
    ids=["nothing", "empty", "indefinite", "version only", "noise", "endless", "too long"],
)
def test_what_is_no_record_is_refused_as_such(der: bytes) -> None:
    with pytest.raises(EnvelopeError) as caught:
        EvidenceRecord.decode(der)
    assert caught.value.code == "envelope.evidence_record_malformed"
