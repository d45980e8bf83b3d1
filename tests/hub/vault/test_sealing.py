# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import hmac
import os
import pickle

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hub.errors import VaultError
from hub.vault import KeyId
from hub.vault.sealing import OVERHEAD_BYTES, DataKey, container_subject

KEY_ID = KeyId.parse("2026-03_P10Y_1")
PLAIN = "持证人：张伟".encode() * 100
SUBJECT = container_subject(hashlib.sha256(PLAIN).hexdigest())


def test_what_is_sealed_opens_again_and_shows_only_its_length() -> None:
    key = DataKey(KEY_ID, os.urandom(32))
    blob = key.seal(SUBJECT, PLAIN)
    assert key.open(SUBJECT, blob) == PLAIN
    assert "张伟".encode() not in blob
    assert len(blob) == len(PLAIN) + OVERHEAD_BYTES


def test_the_same_text_never_looks_the_same_twice() -> None:
    key = DataKey(KEY_ID, os.urandom(32))
    assert len({key.seal(SUBJECT, PLAIN) for _ in range(100)}) == 100


def test_no_two_subjects_share_a_key() -> None:
    # A nonce that came twice would show the difference of two texts; under two keys it shows nothing.
    secret = os.urandom(32)
    blob = DataKey(KEY_ID, secret).seal(SUBJECT, PLAIN)
    label = b"heliograph-vault/1\n" + SUBJECT.encode()
    derived = hmac.digest(secret, label, "sha256")
    plain = AESGCM(derived).decrypt(blob[1:13], blob[13:], label + b"\n2026-03_P10Y_1")
    assert plain == PLAIN
    assert derived not in {secret, hmac.digest(secret, label + b"0", "sha256")}


@pytest.mark.parametrize("place", [0, 1, 12, 13, 500, -17, -1])
def test_a_flipped_bit_anywhere_is_noticed(place: int) -> None:
    key = DataKey(KEY_ID, os.urandom(32))
    blob = bytearray(key.seal(SUBJECT, PLAIN))
    blob[place] ^= 1
    with pytest.raises(VaultError, match=r"vault\.damaged"):
        key.open(SUBJECT, bytes(blob))


@pytest.mark.parametrize("length", [0, 1, OVERHEAD_BYTES - 1, OVERHEAD_BYTES, 300])
def test_a_cut_blob_does_not_open(length: int) -> None:
    key = DataKey(KEY_ID, os.urandom(32))
    with pytest.raises(VaultError, match=r"vault\.damaged"):
        key.open(SUBJECT, key.seal(SUBJECT, PLAIN)[:length])


def test_a_blob_moved_to_another_subject_or_key_does_not_open() -> None:
    secret = os.urandom(32)
    blob = DataKey(KEY_ID, secret).seal(SUBJECT, PLAIN)
    moved = container_subject("0" * 64)
    renamed = DataKey(KeyId.parse("2026-03_P5Y_1"), secret)
    other = DataKey(KEY_ID, os.urandom(32))
    for key, subject in ((DataKey(KEY_ID, secret), moved), (renamed, SUBJECT), (other, SUBJECT)):
        with pytest.raises(VaultError, match=r"vault\.damaged"):
            key.open(subject, blob)


def test_a_data_key_shows_itself_nowhere() -> None:
    secret = os.urandom(32)
    key = DataKey(KEY_ID, secret)
    assert repr(key) == "<data key 2026-03_P10Y_1>"
    with pytest.raises(TypeError):
        pickle.dumps(key)
