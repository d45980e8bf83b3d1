# SPDX-License-Identifier: Apache-2.0
"""How a hub becomes a witness: its key, and the list of logs it witnesses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from hub.custody import write_key_file
from hub.errors import SettingsError, TrustError
from hub.tlog import Cosigner, NoteSigner, SignatureType
from hub.witness import load_witness_key, read_witnessed_logs

if TYPE_CHECKING:
    from pathlib import Path

PASSPHRASE = b"only for the tests"


def a_key(number: int) -> Ed25519PrivateKey:
    # The same for every process that collects these tests, because the files under test name them.
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


LOG = NoteSigner("hub.example/log", a_key(1))
KEY = NoteSigner("key.example/a", a_key(2)).verifier.encode()
OTHER = NoteSigner("key.example/b", a_key(3)).verifier.encode()
POST_QUANTUM = Cosigner("key.example/pq", MLDSA44PrivateKey.generate()).verifier.encode()
COSIGNING = Cosigner("w.example", a_key(4)).verifier.encode()
SUMDB = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (Ed25519PrivateKey.generate(), SignatureType.ED25519_COSIGNATURE),
        (MLDSA44PrivateKey.generate(), SignatureType.ML_DSA_44),
    ],
)
def test_a_witness_key_of_either_kind_is_read(
    tmp_path: Path, key: Ed25519PrivateKey | MLDSA44PrivateKey, kind: SignatureType
) -> None:
    write_key_file(tmp_path / "w.pem", key, PASSPHRASE)
    cosigner = load_witness_key(tmp_path / "w.pem", PASSPHRASE, name="hub.example/w", log=LOG.verifier)
    assert (cosigner.name, cosigner.verifier.signature_type) == ("hub.example/w", kind)


def test_the_logs_key_never_cosigns(tmp_path: Path) -> None:
    write_key_file(tmp_path / "w.pem", LOG.private_key, PASSPHRASE)
    with pytest.raises(SettingsError, match="log's key"):
        load_witness_key(tmp_path / "w.pem", PASSPHRASE, name="hub.example/w", log=LOG.verifier)


def test_another_kind_of_key_does_not_cosign(tmp_path: Path) -> None:
    write_key_file(tmp_path / "w.pem", ec.generate_private_key(ec.SECP256R1()), PASSPHRASE)
    with pytest.raises(TrustError, match=r"trust\.key_unusable"):
        load_witness_key(tmp_path / "w.pem", PASSPHRASE, name="hub.example/w", log=LOG.verifier)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "w" * 256])
def test_a_witness_has_a_name_that_can_stand_in_a_signature(tmp_path: Path, name: str) -> None:
    write_key_file(tmp_path / "w.pem", Ed25519PrivateKey.generate(), PASSPHRASE)
    with pytest.raises(SettingsError, match="witness_name"):
        load_witness_key(tmp_path / "w.pem", PASSPHRASE, name=name, log=LOG.verifier)


def listed(tmp_path: Path, text: str) -> dict[str, int]:
    (tmp_path / "logs").write_text(text, encoding="utf-8")
    return {origin: len(log.keys) for origin, log in read_witnessed_logs(tmp_path / "logs").items()}


def test_a_list_names_logs_by_key_or_by_origin_and_several_keys_of_one(tmp_path: Path) -> None:
    text = f"""
# List: ours
logs/v0

vkey {KEY}
qpd 86400
contact somebody

vkey {SUMDB}
origin go.sum database tree
unknown

vkey {POST_QUANTUM}
vkey {OTHER}
origin key.example/a
"""
    assert listed(tmp_path, text) == {"key.example/a": 2, "go.sum database tree": 1, "key.example/pq": 1}
    assert listed(tmp_path, "logs/v0\n") == {}
    assert listed(tmp_path, f"logs/v0\r\nvkey {KEY}\r\norigin a log\r\n") == {"a log": 1}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "start with"),
        ("logs/v1\n", "start with"),
        (f"vkey {KEY}\n", "start with"),
        ("logs/v0\norigin a log\n", "line 2: a log starts"),
        (f"logs/v0\nqpd 1\nvkey {KEY}\n", "line 2: a log starts"),
        ("logs/v0\nvkey nonsense\n", "line 2: the verifier key"),
        ("logs/v0\nvkey\n", "line 2: the verifier key"),
        (f"logs/v0\nvkey {COSIGNING}\n", "line 2: the key is a witness's"),
        (f"logs/v0\nvkey {KEY}\norigin\n", "line 3: an origin is not empty"),
        (f"logs/v0\nvkey {KEY}\norigin {'o' * 256}\n", "at most 255"),
        (f"logs/v0\nvkey {KEY}\nvkey {KEY}\n", "line 3: this key is listed"),
    ],
)
def test_a_list_of_another_form_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as caught:
        listed(tmp_path, text)
    assert caught.value.code == "settings.invalid"


def test_a_list_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_witnessed_logs(tmp_path / "nothing")
