# SPDX-License-Identifier: Apache-2.0
"""WS-Security signatures: what was signed is believed, and nothing else is, however it is wrapped."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from lxml import etree

from adapters.references import Surroundings
from adapters.soap.settings import ReplySignatureSettings, SignatureSettings
from adapters.soap.signing import DS, WSSE, WSU, Signer, Verifier
from hub.clock import FixedClock
from hub.errors import AdapterError
from tests.adapters.running import TODAY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
ID = f"{{{WSU}}}Id"
ANSWER = (
    f'<s:Envelope xmlns:s="{SOAP}"><s:Header/><s:Body>'
    '<答复 xmlns="urn:t"><金额>100</金额></答复></s:Body></s:Envelope>'
)


def write_key(folder: Path, name: str, *, is_ec: bool = False, days: int = 365) -> None:
    """Write a key and a certificate it signs itself."""
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = (
        ec.generate_private_key(ec.SECP256R1())
        if is_ec
        else rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(TODAY - timedelta(days=400))
        .not_valid_after(TODAY + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    folder.joinpath(f"{name}.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    folder.joinpath(f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))


def signer(folder: Path, name: str, clock: FixedClock | None = None) -> Signer:
    settings = SignatureSettings.model_validate(
        {"key": f"{name}.key", "certificate": f"{name}.pem"}, context=Surroundings(folder, {})
    )
    return Signer.load(settings, clock or FixedClock(TODAY), "test")


def verifier(folder: Path, *names: str, **more: object) -> Verifier:
    settings = ReplySignatureSettings.model_validate(
        {"certificates": [f"{name}.pem" for name in names], **more}, context=Surroundings(folder, {})
    )
    return Verifier.load(settings, FixedClock(TODAY), "test")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    write_key(folder, "bank")
    write_key(folder, "curve", is_ec=True)
    write_key(folder, "thief")
    write_key(folder, "expired", days=-1)
    return folder


def signed(folder: Path, name: str = "bank", clock: FixedClock | None = None) -> etree._Element:
    envelope = etree.fromstring(ANSWER)
    signer(folder, name, clock).sign(envelope)
    return etree.fromstring(etree.tostring(envelope, encoding="utf-8"))


def refused(verify: Verifier, envelope: etree._Element) -> str:
    with pytest.raises(AdapterError) as caught:
        verify.verify(envelope)
    assert caught.value.code == "adapter.signature_invalid"
    return caught.value.detail


@pytest.mark.parametrize("name", ["bank", "curve"])
def test_what_a_pinned_certificate_signed_is_believed(keys: Path, name: str) -> None:
    envelope = signed(keys, name)

    verifier(keys, "thief", name).verify(envelope)

    assert envelope.findtext(f"{{{SOAP}}}Body/{{urn:t}}答复/{{urn:t}}金额") == "100"


@pytest.mark.parametrize("name", ["thief", "expired"])
def test_what_another_or_an_expired_certificate_signed_is_not(keys: Path, name: str) -> None:
    believed = "bank" if name == "thief" else "expired"

    assert "none of the pinned" in refused(verifier(keys, believed), signed(keys, name))


def body_of(envelope: etree._Element) -> etree._Element:
    body = envelope.find(f"{{{SOAP}}}Body")
    assert body is not None
    return body


def change(envelope: etree._Element) -> None:
    amount = next(envelope.iter("{urn:t}金额"))
    amount.text = "900"


def no_signature(envelope: etree._Element) -> None:
    signature = next(envelope.iter(f"{{{DS}}}Signature"))
    parent = signature.getparent()
    assert parent is not None
    parent.remove(signature)


def wrapped_body(envelope: etree._Element) -> None:
    """Move the signed body into the header, and put another in its place under another id."""
    body = body_of(envelope)
    other = copy.deepcopy(body)
    change_in = next(other.iter("{urn:t}金额"))
    change_in.text = "900"
    other.set(ID, "another")
    envelope.replace(body, other)
    header = envelope.find(f"{{{SOAP}}}Header")
    assert header is not None
    etree.SubElement(header, "{urn:attack}Wrapper").append(body)


def same_id(envelope: etree._Element) -> None:
    """Keep the id on a second body."""
    wrapped_body(envelope)
    body = body_of(envelope)
    original = next(envelope.iter("{urn:attack}Wrapper"))[0]
    body.set(ID, str(original.get(ID)))


def same_plain_id(envelope: etree._Element) -> None:
    """Use an attribute a verifier may take for the id as well."""
    wrapped_body(envelope)
    original = next(envelope.iter("{urn:attack}Wrapper"))[0]
    body_of(envelope).set("ID", str(original.get(ID)))


def second_body(envelope: etree._Element) -> None:
    other = copy.deepcopy(body_of(envelope))
    del other.attrib[ID]
    envelope.insert(1, other)


def envelope_within(envelope: etree._Element) -> None:
    header = envelope.find(f"{{{SOAP}}}Header")
    assert header is not None
    header.append(copy.deepcopy(etree.fromstring(ANSWER)))


def second_signature(envelope: etree._Element) -> None:
    signature = next(envelope.iter(f"{{{DS}}}Signature"))
    parent = signature.getparent()
    assert parent is not None
    parent.append(copy.deepcopy(signature))


def signature_in_body(envelope: etree._Element) -> None:
    signature = next(envelope.iter(f"{{{DS}}}Signature"))
    body_of(envelope).append(signature)


def other_transform(envelope: etree._Element) -> None:
    transform = next(envelope.iter(f"{{{DS}}}Transform"))
    transform.set("Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116")


def without_body_reference(envelope: etree._Element) -> None:
    reference = next(envelope.iter(f"{{{DS}}}Reference"))
    parent = reference.getparent()
    assert parent is not None
    parent.remove(reference)


def without_stamp(envelope: etree._Element) -> None:
    stamp = next(envelope.iter(f"{{{WSU}}}Timestamp"))
    parent = stamp.getparent()
    assert parent is not None
    parent.remove(stamp)


def own_key(envelope: etree._Element) -> None:
    token = next(envelope.iter(f"{{{WSSE}}}BinarySecurityToken"))
    token.text = "AAAA"
    change(envelope)


@pytest.mark.parametrize(
    "attack",
    [
        change,
        no_signature,
        wrapped_body,
        same_id,
        same_plain_id,
        second_body,
        envelope_within,
        second_signature,
        signature_in_body,
        other_transform,
        without_body_reference,
        without_stamp,
        own_key,
    ],
)
def test_what_was_not_signed_is_not_believed(keys: Path, attack: Callable[[etree._Element], None]) -> None:
    envelope = signed(keys)
    attack(envelope)

    detail = refused(verifier(keys, "bank"), envelope)

    assert "900" not in detail


def test_a_message_of_yesterday_or_tomorrow_is_refused(keys: Path) -> None:
    for hours, reason in ((-24, "expired"), (24, "future")):
        clock = FixedClock(TODAY + timedelta(hours=hours))
        assert reason in refused(verifier(keys, "bank"), signed(keys, "bank", clock))


def test_a_clock_a_little_off_is_borne(keys: Path) -> None:
    clock = FixedClock(TODAY + timedelta(seconds=50))
    verifier(keys, "bank").verify(signed(keys, "bank", clock))


def test_sha1_is_refused_unless_it_is_allowed_as_unsafe(keys: Path) -> None:
    envelope = signed(keys)
    for method in envelope.iter(f"{{{DS}}}DigestMethod"):
        method.set("Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1")

    assert refused(verifier(keys, "bank"), envelope)


@pytest.mark.parametrize(
    ("key", "certificate"), [("bank", "thief"), ("bank", "nowhere"), ("nowhere", "bank")]
)
def test_a_key_and_a_certificate_that_do_not_belong_together_are_refused_at_once(
    keys: Path, key: str, certificate: str
) -> None:
    settings = SignatureSettings.model_validate(
        {"key": f"{key}.key", "certificate": f"{certificate}.pem"}, context=Surroundings(keys, {})
    )

    with pytest.raises(AdapterError) as caught:
        Signer.load(settings, FixedClock(TODAY), "test")

    assert caught.value.code == "adapter.configuration_invalid"
