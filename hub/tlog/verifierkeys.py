# SPDX-License-Identifier: Apache-2.0
"""The public keys of logs and witnesses, and whether a signature of theirs under a text holds.

Source: C2SP signed-note, "Signatures" and "Verifier keys"; C2SP tlog-cosignature, "Format".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from hub.errors import LogError
from hub.tlog.checkpoints import Checkpoint
from hub.tlog.cosignatures import SubtreeStatement, ed25519_message, split_timestamp
from hub.tlog.spelling import read_base64, write_base64

_KEY_NAME = re.compile(r"[^\s+\x00-\x20]+")


class SignatureType(IntEnum):
    """What a key signs, and how (C2SP signed-note, "Signature types")."""

    ED25519 = 0x01
    """The note's text: how logs sign."""
    ED25519_COSIGNATURE = 0x04
    """A checkpoint and the time it was seen: how witnesses sign."""
    ML_DSA_44 = 0x06
    """Likewise, safe against quantum computers; logs may sign so too."""


_KEY_CLASSES: dict[SignatureType, type[Ed25519PublicKey | MLDSA44PublicKey]] = {
    SignatureType.ED25519: Ed25519PublicKey,
    SignatureType.ED25519_COSIGNATURE: Ed25519PublicKey,
    SignatureType.ML_DSA_44: MLDSA44PublicKey,
}


@dataclass(frozen=True)
class VerifierKey:
    """Whoever knows this can check the signatures of the key with this name.

    Raises:
        ValueError: the name or the kind of key does not fit.
    """

    name: str
    public_key: Ed25519PublicKey | MLDSA44PublicKey
    signature_type: SignatureType = SignatureType.ED25519

    def __post_init__(self) -> None:
        if not is_key_name(self.name):
            raise ValueError("a key name is not empty and has neither spaces nor plus signs")
        is_of_type = isinstance(self.public_key, _KEY_CLASSES[self.signature_type])
        if not is_of_type:
            raise ValueError("the key is of another kind than its signatures")

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return sha256(self.name.encode() + b"\n" + self._typed).digest()[:4]

    @property
    def _typed(self) -> bytes:
        return bytes([self.signature_type]) + self.public_key.public_bytes_raw()

    def encode(self) -> str:
        """Write the key as `<name>+<hex key id>+<base64 type and key>`."""
        return f"{self.name}+{self.key_id.hex()}+{write_base64(self._typed)}"

    @classmethod
    def decode(cls, text: str) -> VerifierKey:
        """Read a verifier key.

        Raises:
            LogError: `log.checkpoint_invalid`: not a verifier key of a type known here, or with
                another's key id.
        """
        # The base64 may hold plus signs; the name and the key id cannot.
        parts = text.split("+", 2)
        try:
            name, key_id, encoded = parts
            raw = read_base64(encoded)
            kind = SignatureType(int.from_bytes(raw[:1], "big"))
            key = cls(name, _KEY_CLASSES[kind].from_public_bytes(raw[1:]), kind)
            expected = key.key_id.hex()
        except (ValueError, UnsupportedAlgorithm) as exc:
            raise LogError("log.checkpoint_invalid", "the verifier key has not its form") from exc
        if expected != key_id:
            raise LogError("log.checkpoint_invalid", "the verifier key's id belongs to another key")
        return key

    def verify(self, text: str, signature: bytes) -> int | None:
        """Check a signature under a note's text.

        Returns:
            The time a cosignature states, in seconds since 1970; None for a signature that states none.

        Raises:
            LogError: `log.checkpoint_invalid`.
        """
        try:
            return self._verify(text, signature)
        except (InvalidSignature, ValueError, LogError) as exc:
            raise LogError("log.checkpoint_invalid", f"the signature of {self.name} does not hold") from exc

    def _verify(self, text: str, signature: bytes) -> int | None:
        if self.signature_type is SignatureType.ED25519:
            self.public_key.verify(signature, text.encode())
            return None
        timestamp, signature = split_timestamp(signature)
        if self.signature_type is SignatureType.ED25519_COSIGNATURE:
            self.public_key.verify(signature, ed25519_message(text, timestamp))
            return timestamp
        checkpoint = Checkpoint.from_text(text)
        self.public_key.verify(signature, SubtreeStatement.of(checkpoint, self.name, timestamp).message())
        # Zero is how this type of signature states no time.
        return timestamp or None


def is_key_name(text: str) -> bool:
    """Say whether a text can name a key."""
    return _KEY_NAME.fullmatch(text) is not None
