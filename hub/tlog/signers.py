# SPDX-License-Identifier: Apache-2.0
"""Who signs: a log its checkpoints, a witness those of other logs.

Source: C2SP signed-note and tlog-cosignature.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hub.tlog.checkpoints import Checkpoint
from hub.tlog.cosignatures import LONGEST_NAME, SubtreeStatement, ed25519_message, join_timestamp
from hub.tlog.notes import NoteSignature, is_note_text
from hub.tlog.verifierkeys import SignatureType, VerifierKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey


@dataclass(frozen=True)
class NoteSigner:
    """A named Ed25519 key that signs notes."""

    name: str
    private_key: Ed25519PrivateKey = field(repr=False)

    @property
    def verifier(self) -> VerifierKey:
        """What others need to check its signatures."""
        return VerifierKey(self.name, self.private_key.public_key())

    def sign(self, text: str) -> str:
        """Sign a text that ends in a newline, and return the note."""
        if not text.endswith("\n") or not is_note_text(text):
            raise ValueError("a note's text ends in a newline and has no other control characters")
        signature = self.private_key.sign(text.encode())
        return f"{text}\n{NoteSignature(self.name, self.verifier.key_id, signature).to_line()}"


@dataclass(frozen=True)
class Cosigner:
    """A named key that states when it saw a checkpoint; it must sign nothing else.

    Raises:
        ValueError: the name cannot name a cosigner.
    """

    name: str
    private_key: Ed25519PrivateKey | MLDSA44PrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.name.encode()) > LONGEST_NAME:
            raise ValueError(f"a cosigner's name has at most {LONGEST_NAME} bytes")
        self.verifier.encode()

    @property
    def verifier(self) -> VerifierKey:
        """What others need to check its cosignatures."""
        public_key = self.private_key.public_key()
        is_ed25519 = isinstance(self.private_key, Ed25519PrivateKey)
        kind = SignatureType.ED25519_COSIGNATURE if is_ed25519 else SignatureType.ML_DSA_44
        return VerifierKey(self.name, public_key, kind)

    def cosign(self, text: str, timestamp: int) -> str:
        """Cosign a checkpoint's text and return the signature's line, its newline included.

        Args:
            text: the checkpoint's.
            timestamp: seconds since 1970, when this is the largest tree of the log that was seen. An
                ML-DSA-44 cosigner may state none by 0.

        Raises:
            LogError: `log.checkpoint_invalid`: the text is no checkpoint.
            ValueError: this key cannot state it, for example because the origin is too long.
        """
        if isinstance(self.private_key, Ed25519PrivateKey):
            signature = self.private_key.sign(ed25519_message(text, timestamp))
        else:
            statement = SubtreeStatement.of(Checkpoint.from_text(text), self.name, timestamp)
            signature = self.private_key.sign(statement.message())
        cosignature = join_timestamp(timestamp, signature)
        return NoteSignature(self.name, self.verifier.key_id, cosignature).to_line()
