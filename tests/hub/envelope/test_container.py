# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import struct
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.envelope import (
    CONTAINER_MEDIA_TYPE,
    Envelope,
    Limits,
    Payload,
    open_envelope,
    seal_envelope,
    verify_signature,
)
from hub.envelope.cades import sign_manifest
from hub.envelope.zipform import Member, read_zip, write_zip
from hub.errors import EnvelopeError
from hub.trust import algorithm_named
from tests.hub.envelope.signers import (
    ALGORITHMS,
    NOW,
    REQUEST,
    header_for,
    issue,
    new_private_key,
    request_envelope,
    throwaway_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMES = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,9}", fullmatch=True)
PAYLOADS = st.lists(
    st.builds(Payload, NAMES, st.sampled_from(["application/json", "a/b&c"]), st.binary(max_size=500)),
    max_size=4,
    unique_by=lambda payload: payload.name,
)
FLIPS = (0x01, 0x80, 0xFF)


def refusal(raw: bytes) -> EnvelopeError:
    with pytest.raises(EnvelopeError) as refused:
        verify_signature(open_envelope(raw))
    return refused.value


def rebuilt(envelope: Envelope, change: Callable[[list[Member]], None]) -> bytes:
    """Write the container again, its ZIP in order, after a change to its members."""
    members = list(read_zip(envelope.raw, Limits()))
    change(members)
    return write_zip(members)


@settings(deadline=None)
@given(PAYLOADS, st.sampled_from(ALGORITHMS))
def test_what_is_sealed_opens_to_the_same_and_is_signed_by_its_key(
    payloads: list[Payload], algorithm: str
) -> None:
    key = throwaway_key(algorithm)
    sealed = seal_envelope(header_for(payloads), payloads, key)

    opened = open_envelope(sealed.raw)
    signature = verify_signature(opened)

    assert opened == sealed
    assert dict(opened.payloads) == {payload.name: payload.content for payload in payloads}
    assert signature.chain == key.certificate_chain
    assert signature.signed_at == NOW.replace(microsecond=0)
    assert signature.algorithm == algorithm_named(algorithm).name


def test_the_members_stand_in_the_order_of_the_format() -> None:
    names = [member.name for member in read_zip(request_envelope().raw, Limits())]

    assert names == [
        "mimetype",
        "message.json",
        "payload/request.json",
        "META-INF/ASiCManifest.xml",
        "META-INF/signature.p7s",
    ]
    assert request_envelope().raw[30:69] == b"mimetype" + CONTAINER_MEDIA_TYPE.encode()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_signature_of_a_signer_met_before_is_checked_as_strictly_as_the_first(algorithm: str) -> None:
    """A signer's second message takes a shorter way through the check, which must let nothing wrong pass."""
    first = request_envelope(algorithm)
    other = seal_envelope(header_for((), expires_at=NOW + timedelta(hours=2)), (), throwaway_key(algorithm))
    assert verify_signature(open_envelope(first.raw)) == verify_signature(open_envelope(first.raw))

    swapped = Envelope(b"", first.header, {}, first.manifest, other.signature)
    with pytest.raises(EnvelopeError) as refused:
        verify_signature(swapped)
    assert refused.value.code == "envelope.digest_mismatch"
    late = replace(first, header=header_for((REQUEST,), sent_at=NOW + timedelta(seconds=1)))
    with pytest.raises(EnvelopeError) as refused:
        verify_signature(late)
    assert refused.value.code == "envelope.signing_time_mismatch"


def structures(raw: bytes) -> Iterator[tuple[str, int, int]]:
    """Yield every part of a container with where it begins and ends, by a reading of its own."""
    offset = 0
    while raw[offset : offset + 4] == b"PK\x03\x04":
        size, name_size = struct.unpack_from("<IH", raw, offset + 22)
        name = raw[offset + 30 : offset + 30 + name_size].decode()
        yield f"local file header of {name}", offset, offset + 30 + name_size
        yield f"content of {name}", offset + 30 + name_size, offset + 30 + name_size + size
        offset += 30 + name_size + size
    while raw[offset : offset + 4] == b"PK\x01\x02":
        (name_size,) = struct.unpack_from("<H", raw, offset + 28)
        name = raw[offset + 46 : offset + 46 + name_size].decode()
        yield f"central directory header of {name}", offset, offset + 46 + name_size
        offset += 46 + name_size
    yield "end of central directory record", offset, len(raw)


def names_the_part(refused: EnvelopeError, part: str, byte: int) -> bool:
    """Tell whether a refusal names the part whose byte was flipped.

    A broken local header may end the run of members or spoil the name, so it is named by its offset or by
    what its absence means; all else is named outright.
    """
    kind, _, name = part.partition(" of ")
    if byte < 4 and "neither a local file header nor the central directory" in refused.detail:
        return refused.code == "envelope.zip_not_canonical" and "header" in kind
    if kind == "content":
        return refused.code == "envelope.zip_checksum_mismatch" and refused.detail == name
    if kind in {"central directory header", "end"}:
        return refused.code == "envelope.zip_not_canonical" and part in refused.detail
    if byte < 4:
        return refused.code == "envelope.not_a_zip" and name == "mimetype"
    if 14 <= byte < 18:
        return refused.code == "envelope.zip_checksum_mismatch" and refused.detail == name
    return "local file header" in refused.detail or name in refused.detail or byte in range(26, 30)


def test_every_byte_flipped_is_refused_and_the_broken_part_is_named() -> None:
    raw = request_envelope().raw
    parts = list(structures(raw))
    assert [parts[0][1], parts[-1][2]] == [0, len(raw)]
    assert all(before[2] == after[1] for before, after in pairwise(parts))
    unnamed = []

    for part, start, end in parts:
        for position in range(start, end):
            for flip in FLIPS:
                broken = bytearray(raw)
                broken[position] ^= flip
                refused = refusal(bytes(broken))
                if not names_the_part(refused, part, position - start):
                    unnamed.append((part, position - start, flip, str(refused)))

    assert unnamed == []


CODES_OF_CONTENT = {
    "mimetype": {"envelope.mimetype_invalid"},
    "message.json": {
        "envelope.header_invalid",
        "envelope.header_unknown_field",
        "envelope.header_not_canonical",
        "envelope.member_unexpected",
        "envelope.payload_mismatch",
        "envelope.manifest_not_canonical",
    },
    "payload/request.json": {"envelope.payload_mismatch"},
    "META-INF/ASiCManifest.xml": {"envelope.manifest_not_canonical"},
    "META-INF/signature.p7s": {
        "envelope.signature_malformed",
        "envelope.signature_not_canonical",
        "envelope.signature_invalid",
        "envelope.digest_mismatch",
        "envelope.certificate_binding_invalid",
        "envelope.algorithm_not_allowed",
        "envelope.signing_time_mismatch",
    },
}


# Cryptography warns of certificates it will refuse in future; here they are refused at once.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.parametrize("name", CODES_OF_CONTENT)
def test_every_byte_flipped_by_an_attacker_who_repairs_the_checksums_is_refused(name: str) -> None:
    members = read_zip(request_envelope().raw, Limits())
    index = [member.name for member in members].index(name)
    seen = set()

    for position in range(len(members[index].content)):
        for flip in FLIPS:
            content = bytearray(members[index].content)
            content[position] ^= flip
            forged = [*members[:index], Member(name, bytes(content)), *members[index + 1 :]]
            raw = write_zip(forged)
            assert read_zip(raw, Limits())
            refused = refusal(raw)
            assert refused.code in CODES_OF_CONTENT[name]
            seen.add(refused.code)

    assert len(seen) > (name.startswith("message") or name.endswith("p7s"))


def test_a_container_cut_off_anywhere_is_refused() -> None:
    raw = request_envelope().raw

    assert {refusal(raw[:length]).code for length in range(0, len(raw), 7)} <= {
        "envelope.not_a_zip",
        "envelope.zip_not_canonical",
        "envelope.member_name_invalid",
    }


def drop(name: str) -> Callable[[list[Member]], None]:
    return lambda members: members.remove(next(member for member in members if member.name == name))


def add(name: str, position: int) -> Callable[[list[Member]], None]:
    return lambda members: members.insert(position, Member(name, b"x"))


def swap(first: int, second: int) -> Callable[[list[Member]], None]:
    def change(members: list[Member]) -> None:
        members[first], members[second] = members[second], members[first]

    return change


@pytest.mark.parametrize(
    ("change", "code", "hint"),
    [
        (drop("mimetype"), "envelope.mimetype_invalid", "message.json"),
        (drop("message.json"), "envelope.member_missing", "message.json"),
        (drop("payload/request.json"), "envelope.member_missing", "payload/request.json"),
        (drop("META-INF/ASiCManifest.xml"), "envelope.member_missing", "ASiCManifest.xml"),
        (drop("META-INF/signature.p7s"), "envelope.member_missing", "signature.p7s"),
        (add("payload/more.json", 3), "envelope.member_unexpected", "payload/more.json"),
        (add("META-INF/signature2.p7s", 5), "envelope.member_unexpected", "signature2.p7s"),
        (add("META-INF/manifest.xml", 3), "envelope.member_unexpected", "META-INF/manifest.xml"),
        (add("readme.txt", 2), "envelope.member_unexpected", "readme.txt"),
        (swap(0, 1), "envelope.mimetype_invalid", "message.json"),
        (swap(1, 2), "envelope.zip_not_canonical", "order"),
        (swap(3, 4), "envelope.zip_not_canonical", "order"),
        (swap(2, 3), "envelope.zip_not_canonical", "order"),
    ],
)
def test_a_member_too_few_too_many_or_misplaced_is_refused(
    change: Callable[[list[Member]], None], code: str, hint: str
) -> None:
    refused = refusal(rebuilt(request_envelope(), change))

    assert refused.code == code
    assert hint in refused.detail


def test_payloads_in_another_order_than_the_header_s_are_refused() -> None:
    payloads = (REQUEST, Payload("more.csv", "text/csv", b"a,b"))
    raw = rebuilt(request_envelope(payloads=payloads), swap(2, 3))

    assert refusal(raw).code == "envelope.zip_not_canonical"


@pytest.mark.parametrize("content", [b"", b"application/zip", b"application/vnd.etsi.asic-e+zip\n"])
def test_another_mimetype_is_refused(content: bytes) -> None:
    def change(members: list[Member]) -> None:
        members[0] = Member("mimetype", content)

    assert refusal(rebuilt(request_envelope(), change)).code == "envelope.mimetype_invalid"


@pytest.mark.parametrize(("index", "limit"), [(1, 64 * 1024), (4, 64 * 1024)])
def test_an_overlong_header_or_signature_is_refused(index: int, limit: int) -> None:
    def change(members: list[Member]) -> None:
        members[index] = Member(members[index].name, bytes(limit + 1))

    refused = refusal(rebuilt(request_envelope(), change))

    assert refused.code == "envelope.too_large"


def test_a_whole_forgery_without_the_key_is_refused() -> None:
    """Header, payload, manifest and checksums fit each other; only the signature is of another manifest."""
    original = request_envelope()
    forged = seal_envelope(header_for((), kind=original.header.kind), (), throwaway_key("P-256", "Mallory"))

    def change(members: list[Member]) -> None:
        members[-1] = Member(members[-1].name, original.signature)

    assert refusal(rebuilt(forged, change)).code == "envelope.digest_mismatch"


def test_a_signature_made_at_another_time_than_the_header_states_is_refused() -> None:
    envelope = request_envelope()
    signature = sign_manifest(envelope.manifest, throwaway_key(), NOW + timedelta(days=1))

    def change(members: list[Member]) -> None:
        members[-1] = Member(members[-1].name, signature)

    assert refusal(rebuilt(envelope, change)).code == "envelope.signing_time_mismatch"


def test_an_envelope_is_not_sealed_when_the_header_describes_other_payloads() -> None:
    with pytest.raises(EnvelopeError) as refused:
        seal_envelope(header_for(()), (REQUEST,), throwaway_key())
    assert refused.value.code == "envelope.payload_mismatch"


def test_an_envelope_beyond_the_limits_is_not_sealed() -> None:
    large = Payload("large.bin", "application/octet-stream", bytes(Limits().container_bytes))

    with pytest.raises(EnvelopeError) as refused:
        seal_envelope(header_for((large,)), (large,), throwaway_key())
    assert refused.value.code == "envelope.too_large"


def test_the_key_of_an_algorithm_that_is_not_allowed_signs_nothing() -> None:
    key = new_private_key("secp256k1")
    certificate = issue("Weak", key, None, key)
    weak = replace(throwaway_key(), private_key=key, certificate_chain=(certificate,))

    with pytest.raises(EnvelopeError) as refused:
        seal_envelope(header_for((REQUEST,)), (REQUEST,), weak)
    assert refused.value.code == "envelope.algorithm_not_allowed"


def test_the_checksums_that_were_repaired_are_what_a_reader_of_zip_files_compares() -> None:
    """The forgery above is one that plain `unzip` accepts."""
    member = read_zip(request_envelope().raw, Limits())[2]

    assert struct.pack("<I", crc32(member.content)) in request_envelope().raw
    assert json.loads(member.content)["year"] == 2025
