# SPDX-License-Identifier: Apache-2.0
"""Encrypted content: `openssl cms` opens what we write, and nothing that was changed is opened or read."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from asn1crypto import cms

from hub.envelope import EncryptionScheme, scheme_of
from hub.envelope.authenveloped import decrypt_content, encrypt_content, read_encrypted
from hub.errors import EnvelopeError
from tests.hub.envelope.recipients import KINDS, certificate_of, new_key, new_recipient, write_pem

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

    from hub.custody import DecryptionKey
    from hub.envelope import CertificateName

BOUND, OTHER = b"b" * 32, b"c" * 32
CONTENT = '{"holder":"511111199001011234","grade":"三级"}'.encode()

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def openssl(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["openssl", "cms", *map(str, arguments)],
        capture_output=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_holder_of_the_key_opens_what_was_encrypted_to_its_certificate(kind: str) -> None:
    _, key = new_recipient(kind)

    encrypted = encrypt_content(CONTENT, key.certificate, BOUND)

    assert CONTENT not in encrypted
    assert decrypt_content(read_encrypted(encrypted), key) == CONTENT


@needs_openssl
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [b"", CONTENT, bytes(300_000)], ids=["empty", "small", "large"])
def test_openssl_opens_what_we_write(kind: str, content: bytes, tmp_path: Path) -> None:
    private, key = new_recipient(kind)
    key_file, certificate_file = write_pem(tmp_path, private, key.certificate)
    file = tmp_path / "payload.p7m"
    file.write_bytes(encrypt_content(content, key.certificate, BOUND))

    opened = openssl(
        *("-decrypt", "-binary", "-inform", "DER", "-in", file),
        *("-recip", certificate_file, "-inkey", key_file),
    )

    assert (opened.returncode, opened.stdout) == (0, content), opened.stderr.decode()


@needs_openssl
@pytest.mark.parametrize("kind", KINDS)
def test_openssl_does_not_open_it_once_what_it_is_bound_to_was_changed(kind: str, tmp_path: Path) -> None:
    """The key of the content hangs on what it is bound to: an independent reader finds that too."""
    private, key = new_recipient(kind)
    key_file, certificate_file = write_pem(tmp_path, private, key.certificate)
    encrypted = read_encrypted(encrypt_content(CONTENT, key.certificate, BOUND))
    file = tmp_path / "payload.p7m"
    file.write_bytes(replace(encrypted, bound=OTHER).encode())

    opened = openssl(
        *("-decrypt", "-binary", "-inform", "DER", "-in", file),
        *("-recip", certificate_file, "-inkey", key_file),
    )

    assert opened.returncode != 0
    assert CONTENT not in opened.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_asn1crypto_reads_the_structure(kind: str) -> None:
    _, key = new_recipient(kind)

    info = cms.ContentInfo.load(encrypt_content(CONTENT, key.certificate, BOUND), strict=True)

    assert info["content_type"].dotted == "1.2.840.113549.1.9.16.1.23"


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_changed_is_opened(kind: str) -> None:
    _, key = new_recipient(kind)
    good = read_encrypted(encrypt_content(CONTENT, key.certificate, BOUND))
    changes: list[dict[str, object]] = [
        {"bound": OTHER},
        {"ciphertext": bytes([good.ciphertext[0] ^ 1]) + good.ciphertext[1:]},
        {"ciphertext": good.ciphertext[:-1]},
        {"tag": bytes([good.tag[0] ^ 1]) + good.tag[1:]},
        {"nonce": bytes([good.nonce[0] ^ 1]) + good.nonce[1:]},
        {"wrapped_key": bytes([good.wrapped_key[0] ^ 1]) + good.wrapped_key[1:]},
    ]
    if good.point:
        other = read_encrypted(encrypt_content(CONTENT, key.certificate, BOUND))
        # Another point of the curve, and none of it: an invalid curve would give the key away bit by bit.
        changes += [{"point": other.point}, {"point": b"\x04" + b"\x01" * (len(good.point) - 1)}]

    for change in changes:
        with pytest.raises(EnvelopeError) as refused:
            decrypt_content(replace(good, **change), key)  # type: ignore[arg-type]  # any field is changed
        assert refused.value.code == "envelope.decryption_failed", change
        assert refused.value.detail == "the key does not open it", "every failure is told alike"


@pytest.mark.parametrize("kind", KINDS)
def test_another_key_of_the_same_kind_opens_nothing(kind: str) -> None:
    _, key = new_recipient(kind)
    _, other = new_recipient(kind)

    with pytest.raises(EnvelopeError) as refused:
        decrypt_content(read_encrypted(encrypt_content(CONTENT, key.certificate, BOUND)), other)

    assert refused.value.code == "envelope.decryption_failed"


@pytest.mark.parametrize("kind", KINDS)
def test_every_changed_or_missing_byte_is_refused_or_does_not_open(kind: str) -> None:
    """There is one form: whatever else a byte may say, either the form or the key refuses it."""
    _, key = new_recipient(kind)
    good = encrypt_content(b"{}", key.certificate, BOUND)
    name = read_encrypted(good).recipient

    for place in range(len(good)):
        changed = good[:place] + bytes([good[place] ^ 0x01]) + good[place + 1 :]
        assert not _is_opened(changed, key, name), place
    for length in range(0, len(good), 7):
        with pytest.raises(EnvelopeError):
            read_encrypted(good[:length])
    with pytest.raises(EnvelopeError):
        read_encrypted(good + b"\x00")


def _is_opened(encrypted: bytes, key: DecryptionKey, name: CertificateName) -> bool:
    """Do what a receiver does: read, compare what it is bound to and for whom it is, decrypt."""
    try:
        read = read_encrypted(encrypted)
        if read.recipient != name or read.bound != BOUND:
            return False
        decrypt_content(read, key)
    except EnvelopeError:
        return False
    return True


@needs_openssl
@pytest.mark.parametrize("cipher", ["-aes-256-cbc", "-aes-256-gcm", "-aes-128-gcm"])
def test_what_openssl_encrypts_in_other_forms_is_refused(cipher: str, tmp_path: Path) -> None:
    """EnvelopedData without a tag could be changed on the way; other key sizes and forms have no use."""
    private, key = new_recipient("P-256")
    _, certificate_file = write_pem(tmp_path, private, key.certificate)
    (tmp_path / "content").write_bytes(CONTENT)

    made = openssl(
        *("-encrypt", "-binary", cipher, "-outform", "DER", "-in", tmp_path / "content"),
        *("-recip", certificate_file, "-keyopt", "ecdh_kdf_md:sha256"),
    )

    assert made.returncode == 0, made.stderr.decode()
    with pytest.raises(EnvelopeError) as refused:
        read_encrypted(made.stdout)
    assert refused.value.code == "envelope.encryption_malformed"


def _usage(kind: str, *, agrees: bool, enciphers: bool) -> x509.Certificate:
    return certificate_of(new_key(kind), agrees=agrees, enciphers=enciphers)


def test_only_keys_certified_for_it_are_encrypted_to() -> None:
    assert scheme_of(certificate_of(new_key("P-256"))) is EncryptionScheme.ECDH_P256
    assert scheme_of(certificate_of(new_key("P-384"))) is EncryptionScheme.ECDH_P384
    assert scheme_of(certificate_of(new_key("P-521"))) is EncryptionScheme.ECDH_P521
    assert scheme_of(certificate_of(new_key("RSA"))) is EncryptionScheme.RSA_OAEP
    unfit = [
        _usage("P-256", agrees=False, enciphers=True),
        _usage("RSA", agrees=True, enciphers=False),
        _usage("RSA-1024", agrees=False, enciphers=True),
    ]
    for certificate in unfit:
        assert scheme_of(certificate) is None
        with pytest.raises(EnvelopeError) as refused:
            encrypt_content(CONTENT, certificate, BOUND)
        assert refused.value.code == "envelope.algorithm_not_allowed"
