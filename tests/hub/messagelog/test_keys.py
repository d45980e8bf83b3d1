# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from hub.errors import SettingsError, TrustError
from hub.messagelog import generate_log_key, load_log_key

if TYPE_CHECKING:
    from pathlib import Path


def test_a_generated_key_is_encrypted_private_and_loads_again(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    key = generate_log_key(path, b"a passphrase")
    assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_log_key(path, b"a passphrase").private_bytes_raw() == key.private_bytes_raw()


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    generate_log_key(path, b"a passphrase")
    before = path.read_bytes()
    with pytest.raises(TrustError, match=r"trust\.key_exists"):
        generate_log_key(path, b"a passphrase")
    assert path.read_bytes() == before


def test_a_key_without_a_passphrase_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"settings\.secret_missing"):
        generate_log_key(tmp_path / "log.key", b"")
    assert not (tmp_path / "log.key").exists()


def test_a_wrong_passphrase_is_refused_without_showing_it(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    generate_log_key(path, b"a passphrase")
    with pytest.raises(TrustError) as caught:
        load_log_key(path, b"opensesame")
    assert caught.value.code == "trust.key_unusable"
    assert "opensesame" not in str(caught.value)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    generate_log_key(path, b"a passphrase")
    path.chmod(0o644)
    with pytest.raises(TrustError, match=r"trust\.key_exposed"):
        load_log_key(path, b"a passphrase")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match=r"trust\.key_unusable"):
        load_log_key(tmp_path / "log.key", b"a passphrase")


@pytest.mark.parametrize(
    ("key", "encryption"),
    [
        (Ed25519PrivateKey.generate(), NoEncryption()),
        (generate_private_key(SECP256R1()), BestAvailableEncryption(b"a passphrase")),
    ],
    ids=["a key that is not encrypted", "another kind of key"],
)
def test_another_key_is_refused(
    tmp_path: Path, key: Ed25519PrivateKey, encryption: KeySerializationEncryption
) -> None:
    path = tmp_path / "log.key"
    path.touch(0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    with pytest.raises(TrustError, match=r"trust\.key_unusable"):
        load_log_key(path, b"a passphrase")
