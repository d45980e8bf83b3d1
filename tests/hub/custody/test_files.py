# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import os
import pickle
import subprocess
import traceback
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hub.custody import Secret, TokenPlace, load_signing_key, open_holder, open_key
from hub.custody.files import read_key_file, write_key_file
from hub.custody.privatefiles import exposure_of
from hub.errors import TrustError
from hub.trust import algorithm_for, is_signature_valid, member_of_certificate

if TYPE_CHECKING:
    from pathlib import Path

    from hub.custody import KeyPlace
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
    naked.touch(0o600)
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


def copied(pki: ServedPki, folder: Path) -> Path:
    """Copy a key that is in order, so that one thing can be made wrong with it."""
    key = folder / "copy.key.pem"
    key.write_bytes(pki.key("labour-sign").read_bytes())
    key.chmod(0o600)
    return key


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640])
def test_a_key_may_be_read_by_its_owner_and_its_group(pki: ServedPki, tmp_path: Path, mode: int) -> None:
    key = copied(pki, tmp_path)
    key.chmod(mode)
    load_signing_key(key, pki.chain("labour-sign"), pki.passphrase)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o644, 0o666, 0o777])
def test_a_key_that_others_may_read_or_change_is_refused(pki: ServedPki, tmp_path: Path, mode: int) -> None:
    key = copied(pki, tmp_path)
    key.chmod(mode)
    with pytest.raises(TrustError) as refused:
        load_signing_key(key, pki.chain("labour-sign"), pki.passphrase)
    assert refused.value.code == "trust.key_exposed"


def test_a_key_that_belongs_to_another_user_is_refused() -> None:
    assert exposure_of(0o600, os.geteuid()) is None
    assert exposure_of(0o600, 0) is None
    assert exposure_of(0o600, os.geteuid() + 1) == "it belongs to another user"


def test_a_link_in_the_place_of_a_key_is_refused(pki: ServedPki, tmp_path: Path) -> None:
    link = tmp_path / "link.key.pem"
    link.symlink_to(copied(pki, tmp_path))
    assert_unusable(link, pki.chain("labour-sign"), pki.passphrase, "no link")


def test_a_folder_or_a_pipe_in_the_place_of_a_key_is_refused(pki: ServedPki, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert_unusable(tmp_path / "pipe", pki.chain("labour-sign"), pki.passphrase, "cannot be read")
    assert_unusable(tmp_path, pki.chain("labour-sign"), pki.passphrase, "cannot be read")


@pytest.mark.parametrize("left", [40, 200, 2])
def test_a_key_file_that_was_cut_off_is_refused(pki: ServedPki, tmp_path: Path, left: int) -> None:
    key = copied(pki, tmp_path)
    key.write_bytes(key.read_bytes()[:left])
    assert_unusable(key, pki.chain("labour-sign"), pki.passphrase, "not an encrypted PKCS#8 key")


def openssl_key(pki: ServedPki, folder: Path, *options: str) -> Path:
    """Let openssl encrypt the key of labour-sign anew."""
    key = folder / "openssl.key.pem"
    read = [
        "openssl",
        "pkcs8",
        "-in",
        str(pki.key("labour-sign")),
        "-passin",
        f"pass:{pki.passphrase.decode()}",
    ]
    write = ["-topk8", "-out", str(key), "-passout", f"pass:{pki.passphrase.decode()}", *options]
    subprocess.run([*read, *write], check=True, capture_output=True)
    key.chmod(0o600)
    return key


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-v2", "aes128"),
        ("-iter", "2048"),
        ("-iter", "100000", "-v2prf", "hmacWithSHA512"),
        ("-scrypt",),
    ],
)
def test_a_key_that_openssl_encrypted_opens(pki: ServedPki, tmp_path: Path, options: tuple[str, ...]) -> None:
    load_signing_key(openssl_key(pki, tmp_path, *options), pki.chain("labour-sign"), pki.passphrase)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (("-v1", "PBE-SHA1-3DES"), "old scheme"),
        (("-v2", "des3"), "the cipher tripledes"),
        (("-iter", "2047"), "2047 rounds"),
        (("-v2prf", "hmacWithSHA1"), "PBKDF2 over sha1"),
        (("-scrypt", "-scrypt_N", "8192"), "scrypt with the cost 8192"),
    ],
)
def test_a_weakly_encrypted_key_is_refused(
    pki: ServedPki, tmp_path: Path, options: tuple[str, ...], hint: str
) -> None:
    weak = openssl_key(pki, tmp_path, *options)
    assert_unusable(weak, pki.chain("labour-sign"), pki.passphrase, hint)


def test_a_key_is_written_so_that_only_its_owner_reads_it_and_openssl_does(tmp_path: Path) -> None:
    path, key = tmp_path / "new.key.pem", ec.generate_private_key(ec.SECP256R1())
    write_key_file(path, key, b"a passphrase")
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key_file(path, b"a passphrase").public_key() == key.public_key()
    asked = ["openssl", "pkey", "-in", str(path), "-passin", "pass:a passphrase", "-noout", "-text"]
    assert b"prime256v1" in subprocess.run(asked, check=True, capture_output=True).stdout
    parsed = ["openssl", "asn1parse", "-in", str(path)]
    words = subprocess.run(parsed, check=True, capture_output=True, text=True).stdout
    assert all(word in words for word in ("PBES2", "PBKDF2", "hmacWithSHA256", "aes-256-cbc", ":0927C0"))


def test_a_key_is_never_written_over_another_nor_through_a_link(tmp_path: Path) -> None:
    path, key = tmp_path / "new.key.pem", ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "stranger").write_bytes(b"")
    path.symlink_to(tmp_path / "stranger")
    with pytest.raises(TrustError, match="never overwritten"):
        write_key_file(path, key, b"a passphrase")
    with pytest.raises(TrustError, match="without a passphrase"):
        write_key_file(tmp_path / "other", key, b"")
    with pytest.raises(TrustError, match="cannot be written"):
        write_key_file(tmp_path / "none" / "other", key, b"a passphrase")
    assert (tmp_path / "stranger").read_bytes() == b""
    assert sorted(each.name for each in tmp_path.iterdir()) == ["new.key.pem", "stranger"]


def test_no_message_and_no_traceback_carries_the_passphrase(pki: ServedPki, tmp_path: Path) -> None:
    hidden = "correct horse battery"
    secret = Secret("env:PASSPHRASE", hidden)
    broken: list[tuple[KeyPlace, Path]] = [
        (pki.key("labour-sign"), pki.chain("labour-sign")),
        (tmp_path / "none", pki.chain("labour-sign")),
        (TokenPlace(token="none", object="none", module=tmp_path / "none.so"), pki.chain("labour-sign")),  # noqa: S106
    ]
    for place, chain in broken:
        with pytest.raises(TrustError) as refused:
            open_key(place, chain, secret)
        assert hidden not in "".join(traceback.format_exception(refused.value))
        assert hidden not in repr(refused.value)


def test_nothing_a_key_offers_is_the_private_key(pki: ServedPki) -> None:
    key = load_signing_key(pki.key("labour-sign"), pki.chain("labour-sign"), pki.passphrase)
    offered = [getattr(key, name) for name in dir(key) if not name.startswith("__")]
    holder = open_holder(pki.key("labour-sign"), Secret("a test", pki.passphrase.decode()))
    offered += [getattr(holder, name) for name in dir(holder) if not name.startswith("__")]
    assert not any(hasattr(each, "private_bytes") for each in offered)
    for each in (key, holder):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(each)
        with pytest.raises(TypeError, match="not pickled"):
            copy.copy(each)
