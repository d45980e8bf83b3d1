# SPDX-License-Identifier: Apache-2.0
"""Decryption keys: in a file, and in a token that never gives them out."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from pkcs11 import Attribute, KeyType, MechanismFlag
from pkcs11.util.ec import encode_named_curve_parameters

from hub.custody import Secret, open_decryption_key, write_key_file
from hub.custody.modules import module_at
from hub.custody.tokens import read_public_key
from hub.envelope.authenveloped import decrypt_content, encrypt_content, read_encrypted
from hub.errors import TrustError
from tests.hub.envelope.recipients import certificate_of, certify, new_key

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

    from hub.custody import TokenPlace
    from tests.softhsm import SoftHsm

CURVES = {"P-256": "secp256r1", "P-384": "secp384r1", "P-521": "secp521r1"}
BOUND = b"b" * 32


def make_in_token(
    softhsm: SoftHsm, name: str, kind: str, *, stays: bool = True
) -> tuple[TokenPlace, x509.Certificate]:
    """Make a key that derives, as the token's own tool would, and certify it for keyAgreement."""
    place = softhsm.place(softhsm.shared_token(), name)
    with module_at(softhsm.module).session(place, softhsm.pin) as session:
        parameters = session.create_domain_parameters(
            KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters(CURVES[kind])}, local=True
        )
        public, _ = parameters.generate_keypair(
            store=True,
            label=name,
            capabilities=MechanismFlag.DERIVE,
            private_template={Attribute.SENSITIVE: stays, Attribute.EXTRACTABLE: not stays},
        )
        read = read_public_key(public)
    assert isinstance(read, ec.EllipticCurvePublicKey)
    return place, certify(read)


def write_chain(folder: Path, certificate: x509.Certificate) -> Path:
    file = folder / "encryption.chain.pem"
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    return file


@pytest.mark.parametrize("kind", CURVES)
def test_a_key_in_a_token_opens_what_is_encrypted_to_it(softhsm: SoftHsm, tmp_path: Path, kind: str) -> None:
    place, certificate = make_in_token(softhsm, f"opens-{kind.lower()}", kind)

    key = open_decryption_key(place, write_chain(tmp_path, certificate), softhsm.pin)

    for content in (b"", b"for the department only", bytes(100_000)):
        assert decrypt_content(read_encrypted(encrypt_content(content, certificate, BOUND)), key) == content
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_a_key_of_another_certificate_or_one_that_can_be_taken_out_is_refused(
    softhsm: SoftHsm, tmp_path: Path
) -> None:
    place, _ = make_in_token(softhsm, "opens-nothing", "P-256")
    loose, certificate = make_in_token(softhsm, "opens-loosely", "P-256", stays=False)
    other = certificate_of(new_key("P-256"))

    for where, chain in ((place, other), (loose, certificate), (place, certificate_of(new_key("RSA")))):
        with pytest.raises(TrustError) as refused:
            open_decryption_key(where, write_chain(tmp_path, chain), softhsm.pin)
        assert refused.value.code == "trust.key_unusable"


@pytest.mark.parametrize("kind", ["P-256", "RSA"])
def test_a_key_in_a_file_is_encrypted_and_fits_its_certificate(tmp_path: Path, kind: str) -> None:
    key, secret = new_key(kind), Secret("test", "correct horse")
    certificate = certificate_of(key)
    file = tmp_path / "encryption.key.pem"
    write_key_file(file, key, b"correct horse")

    opened = open_decryption_key(file, write_chain(tmp_path, certificate), secret)

    assert decrypt_content(read_encrypted(encrypt_content(b"{}", certificate, BOUND)), opened) == b"{}"
    assert "PRIVATE" not in repr(opened)
    with pytest.raises(TypeError):
        pickle.dumps(opened)
    with pytest.raises(TrustError) as refused:
        open_decryption_key(file, write_chain(tmp_path, certificate_of(new_key(kind))), secret)
    assert refused.value.code == "trust.key_unusable"
