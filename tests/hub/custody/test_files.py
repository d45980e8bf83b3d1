# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from hub.custody import load_signing_key
from hub.errors import TrustError
from hub.trust import algorithm_for, is_signature_valid, member_of_certificate

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pki import ServedPki


@pytest.mark.parametrize("label", ["labour-sign", "labour-p384", "labour-rsa", "labour-ed25519"])
def test_a_key_signs_so_that_its_own_certificate_verifies(pki: ServedPki, label: str) -> None:
    key = pki.signer(label)
    signature = key.sign(b"a message")

    public = key.certificate_chain[0].public_key()
    assert key.algorithm is algorithm_for(public)
    assert is_signature_valid(public, key.algorithm, signature, b"a message")
    assert not is_signature_valid(public, key.algorithm, signature, b"another message")


def test_the_chain_starts_with_the_signer_and_leaves_the_root_out(pki: ServedPki) -> None:
    chain = pki.signer("labour-sign").certificate_chain

    assert [member_of_certificate(chain[0])] == ["11510108MB1A00002M"]
    assert len(chain) == 2
    assert chain[-1].subject != chain[-1].issuer


def assert_unusable(key: Path, chain: Path, passphrase: bytes, hint: str) -> None:
    with pytest.raises(TrustError) as refused:
        load_signing_key(key, chain, passphrase)
    assert refused.value.code == "trust.key_unusable"
    assert hint in refused.value.detail
    assert passphrase.decode() not in str(refused.value)


def test_a_wrong_passphrase_is_refused(pki: ServedPki) -> None:
    assert_unusable(pki.key("labour-sign"), pki.chain("labour-sign"), b"a wrong secret", "passphrase")


def test_a_key_that_lies_unencrypted_is_refused(pki: ServedPki, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(pki.key("labour-sign").read_bytes(), pki.passphrase)
    naked = tmp_path / "naked.pem"
    naked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    assert_unusable(naked, pki.chain("labour-sign"), pki.passphrase, "encrypted")


def test_a_key_that_does_not_fit_its_certificate_is_refused(pki: ServedPki) -> None:
    assert_unusable(pki.key("tax-sign"), pki.chain("labour-sign"), pki.passphrase, "not that of")


def test_a_chain_with_a_stranger_in_it_is_refused(pki: ServedPki, tmp_path: Path) -> None:
    mixed = tmp_path / "chain.pem"
    mixed.write_bytes(pki.certificate("labour-sign").read_bytes() + pki.certificate("seal-ca").read_bytes())
    assert_unusable(pki.key("labour-sign"), mixed, pki.passphrase, "was not issued by")


def test_a_chain_whose_issuer_only_bears_the_right_name_is_refused(pki: ServedPki, tmp_path: Path) -> None:
    mixed = tmp_path / "chain.pem"
    rogue = pki.certificate("rogue/envelope-ca")
    mixed.write_bytes(pki.certificate("labour-sign").read_bytes() + rogue.read_bytes())
    assert_unusable(pki.key("labour-sign"), mixed, pki.passphrase, "was not issued by")


def test_missing_and_unreadable_files_are_refused(pki: ServedPki, tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_bytes(b"rubbish")
    assert_unusable(tmp_path / "none", pki.chain("labour-sign"), pki.passphrase, "cannot be read")
    assert_unusable(rubbish, pki.chain("labour-sign"), pki.passphrase, "encrypted")
    assert_unusable(pki.key("labour-sign"), tmp_path / "none", pki.passphrase, "cannot be read")
    assert_unusable(pki.key("labour-sign"), rubbish, pki.passphrase, "no readable")


def test_a_short_rsa_key_is_refused(pki: ServedPki) -> None:
    short = "labour-rsa-short"
    assert_unusable(pki.key(short), pki.chain(short), pki.passphrase, "no allowed signature algorithm")


def test_a_key_shows_itself_nowhere(pki: ServedPki) -> None:
    key = pki.signer("labour-sign")

    assert "PrivateKey" not in repr(key)
    assert "报文签名" in repr(key)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)
