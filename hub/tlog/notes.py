# SPDX-License-Identifier: Apache-2.0
"""Signed notes and checkpoints: how the log states its size and root, so that it cannot take it back.

Source: C2SP signed-note v1.0.0 (signature type 0x01, Ed25519) and C2SP tlog-checkpoint.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hub.errors import LogError
from hub.tlog.merkle import HASH_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_NOTE_BYTES = 1_000_000
MOST_SIGNATURES = 100

_ED25519 = b"\x01"
_SIGNATURE_LINE = re.compile(r"— ([^ ]+) ([A-Za-z0-9+/]+={0,2})")
_KEY_NAME = re.compile(r"[^\s+\x00-\x20]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class VerifierKey:
    """Whoever knows this can check the signatures of the key with this name."""

    name: str
    public_key: Ed25519PublicKey

    def __post_init__(self) -> None:
        if not _KEY_NAME.fullmatch(self.name):
            raise ValueError("a key name is not empty and has neither spaces nor plus signs")

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key.public_bytes_raw()).digest()[:4]

    def encode(self) -> str:
        """Write the key as `<name>+<hex key id>+<base64 type and key>`."""
        key = base64.b64encode(_ED25519 + self.public_key.public_bytes_raw()).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"

    @classmethod
    def decode(cls, text: str) -> VerifierKey:
        """Read a verifier key.

        Raises:
            LogError: `log.checkpoint_invalid`: not an Ed25519 verifier key, or its key id is another's.
        """
        # The base64 may hold plus signs; the name and the key id cannot.
        parts = text.split("+", 2)
        try:
            name, key_id, encoded = parts
            raw = _from_base64(encoded)
            if raw[:1] != _ED25519:
                raise LogError("log.checkpoint_invalid", "the verifier key is not an Ed25519 key")
            key = cls(name, Ed25519PublicKey.from_public_bytes(raw[1:]))
        except ValueError as exc:
            raise LogError("log.checkpoint_invalid", "the verifier key has not its form") from exc
        if key.key_id.hex() != key_id:
            raise LogError("log.checkpoint_invalid", "the verifier key's id belongs to another key")
        return key


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
        if not text.endswith("\n") or not _is_note_text(text):
            raise ValueError("a note's text ends in a newline and has no other control characters")
        signature = base64.b64encode(self.verifier.key_id + self.private_key.sign(text.encode())).decode()
        return f"{text}\n— {self.name} {signature}\n"


def open_note(note: str, verifiers: Sequence[VerifierKey]) -> str:
    """Check a signed note and return its text.

    At least one of `verifiers` must have signed it, and no signature of theirs may be wrong. Signatures of
    others are ignored.

    Raises:
        LogError: `log.checkpoint_invalid`.

    Source: C2SP signed-note, "Format" and "Signatures".
    """
    if len(note) > MOST_NOTE_BYTES or not _is_note_text(note):
        raise LogError("log.checkpoint_invalid", "the note is too long or has control characters")
    text, blank, signatures = note.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise LogError("log.checkpoint_invalid", "the note is not signed")
    text += "\n"
    lines = signatures[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise LogError("log.checkpoint_invalid", "the note has too many signatures")
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    is_verified = False
    for line in lines:
        name, key_id, signature = _read_signature(line)
        verifier = known.get((name, key_id))
        if verifier is not None:
            _verify(verifier, signature, text)
            is_verified = True
    if not is_verified:
        raise LogError("log.checkpoint_invalid", "no known key signed the note")
    return text


@dataclass(frozen=True)
class Checkpoint:
    """The log's statement: at this size, this is the root.

    Attributes:
        origin: the log's name, for example `hub.chenghua.example/log`.
        size: the number of entries.
        root: 32 bytes.
        extensions: further lines; the hub writes none.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def to_text(self) -> str:
        """Write the text a note signs."""
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def from_text(cls, text: str) -> Checkpoint:
        """Read a checkpoint's text.

        Raises:
            LogError: `log.checkpoint_invalid`.

        Source: C2SP tlog-checkpoint, "Note text".
        """
        *lines, rest = text.split("\n")
        if rest or len(lines) < 3 or "" in lines:
            raise LogError("log.checkpoint_invalid", "a checkpoint has three lines or more, none empty")
        origin, size, root, *extensions = lines
        if not _SIZE.fullmatch(size):
            raise LogError("log.checkpoint_invalid", "the checkpoint's size is not a number")
        try:
            raw_root = _from_base64(root)
        except ValueError as exc:
            raise LogError("log.checkpoint_invalid", "the checkpoint's root is not base64") from exc
        return cls(origin, int(size), raw_root, tuple(extensions))


@dataclass(frozen=True)
class SignedCheckpoint:
    """A checkpoint and the note that signs it."""

    checkpoint: Checkpoint
    note: str


def open_checkpoint(note: str, verifiers: Sequence[VerifierKey], *, origin: str) -> SignedCheckpoint:
    """Check a signed checkpoint of the log named `origin`.

    Raises:
        LogError: `log.checkpoint_invalid`.
    """
    checkpoint = Checkpoint.from_text(open_note(note, verifiers))
    if checkpoint.origin != origin:
        raise LogError("log.checkpoint_invalid", "the checkpoint is another log's")
    if len(checkpoint.root) != HASH_BYTES:
        raise LogError("log.checkpoint_invalid", f"the checkpoint's root is not {HASH_BYTES} bytes long")
    return SignedCheckpoint(checkpoint, note)


def _is_note_text(text: str) -> bool:
    return all(character >= " " or character == "\n" for character in text)


def _from_base64(text: str) -> bytes:
    # The last character may carry bits that are not used; they must be zero, so that bytes have one spelling
    # (RFC 4648 section 3.5).
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("not canonical base64")
    return raw


def _read_signature(line: str) -> tuple[str, bytes, bytes]:
    match = _SIGNATURE_LINE.fullmatch(line)
    if match is None or not _KEY_NAME.fullmatch(match[1]):
        raise LogError("log.checkpoint_invalid", "a signature line has not its form")
    try:
        raw = _from_base64(match[2])
    except ValueError as exc:
        raise LogError("log.checkpoint_invalid", "a signature is not base64") from exc
    if len(raw) < 5:
        raise LogError("log.checkpoint_invalid", "a signature is too short")
    return match[1], raw[:4], raw[4:]


def _verify(verifier: VerifierKey, signature: bytes, text: str) -> None:
    try:
        verifier.public_key.verify(signature, text.encode())
    except InvalidSignature as exc:
        raise LogError("log.checkpoint_invalid", f"the signature of {verifier.name} does not hold") from exc
