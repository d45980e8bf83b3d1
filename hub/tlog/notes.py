# SPDX-License-Identifier: Apache-2.0
"""Signed notes: a text and the lines below it by which logs and witnesses answer for it.

Source: C2SP signed-note v1.0.0, "Format" and "Signatures".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hub.errors import LogError
from hub.tlog.checkpoints import Checkpoint, SignedCheckpoint
from hub.tlog.spelling import read_base64, write_base64
from hub.tlog.verifierkeys import VerifierKey, is_key_name

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_NOTE_BYTES = 1_000_000
MOST_SIGNATURES = 100

_KEY_ID_BYTES = 4
_CONTROL_CHARACTER = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIGNATURE_LINE = re.compile(r"— ([^ ]+) ([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True)
class NoteSignature:
    """One line below a note's text; nothing is checked of it yet.

    Attributes:
        name: of the key.
        key_id: four bytes.
        signature: as the key's type has it; a cosignature's starts with its time.
    """

    name: str
    key_id: bytes
    signature: bytes

    def to_line(self) -> str:
        """Write the line, its newline included."""
        return f"— {self.name} {write_base64(self.key_id + self.signature)}\n"

    @classmethod
    def from_line(cls, line: str) -> NoteSignature:
        """Read a line without its newline.

        Raises:
            LogError: `log.checkpoint_invalid`.
        """
        match = _SIGNATURE_LINE.fullmatch(line)
        if match is None or not is_key_name(match[1]):
            raise LogError("log.checkpoint_invalid", "a signature line has not its form")
        try:
            raw = read_base64(match[2])
        except ValueError as exc:
            raise LogError("log.checkpoint_invalid", "a signature is not base64") from exc
        if len(raw) <= _KEY_ID_BYTES:
            raise LogError("log.checkpoint_invalid", "a signature is too short")
        return cls(match[1], raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:])


class HoldingSignature(NamedTuple):
    """A signature that was found to hold.

    Attributes:
        key: whose.
        timestamp: what time it states, in seconds since 1970; None when none.
        line: as it stands below the note, its newline included.
    """

    key: VerifierKey
    timestamp: int | None
    line: str


@dataclass(frozen=True)
class Note:
    """A note taken apart; its text means nothing before a signature was checked.

    Attributes:
        text: ends in a newline.
        signatures: at least one, in the order of the lines.
    """

    text: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def decode(cls, note: str) -> Note:
        """Take a note apart.

        Raises:
            LogError: `log.checkpoint_invalid`: it has not the form of a note.
        """
        if len(note) > MOST_NOTE_BYTES or not is_note_text(note):
            raise LogError("log.checkpoint_invalid", "the note is too long or has control characters")
        text, blank, signatures = note.rpartition("\n\n")
        if not blank or not signatures.endswith("\n"):
            raise LogError("log.checkpoint_invalid", "the note is not signed")
        lines = signatures[:-1].split("\n")
        if len(lines) > MOST_SIGNATURES:
            raise LogError("log.checkpoint_invalid", "the note has too many signatures")
        return cls(f"{text}\n", tuple(NoteSignature.from_line(line) for line in lines))

    def verify(self, verifiers: Sequence[VerifierKey]) -> tuple[HoldingSignature, ...]:
        """Check the signatures of known keys; those of unknown ones are ignored.

        Returns:
            What holds, in the order of the lines; nothing when no known key signed.

        Raises:
            LogError: `log.checkpoint_invalid`: a signature of a known key does not hold.
        """
        known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
        holding = []
        for each in self.signatures:
            key = known.get((each.name, each.key_id))
            if key is not None:
                holding.append(HoldingSignature(key, key.verify(self.text, each.signature), each.to_line()))
        return tuple(holding)


def open_note(note: str, verifiers: Sequence[VerifierKey]) -> str:
    """Check a signed note and return its text.

    At least one of `verifiers` must have signed it, and no signature of theirs may be wrong. Signatures of
    others are ignored.

    Raises:
        LogError: `log.checkpoint_invalid`.
    """
    opened = Note.decode(note)
    if not opened.verify(verifiers):
        raise LogError("log.checkpoint_invalid", "no known key signed the note")
    return opened.text


def open_checkpoint(note: str, verifiers: Sequence[VerifierKey], *, origin: str) -> SignedCheckpoint:
    """Check a signed checkpoint of the log named `origin`.

    Raises:
        LogError: `log.checkpoint_invalid`.
    """
    checkpoint = Checkpoint.from_text(open_note(note, verifiers))
    if checkpoint.origin != origin:
        raise LogError("log.checkpoint_invalid", "the checkpoint is another log's")
    checkpoint.require_root()
    return SignedCheckpoint(checkpoint, note)


def is_note_text(text: str) -> bool:
    """Say whether a note may hold this text: UTF-8 without control characters but newlines."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return _CONTROL_CHARACTER.search(text) is None
