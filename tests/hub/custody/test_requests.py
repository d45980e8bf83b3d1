# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pkcs11 import Attribute, ObjectClass
from pkcs11.exceptions import AttributeSensitive

from hub.custody import (
    KeyAlgorithm,
    Secret,
    Subject,
    generate_key,
    open_holder,
    read_request,
    request_certificate,
    use_of,
)
from hub.custody.held import public_bytes
from hub.custody.modules import module_at
from hub.errors import TrustError
from hub.trust import Use

if TYPE_CHECKING:
    from pathlib import Path

    from tests.softhsm import SoftHsm

SECRET = Secret("a test", "correct horse battery")
SUBJECT = Subject(organization="成华区数据局", common_name="报文签名", member="11510108MB1A00001J")
IN_FILES = list(KeyAlgorithm)
IN_TOKENS = [each for each in KeyAlgorithm if not each.startswith("ml-dsa")]


def value_of(name: x509.Name, oid: x509.ObjectIdentifier) -> str | bytes:
    (found,) = name.get_attributes_for_oid(oid)
    return found.value


def openssl_verifies(request: bytes) -> bool:
    asked = subprocess.run(
        ["openssl", "req", "-verify", "-noout"], input=request, capture_output=True, check=False
    )
    return asked.returncode == 0 and b"verify OK" in asked.stderr


@pytest.mark.parametrize("algorithm", IN_FILES)
def test_a_key_in_a_file_asks_for_its_certificate(tmp_path: Path, algorithm: KeyAlgorithm) -> None:
    path = tmp_path / "new.key.pem"
    made = generate_key(path, algorithm, SECRET)
    assert public_bytes(open_holder(path, SECRET).public_key) == public_bytes(made.public_key)
    content = request_certificate(made, SUBJECT, Use.ENVELOPE)
    request = read_request(content)
    assert request.is_signature_valid
    assert public_bytes(request.public_key()) == public_bytes(made.public_key)
    if not algorithm.startswith("ml-dsa"):  # This OpenSSL is older than FIPS 204.
        assert openssl_verifies(content)


@pytest.mark.parametrize("algorithm", IN_TOKENS)
def test_a_key_in_a_token_asks_for_its_certificate(softhsm: SoftHsm, algorithm: KeyAlgorithm) -> None:
    place = softhsm.place(softhsm.shared_token(), f"asks-{algorithm}")
    content = request_certificate(generate_key(place, algorithm, softhsm.pin), SUBJECT, Use.SEAL)
    assert read_request(content).is_signature_valid
    assert openssl_verifies(content)


@pytest.mark.parametrize("algorithm", [each for each in KeyAlgorithm if each.startswith("ml-dsa")])
def test_a_kind_of_key_that_tokens_do_not_make_is_refused(softhsm: SoftHsm, algorithm: KeyAlgorithm) -> None:
    place = softhsm.place(softhsm.shared_token(), f"asks-{algorithm}")
    with pytest.raises(TrustError, match="no token makes"):
        generate_key(place, algorithm, softhsm.pin)


def test_a_key_made_in_a_token_cannot_be_taken_out(softhsm: SoftHsm) -> None:
    place = softhsm.place(softhsm.shared_token(), "stays")
    generate_key(place, KeyAlgorithm.P256, softhsm.pin)
    with module_at(softhsm.module).session(place, softhsm.pin) as session:
        (key,) = session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: "stays"})
        flags: dict[str, Any] = {
            each.name: key[each]
            for each in (
                Attribute.SENSITIVE,
                Attribute.ALWAYS_SENSITIVE,
                Attribute.EXTRACTABLE,
                Attribute.NEVER_EXTRACTABLE,
                Attribute.PRIVATE,
                Attribute.SIGN,
                Attribute.DECRYPT,
            )
        }
        with pytest.raises(AttributeSensitive):
            key[Attribute.VALUE]
    assert flags == {
        "SENSITIVE": True,
        "ALWAYS_SENSITIVE": True,
        "EXTRACTABLE": False,
        "NEVER_EXTRACTABLE": True,
        "PRIVATE": True,
        "SIGN": True,
        "DECRYPT": False,
    }


def test_a_key_is_never_made_over_another(softhsm: SoftHsm, tmp_path: Path) -> None:
    for place, secret in (
        (tmp_path / "new.key.pem", SECRET),
        (softhsm.place(softhsm.shared_token(), "once"), softhsm.pin),
    ):
        made = generate_key(place, KeyAlgorithm.P256, secret)
        with pytest.raises(TrustError) as refused:
            generate_key(place, KeyAlgorithm.P256, secret)
        assert refused.value.code == "trust.key_exists"
        assert public_bytes(open_holder(place, secret).public_key) == public_bytes(made.public_key)


@pytest.mark.parametrize(
    ("use", "binds", "extended"),
    [
        (Use.ENVELOPE, True, None),
        (Use.SEAL, True, None),
        (Use.TLS_CLIENT, False, ExtendedKeyUsageOID.CLIENT_AUTH),
        (Use.TIMESTAMP, False, ExtendedKeyUsageOID.TIME_STAMPING),
    ],
)
def test_a_request_names_the_member_and_asks_for_the_usages(
    tmp_path: Path,
    use: Use,
    binds: bool,  # noqa: FBT001 (a column)
    extended: x509.ObjectIdentifier | None,
) -> None:
    holder = generate_key(tmp_path / "new.key.pem", KeyAlgorithm.P256, SECRET)
    request = read_request(request_certificate(holder, SUBJECT, use))
    assert value_of(request.subject, NameOID.ORGANIZATION_IDENTIFIER) == "NTRCN-11510108MB1A00001J"
    assert value_of(request.subject, NameOID.ORGANIZATION_NAME) == "成华区数据局"
    assert value_of(request.subject, NameOID.COMMON_NAME) == "报文签名"
    usage = request.extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.digital_signature) == (True, True)
    assert usage.value.content_commitment is binds
    assert not usage.value.key_cert_sign
    assert use_of(request) == (use if extended else None)
    if extended:
        stated = request.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        assert list(stated.value) == [extended]
        assert stated.critical is (use is Use.TIMESTAMP)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"organization": ""}, "organization"),
        ({"organization": "x" * 65}, "organization"),
        ({"common_name": "a\nb"}, "common_name"),
        ({"member": "11510108MB1A00001A"}, "member"),
        ({"country": "cn"}, "country"),
    ],
)
def test_a_subject_that_no_certificate_may_have_is_refused(fields: dict[str, str], named: str) -> None:
    with pytest.raises(TrustError, match=named) as refused:
        Subject(**{"organization": "局", "common_name": "签名", **fields})
    assert refused.value.code == "trust.request_invalid"


def test_a_request_for_another_use_or_without_a_member_is_refused(tmp_path: Path) -> None:
    holder = generate_key(tmp_path / "new.key.pem", KeyAlgorithm.P256, SECRET)
    with pytest.raises(TrustError, match="use: one of"):
        request_certificate(holder, SUBJECT, Use.CRL)
    with pytest.raises(TrustError, match="member"):
        request_certificate(holder, Subject(organization="局", common_name="签名"), Use.ENVELOPE)
    request_certificate(holder, Subject(organization="局", common_name="tsa"), Use.TIMESTAMP)


@pytest.mark.parametrize(
    "content", [b"", b"rubbish", b"-----BEGIN CERTIFICATE REQUEST-----\n", b"\x30\x03\x02\x01\x00"]
)
def test_what_is_no_request_is_refused(content: bytes) -> None:
    with pytest.raises(TrustError) as refused:
        read_request(content)
    assert refused.value.code == "trust.request_invalid"
