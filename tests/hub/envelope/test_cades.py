# SPDX-License-Identifier: Apache-2.0
"""CAdES signatures, held against two other implementations in both directions and against forgers."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from asn1crypto import algos as asn1_algos
from asn1crypto import cms as asn1_cms
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes, SimpleSigner
from pyhanko.sign.validation.generic_cms import async_validate_detached_cms
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import CertificateRegistry

from hub.envelope import verify_cades
from hub.envelope.cades import sign_manifest, verify_canonical_cades
from hub.errors import EnvelopeError
from hub.trust import ALGORITHMS as ALL_ALGORITHMS
from hub.trust import DEFAULT_ALGORITHMS, algorithm_named
from tests.hub.envelope.signers import ALGORITHMS, BY_POLICY, NOW, issue, new_private_key, throwaway_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.hub.envelope.signers import ThrowawayKey

CONTENT = b"<asic:ASiCManifest/>"
SIGNED_AT = NOW.replace(microsecond=0)
# openssl 3.0 cannot hash for Ed25519 in CMS; pyHanko stands for it alone there.
OPENSSL_ALGORITHMS = tuple(name for name in ALGORITHMS if name != "ed25519")
ALL = frozenset(ALL_ALGORITHMS)

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def signed(algorithm: str = "P-256") -> bytes:
    return sign_manifest(CONTENT, throwaway_key(algorithm), SIGNED_AT)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def openssl(*arguments: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", "cms", *arguments], cwd=folder, capture_output=True, check=False)


def openssl_verifies(signature: bytes, content: bytes, key: ThrowawayKey, folder: Path) -> bool:
    (folder / "signature.p7s").write_bytes(signature)
    (folder / "content").write_bytes(content)
    (folder / "root.pem").write_bytes(pem(key.root))
    run = openssl(
        *("-verify", "-cades", "-binary", "-inform", "DER", "-in", "signature.p7s"),
        *("-content", "content", "-CAfile", "root.pem", "-out", "signed"),
        folder=folder,
    )
    return run.returncode == 0 and (folder / "signed").read_bytes() == content


def openssl_signs(key: ThrowawayKey, folder: Path, *options: str, content: bytes = CONTENT) -> bytes:
    (folder / "content").write_bytes(content)
    (folder / "key.pem").write_bytes(key.key_pem)
    (folder / "leaf.pem").write_bytes(pem(key.certificate_chain[0]))
    (folder / "authority.pem").write_bytes(pem(key.certificate_chain[1]))
    run = openssl(
        *("-sign", "-binary", "-in", "content", "-signer", "leaf.pem", "-inkey", "key.pem"),
        *("-certfile", "authority.pem", "-outform", "DER", "-out", "made.p7s", *options),
        folder=folder,
    )
    assert run.returncode == 0, run.stderr
    return (folder / "made.p7s").read_bytes()


def to_asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def pyhanko_verifies(signature: bytes, content: bytes, key: ThrowawayKey) -> bool:
    context = ValidationContext(trust_roots=[to_asn1(key.root)], moment=NOW, allow_fetching=False)
    signed_data = asn1_cms.ContentInfo.load(signature)["content"]
    status = asyncio.run(async_validate_detached_cms(content, signed_data, context))
    return bool(status.intact and status.valid and status.trusted)


def pyhanko_signs(key: ThrowawayKey, digest: str, attributes: PdfCMSSignedAttributes) -> bytes:
    store = CertificateRegistry.build(certs=[to_asn1(key.certificate_chain[1])])
    private_key = key.private_key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signer = SimpleSigner(
        to_asn1(key.certificate_chain[0]), asn1_keys.PrivateKeyInfo.load(private_key), store
    )
    made = asyncio.run(
        signer.async_sign_general_data(CONTENT, digest, use_cades=True, signed_attr_settings=attributes)
    )
    der: bytes = made.dump()
    return der


def refusal(signature: bytes, content: bytes = CONTENT) -> EnvelopeError:
    with pytest.raises(EnvelopeError) as refused:
        verify_cades(signature, content)
    return refused.value


def canonical_refusal(signature: bytes, content: bytes = CONTENT) -> EnvelopeError:
    with pytest.raises(EnvelopeError) as refused:
        verify_canonical_cades(signature, content, SIGNED_AT)
    return refused.value


@needs_openssl
@pytest.mark.parametrize("algorithm", OPENSSL_ALGORITHMS)
def test_openssl_verifies_what_is_signed_here(algorithm: str, tmp_path: Path) -> None:
    key = throwaway_key(algorithm)

    assert openssl_verifies(signed(algorithm), CONTENT, key, tmp_path)
    assert not openssl_verifies(signed(algorithm), CONTENT + b" ", key, tmp_path)
    assert not openssl_verifies(signed(algorithm), CONTENT, throwaway_key(algorithm, "Stranger"), tmp_path)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_pyhanko_verifies_what_is_signed_here(algorithm: str) -> None:
    assert pyhanko_verifies(signed(algorithm), CONTENT, throwaway_key(algorithm))
    assert not pyhanko_verifies(signed(algorithm), CONTENT + b" ", throwaway_key(algorithm))


@needs_openssl
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("algorithm", ["P-256", "P-384", "RSA"])
def test_what_openssl_signs_is_verified_here(algorithm: str, digest: str, tmp_path: Path) -> None:
    key = throwaway_key(algorithm)
    made = openssl_signs(key, tmp_path, "-cades", "-md", digest)

    signature = verify_cades(made, CONTENT)

    assert signature.chain == key.certificate_chain
    assert signature.algorithm.endswith(digest[3:])
    assert refusal(made, CONTENT + b" ").code == "envelope.digest_mismatch"
    assert canonical_refusal(made).code == "envelope.signature_not_canonical"


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        ("P-256", "sha256"),
        ("P-256", "sha512"),
        ("P-384", "sha384"),
        ("P-521", "sha512"),
        ("RSA", "sha256"),
        ("Ed25519", "sha512"),
    ],
)
def test_what_pyhanko_signs_is_verified_here(algorithm: str, digest: str) -> None:
    made = pyhanko_signs(throwaway_key(algorithm), digest, PdfCMSSignedAttributes(signing_time=SIGNED_AT))

    signature = verify_cades(made, CONTENT)

    assert set(signature.chain) >= set(throwaway_key(algorithm).certificate_chain)
    assert signature.chain[0] == throwaway_key(algorithm).certificate_chain[0]
    assert signature.signed_at == SIGNED_AT
    assert refusal(made, CONTENT + b" ").code == "envelope.digest_mismatch"


@needs_openssl
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), "envelope.signature_malformed"),  # no signing-certificate-v2
        (("-cades", "-nodetach"), "envelope.signature_malformed"),
        (("-cades", "-keyid"), "envelope.signature_malformed"),
        (("-noattr",), "envelope.signature_malformed"),
        (("-cades", "-nocerts"), "envelope.certificate_binding_invalid"),
        (("-cades", "-md", "sha1"), "envelope.signature_malformed"),  # binds by SHA-1, an older attribute
        (("-cades", "-md", "sha224"), "envelope.certificate_binding_invalid"),
    ],
)
def test_cms_that_is_no_cades_baseline_is_refused(
    options: tuple[str, ...], code: str, tmp_path: Path
) -> None:
    assert refusal(openssl_signs(throwaway_key(), tmp_path, *options)).code == code


@needs_openssl
@pytest.mark.parametrize(
    "options",
    [
        ("rsa_pss_saltlen:20",),
        ("rsa_pss_saltlen:max",),
        ("rsa_pss_saltlen:digest", "rsa_mgf1_md:sha1"),
        ("rsa_pss_saltlen:digest", "rsa_mgf1_md:sha512"),
    ],
)
def test_rsa_pss_with_other_parameters_than_those_of_the_table_is_refused(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    keyopts = [word for each in ("rsa_padding_mode:pss", *options) for word in ("-keyopt", each)]
    made = openssl_signs(throwaway_key("RSA"), tmp_path, "-cades", "-md", "sha256", *keyopts)

    assert refusal(made).code == "envelope.algorithm_not_allowed"


@needs_openssl
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_rsa_pss_of_openssl_is_verified_here(digest: str, tmp_path: Path) -> None:
    keyopts = ("-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest")
    made = openssl_signs(throwaway_key("RSA"), tmp_path, "-cades", "-md", digest, *keyopts)

    assert verify_cades(made, CONTENT).algorithm == f"RSA-PSS with SHA-{digest[3:]}"


@needs_openssl
def test_a_second_signer_is_refused(tmp_path: Path) -> None:
    openssl_signs(throwaway_key(), tmp_path, "-cades")
    (tmp_path / "first.p7s").write_bytes((tmp_path / "made.p7s").read_bytes())
    other = throwaway_key("P-256", "Second")
    (tmp_path / "key.pem").write_bytes(other.key_pem)
    (tmp_path / "leaf.pem").write_bytes(pem(other.certificate_chain[0]))
    run = openssl(
        *("-resign", "-binary", "-inform", "DER", "-in", "first.p7s", "-signer", "leaf.pem"),
        *("-inkey", "key.pem", "-outform", "DER", "-out", "both.p7s", "-cades"),
        folder=tmp_path,
    )
    assert run.returncode == 0, run.stderr

    refused = refusal((tmp_path / "both.p7s").read_bytes())

    assert refused.code == "envelope.signature_malformed"
    assert "2 signers" in refused.detail


def test_a_signature_without_a_signing_time_is_refused() -> None:
    signature = asn1_cms.ContentInfo.load(signed())
    attributes = signature["content"]["signer_infos"][0]["signed_attrs"]
    kept = [attribute for attribute in attributes if attribute["type"].native != "signing_time"]
    signature["content"]["signer_infos"][0]["signed_attrs"] = asn1_cms.CMSAttributes(kept)

    refused = refusal(signature.dump(force=True))

    assert refused.code == "envelope.signature_malformed"
    assert "1.2.840.113549.1.9.5" in refused.detail


def test_ecdsa_with_the_higher_s_is_refused_on_the_wire_though_it_verifies() -> None:
    key = throwaway_key()
    original = asn1_cms.ContentInfo.load(signed())
    r, s = decode_dss_signature(original["content"]["signer_infos"][0]["signature"].native)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    assert s <= order // 2
    original["content"]["signer_infos"][0]["signature"] = encode_dss_signature(r, order - s)
    twin = original.dump(force=True)
    assert pyhanko_verifies(twin, CONTENT, key)

    assert verify_cades(twin, CONTENT).chain == key.certificate_chain
    assert canonical_refusal(twin).code == "envelope.signature_not_canonical"


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name.startswith("ecdsa-")])
def test_every_ecdsa_signature_made_here_has_the_lower_s(algorithm: str) -> None:
    for _ in range(20):
        assert verify_canonical_cades(signed(algorithm), CONTENT, SIGNED_AT).signed_at == SIGNED_AT


def changed(change: Callable[[asn1_cms.SignedData], None]) -> bytes:
    signature = asn1_cms.ContentInfo.load(signed())
    change(signature["content"])
    der: bytes = signature.dump(force=True)
    return der


def twin_of_the_signer() -> x509.Certificate:
    """Issue a second certificate for the signer's own key and name, by a stranger of the authority's name."""
    key, stranger = throwaway_key(), new_private_key("P-256")
    authority = key.certificate_chain[1]
    return issue("成华区残疾人联合会", key.private_key, authority, stranger, is_authority=False)


def swap_certificate(signed_data: asn1_cms.SignedData) -> None:
    others = [c.chosen for c in signed_data["certificates"] if c.chosen.ca]
    signed_data["certificates"] = asn1_cms.CertificateSet([to_asn1(twin_of_the_signer()), *others])


def add_certificate(signed_data: asn1_cms.SignedData) -> None:
    signed_data["certificates"].append(to_asn1(throwaway_key().root))


def remove_authority(signed_data: asn1_cms.SignedData) -> None:
    kept = [c.chosen for c in signed_data["certificates"] if not c.chosen.ca]
    signed_data["certificates"] = asn1_cms.CertificateSet(kept)


def add_unsigned_attribute(signed_data: asn1_cms.SignedData) -> None:
    attribute = asn1_cms.CMSAttribute({"type": "1.2.3.4", "values": [asn1_x509.UTF8String("x")]})
    signed_data["signer_infos"][0]["unsigned_attrs"] = asn1_cms.CMSAttributes([attribute])


def swap_digest(signed_data: asn1_cms.SignedData) -> None:
    signed_data["signer_infos"][0]["digest_algorithm"] = {"algorithm": "sha512"}


def swap_signature_algorithm(signed_data: asn1_cms.SignedData) -> None:
    signed_data["signer_infos"][0]["signature_algorithm"] = {"algorithm": "sha512_ecdsa"}


def name_another_signer(signed_data: asn1_cms.SignedData) -> None:
    signed_data["signer_infos"][0]["sid"].chosen["serial_number"] = 4711


def repeat_attribute(signed_data: asn1_cms.SignedData) -> None:
    attributes = signed_data["signer_infos"][0]["signed_attrs"]
    attributes.append(attributes[0].copy())


def change_attribute(signed_data: asn1_cms.SignedData) -> None:
    for attribute in signed_data["signer_infos"][0]["signed_attrs"]:
        if attribute["type"].native == "signing_time":
            later = asn1_cms.Time({"utc_time": SIGNED_AT + timedelta(days=1)})
            attribute["values"] = asn1_cms.SetOfTime([later])


def remove_signer(signed_data: asn1_cms.SignedData) -> None:
    signed_data["signer_infos"] = asn1_cms.SignerInfos([])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (swap_certificate, "envelope.certificate_binding_invalid"),
        (remove_authority, "envelope.certificate_binding_invalid"),
        (swap_digest, "envelope.algorithm_not_allowed"),
        (swap_signature_algorithm, "envelope.algorithm_not_allowed"),
        (name_another_signer, "envelope.certificate_binding_invalid"),
        (repeat_attribute, "envelope.signature_malformed"),
        (change_attribute, "envelope.signature_invalid"),
        (remove_signer, "envelope.signature_malformed"),
    ],
)
def test_a_changed_signature_is_refused_everywhere(
    change: Callable[[asn1_cms.SignedData], None], code: str
) -> None:
    forged = changed(change)

    assert refusal(forged).code == code
    assert canonical_refusal(forged).code == code


@pytest.mark.parametrize("change", [add_certificate, add_unsigned_attribute])
def test_what_the_signature_does_not_cover_is_refused_on_the_wire(
    change: Callable[[asn1_cms.SignedData], None],
) -> None:
    """Other producers may send such signatures, and they hold; in an envelope there is no room for them."""
    forged = changed(change)

    assert verify_cades(forged, CONTENT).chain[:2] == throwaway_key().certificate_chain
    assert canonical_refusal(forged).code == "envelope.signature_not_canonical"


def test_a_signature_over_other_content_is_refused() -> None:
    assert refusal(signed(), b"other").code == "envelope.digest_mismatch"
    assert canonical_refusal(signed(), b"other").code == "envelope.digest_mismatch"


def test_ber_is_refused_where_der_is_meant() -> None:
    der = signed()
    assert der[:2] == b"\x30\x82"
    indefinite = b"\x30\x80" + der[4:] + b"\x00\x00"
    assert asn1_cms.ContentInfo.load(indefinite)["content_type"].native == "signed_data"
    long_length = b"\x30\x83\x00" + der[2:]

    for ber in (indefinite, long_length, der + b"\x00"):
        assert refusal(ber).code == "envelope.signature_malformed"
        assert canonical_refusal(ber).code == "envelope.signature_malformed"


@pytest.mark.parametrize("raw", [b"", b"\x30", b"\x30\x80", b"0" * 40, b"\x30\x03\x02\x01\x01"])
def test_what_is_no_cms_is_refused(raw: bytes) -> None:
    assert refusal(raw).code == "envelope.signature_malformed"
    assert canonical_refusal(raw).code == "envelope.signature_malformed"


def test_a_signature_cut_off_anywhere_is_refused() -> None:
    der = signed()

    assert {canonical_refusal(der[:length]).code for length in range(0, len(der), 3)} == {
        "envelope.signature_malformed"
    }


def test_signing_times_after_2049_are_written_as_generalized_time() -> None:
    late = SIGNED_AT.replace(year=2050)
    signature = sign_manifest(CONTENT, throwaway_key(), late)

    assert b"\x18\x0f20500301080000Z" in signature
    assert verify_canonical_cades(signature, CONTENT, late).signed_at == late


@pytest.mark.parametrize("algorithm", BY_POLICY)
def test_an_algorithm_that_is_off_signs_and_verifies_only_where_a_policy_names_it(algorithm: str) -> None:
    made, row = signed(algorithm), algorithm_named(algorithm)
    allowed = DEFAULT_ALGORITHMS | {row}

    for _ in range(2):  # The second time the signer has been met before.
        assert verify_canonical_cades(made, CONTENT, SIGNED_AT, allowed).algorithm == row.name
        assert canonical_refusal(made).code == "envelope.algorithm_not_allowed"
    assert verify_cades(made, CONTENT, allowed).chain == throwaway_key(algorithm).certificate_chain
    assert refusal(made).code == "envelope.algorithm_not_allowed"
    others = DEFAULT_ALGORITHMS | {algorithm_named(name) for name in BY_POLICY if name != algorithm}
    with pytest.raises(EnvelopeError) as refused:
        verify_cades(made, CONTENT, others)
    assert refused.value.code == "envelope.algorithm_not_allowed"


@pytest.mark.parametrize("algorithm", [name for name in BY_POLICY if name.startswith("ml-dsa")])
def test_ml_dsa_is_written_as_its_standard_says(algorithm: str) -> None:
    """Read by asn1crypto and verified with the key alone: RFC 9882 sections 3.1 to 3.3."""
    key = throwaway_key(algorithm)
    read = asn1_cms.ContentInfo.load(signed(algorithm), strict=True)["content"]
    info = read["signer_infos"][0]

    assert read["version"].native == info["version"].native == "v1"
    assert read["digest_algorithms"].native == [{"algorithm": "sha512", "parameters": None}]
    assert info["digest_algorithm"].native == {"algorithm": "sha512", "parameters": None}
    arc = {"44": 17, "65": 18, "87": 19}[algorithm[-2:]]
    named = x509.ObjectIdentifier(f"2.16.840.1.101.3.4.3.{arc}")
    assert info["signature_algorithm"].dump() == b"\x30\x0b" + asn1.encode_der(named)
    by_type = {each["type"].native: each["values"][0].native for each in info["signed_attrs"]}
    assert by_type["message_digest"] == hashlib.sha512(CONTENT).digest()
    assert by_type["content_type"] == read["encap_content_info"]["content_type"].native == "data"
    attributes = info["signed_attrs"].untag().dump(force=True)
    assert attributes[:1] == b"\x31"
    key.private_key.public_key().verify(info["signature"].native, attributes)  # type: ignore[call-arg]


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, *BY_POLICY])
def test_bytes_flipped_in_a_signature_are_refused_whatever_its_algorithm(algorithm: str) -> None:
    made = signed(algorithm)
    assert verify_canonical_cades(made, CONTENT, SIGNED_AT, ALL).signed_at == SIGNED_AT

    # Every byte of the frame, and a sample of the rest, closer where the value lies.
    for position in {*range(64), *range(64, len(made), 13), *range(len(made) - 600, len(made), 5)}:
        flipped = bytearray(made)
        flipped[position] ^= 1 << (position % 8)
        with pytest.raises(EnvelopeError):
            verify_canonical_cades(bytes(flipped), CONTENT, SIGNED_AT, ALL)


@pytest.mark.parametrize("algorithm", ["rsa-pss-sha256", "ml-dsa-65", "P-256"])
def test_a_signer_who_signs_twice_makes_two_signatures_that_both_hold(algorithm: str) -> None:
    first, second = signed(algorithm), signed(algorithm)

    assert first != second
    for made in (first, second):
        assert verify_canonical_cades(made, CONTENT, SIGNED_AT, ALL).signed_at == SIGNED_AT


def test_pss_parameters_in_another_form_hold_but_are_refused_on_the_wire() -> None:
    """The digests' NULL left out: the same meaning, and bytes that nobody signed."""
    row = algorithm_named("rsa-pss-sha256")
    made = signed(row.id)

    for form in row.read_as_well:
        original = asn1_cms.ContentInfo.load(made)
        info = original["content"]["signer_infos"][0]
        info["signature_algorithm"] = asn1_algos.SignedDigestAlgorithm.load(form)
        twin = original.dump(force=True)
        assert verify_cades(twin, CONTENT).algorithm == row.name
        assert canonical_refusal(twin).code == "envelope.signature_not_canonical"


def test_one_key_may_sign_with_each_of_its_rows() -> None:
    key = throwaway_key("RSA")
    for row in (row for row in ALL_ALGORITHMS if row.key == "RSA"):
        made = sign_manifest(CONTENT, replace(key, algorithm=row), SIGNED_AT)
        assert verify_canonical_cades(made, CONTENT, SIGNED_AT).algorithm == row.name
