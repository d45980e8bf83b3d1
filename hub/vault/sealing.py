# SPDX-License-Identifier: Apache-2.0
"""Encrypting one thing under a data key, so that nothing about it shows but its length.

    blob  = 0x01 | nonce (12 octets) | AES-256-GCM ciphertext and tag (16 octets)
    key   = HMAC-SHA-256(data key, "heliograph-vault/1" LF subject)
    AAD   = "heliograph-vault/1" LF subject LF key id
    subject = "container:" and the container's SHA-256 in hex, or another kind and id

Why nonces cannot repeat: each subject has a key of its own, and is one text that never changes; a container's
subject is its very digest. Under one key there is thus one plaintext only, and a nonce used twice with it
shows nothing new. The nonce is random all the same, in case a subject ever had two texts. Hence a data key
has no limit of uses that matters, and hub processes need not agree on a counter.

A blob that is moved to another subject or key id, or changed, does not open.

Source: NIST SP 800-38D sections 5.2.1 and 8.3 (uses of a key); RFC 2104; NIST SP 800-108 (keys from keys).
"""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, Never

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hub.errors import VaultError

if TYPE_CHECKING:
    from hub.vault.keyids import KeyId

DATA_KEY_BYTES = 32
OVERHEAD_BYTES = 1 + 12 + 16

_LABEL = b"heliograph-vault/1\n"
_VERSION = b"\x01"
_NONCE_BYTES = 12


class DataKey:
    """One data key; only what it does is kept here, so nothing can print, log or pickle it.

    Args:
        key_id: its name.
        key: 32 random octets.
    """

    __slots__ = ("key_id", "open", "seal")

    def __init__(self, key_id: KeyId, key: bytes) -> None:
        if len(key) != DATA_KEY_BYTES:
            raise ValueError("a data key has 32 octets")
        ending = f"\n{key_id}".encode("ascii")

        def seal(subject: str, plain: bytes) -> bytes:
            labelled = _LABEL + subject.encode("ascii")
            nonce = os.urandom(_NONCE_BYTES)
            sealed = AESGCM(hmac.digest(key, labelled, "sha256")).encrypt(nonce, plain, labelled + ending)
            return _VERSION + nonce + sealed

        def open_(subject: str, blob: bytes) -> bytes:
            if len(blob) < OVERHEAD_BYTES or not blob.startswith(_VERSION):
                raise VaultError("vault.damaged", f"{subject} is not in the vault's form")
            labelled = _LABEL + subject.encode("ascii")
            nonce, sealed = blob[1 : 1 + _NONCE_BYTES], memoryview(blob)[1 + _NONCE_BYTES :]
            try:
                return AESGCM(hmac.digest(key, labelled, "sha256")).decrypt(nonce, sealed, labelled + ending)
            except InvalidTag as exc:
                raise VaultError("vault.damaged", f"{subject} does not open under {key_id}") from exc

        self.key_id = key_id
        self.seal = seal
        self.open = open_

    def __repr__(self) -> str:
        return f"<data key {self.key_id}>"

    def __reduce__(self) -> Never:
        raise TypeError("a data key is not pickled")


def container_subject(sha256: str) -> str:
    """Return the subject a container is encrypted as."""
    return f"container:{sha256}"
