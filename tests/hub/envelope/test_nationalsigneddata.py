# SPDX-License-Identifier: Apache-2.0
"""Signatures in the national form of CMS: read by another decoder, verified by openssl, and attacked."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from asn1crypto import core, parser

from hub.envelope import cms, sign_national, verify_national
from hub.errors import EnvelopeError
from hub.trust import ANY_ALGORITHM, DEFAULT_ALGORITHMS
from tests.hub.envelope.signers import throwaway_key
from tests.hub.trust.sm2_pki import USER_ID, Sm2Signer, make_signer, needs_openssl, openssl

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_openssl

CONTENT = "电子证照".encode()
NATIONAL_DATA = "1.2.156.10197.6.1.4.2.1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("national")


@pytest.fixture(scope="module")
def signer(folder: Path) -> Sm2Signer:
    return make_signer(folder)


def refusal(signature: bytes, content: bytes = CONTENT) -> str:
    with pytest.raises(EnvelopeError) as refused:
        verify_national(signature, content, ANY_ALGORITHM)
    return refused.value.code


def children(der: bytes) -> list[bytes]:
    """Take a constructed element apart with asn1crypto's parser."""
    content = parser.parse(der, strict=True)[4]
    found = []
    while content:
        size = parser.peek(content)
        found.append(content[:size])
        content = content[size:]
    return found


def parts(signature: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return the elements of the SignedData and those of its only SignerInfo."""
    signed_data = children(children(children(signature)[1])[0])
    (info,) = children(signed_data[4])
    return signed_data, children(info)


def oid(dotted: str) -> bytes:
    encoded: bytes = core.ObjectIdentifier(dotted).dump()
    return encoded


def value_of(info: list[bytes]) -> bytes:
    value: bytes = core.OctetString.load(info[-1]).native
    return value


def test_the_structure_is_that_of_the_standard_and_openssl_verifies_the_value(
    signer: Sm2Signer, folder: Path
) -> None:
    made = sign_national(CONTENT, signer)
    signed_data, info = parts(made)

    assert children(made)[0] == oid("1.2.156.10197.6.1.4.2.2")
    assert signed_data[0] == info[0] == core.Integer(1).dump()
    assert children(signed_data[1]) == [info[2]]
    assert children(signed_data[2]) == [oid(NATIONAL_DATA)]
    assert children(info[2]) == [oid("1.2.156.10197.1.401")]
    assert children(info[3]) == [oid("1.2.156.10197.1.301.1")]
    assert len(info) == 5
    (folder / "public.pem").write_bytes(openssl(folder, "x509", "-in", "signer.pem", "-noout", "-pubkey"))
    (folder / "content").write_bytes(CONTENT)
    (folder / "value").write_bytes(value_of(info))
    openssl(
        *(folder, "pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-rawin", "-digest", "sm3"),
        *("-pkeyopt", USER_ID, "-in", "content", "-sigfile", "value"),
    )


def test_what_is_signed_is_verified_where_a_policy_names_sm2(signer: Sm2Signer) -> None:
    made = sign_national(CONTENT, signer)

    assert verify_national(made, CONTENT, ANY_ALGORITHM) == signer.certificate_chain
    assert refusal(made, CONTENT + b" ") == "envelope.signature_invalid"
    with pytest.raises(EnvelopeError) as refused:
        verify_national(made, CONTENT, DEFAULT_ALGORITHMS)
    assert refused.value.code == "envelope.algorithm_not_allowed"


def test_a_key_of_another_kind_signs_nothing_in_this_form() -> None:
    with pytest.raises(EnvelopeError) as refused:
        sign_national(CONTENT, throwaway_key())
    assert refused.value.code == "envelope.algorithm_not_allowed"


def test_bytes_flipped_are_refused_or_change_nothing_but_the_framing(signer: Sm2Signer) -> None:
    """What is not signed here is the list of certificates behind the signer's and how identifiers are put."""
    made = sign_national(CONTENT, signer)
    signer_certificate = signer.certificate_chain[0]
    for position in range(0, len(made), 3):
        flipped = bytearray(made)
        flipped[position] ^= 1 << (position % 8)
        try:
            chain = verify_national(bytes(flipped), CONTENT, ANY_ALGORITHM)
        except EnvelopeError:
            continue
        assert chain[0].public_key_algorithm_oid == signer_certificate.public_key_algorithm_oid
        assert chain[0].serial_number == signer_certificate.serial_number


def with_attributes(signer: Sm2Signer, *, content_type: str = NATIONAL_DATA) -> tuple[bytes, bytes]:
    """Sign attributes as other producers do; return the signature and the attributes that were signed."""
    digest = core.OctetString(hashlib.new("sm3", CONTENT).digest())
    attributes = [
        cms.tlv(0x30, cms.oid(cms.CONTENT_TYPE), cms.set_of(core.ObjectIdentifier(content_type).dump())),
        cms.tlv(0x30, cms.oid(cms.MESSAGE_DIGEST), cms.set_of(digest.dump())),
    ]
    signed = cms.set_of(*attributes)
    plain = sign_national(CONTENT, signer)
    signed_data, info = parts(plain)
    value = cms.tlv(0x04, signer.sign(signed))
    new_info = cms.tlv(0x30, *info[:3], b"\xa0" + signed[1:], info[3], value)
    new_data = cms.tlv(0x30, *signed_data[:4], cms.set_of(new_info))
    return cms.tlv(0x30, children(plain)[0], cms.tlv(0xA0, new_data)), signed


def test_signed_attributes_of_other_producers_are_held_to_the_content(signer: Sm2Signer) -> None:
    made, _ = with_attributes(signer)

    assert verify_national(made, CONTENT, ANY_ALGORITHM) == signer.certificate_chain
    assert refusal(made, CONTENT + b" ") == "envelope.digest_mismatch"
    of_another_kind, _ = with_attributes(signer, content_type="1.2.840.113549.1.7.1")
    assert refusal(of_another_kind) == "envelope.signature_malformed"


def test_the_attributes_of_one_signature_are_not_taken_for_the_content_of_another(signer: Sm2Signer) -> None:
    """The value holds over the attributes; sent without them it must not prove them as content."""
    made, signed = with_attributes(signer)
    signed_data, info = parts(made)
    bare = cms.tlv(0x30, *info[:3], *info[4:])
    forged = cms.tlv(0x30, *signed_data[:4], cms.set_of(bare))
    forged = cms.tlv(0x30, children(made)[0], cms.tlv(0xA0, forged))
    assert signer.private_key.public_key().verify(value_of(info), signed)

    assert refusal(forged, signed) == "envelope.signature_malformed"


@pytest.mark.parametrize("raw", [b"", b"\x30", b"\x30\x80\x00\x00", b"0" * 40])
def test_what_is_no_signature_is_refused(raw: bytes) -> None:
    assert refusal(raw) == "envelope.signature_malformed"


def test_a_signature_cut_off_or_lengthened_is_refused(signer: Sm2Signer) -> None:
    made = sign_national(CONTENT, signer)

    assert refusal(made + b"\0") == "envelope.signature_malformed"
    for length in range(0, len(made), 97):
        assert refusal(made[:length]) == "envelope.signature_malformed"
