# SPDX-License-Identifier: Apache-2.0
"""What a log sends to be cosigned: the size we should know, a consistency proof, and the new checkpoint.

Source: C2SP tlog-witness, "add-checkpoint".
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.errors import LogError
from hub.tlog import (
    HASH_BYTES,
    Checkpoint,
    Note,
    is_note_text,
    read_hash,
    read_number,
    write_base64,
)

MOST_BODY_BYTES = 512 * 1024
"""More than 63 hashes and a note with 100 post-quantum signatures take."""

MOST_PROOF_LINES = 63


@dataclass(frozen=True)
class Submission:
    """A request to cosign; nothing is checked of it but its form.

    Attributes:
        old_size: the size of the tree the proof starts from.
        proof: hashes of 32 bytes.
        note: the signed checkpoint.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: str

    @property
    def origin(self) -> str:
        """The checkpoint's first line, which names the log."""
        return self.note.partition("\n")[0]

    @classmethod
    def decode(cls, body: bytes) -> Submission:
        """Read a request's body.

        Raises:
            LogError: `log.submission_malformed`.
        """
        if len(body) > MOST_BODY_BYTES:
            raise _malformed(f"the body is longer than {MOST_BODY_BYTES} bytes")
        try:
            text = body.decode("utf-8")
        except ValueError as exc:
            raise _malformed("the body is not UTF-8") from exc
        # Neither line of the head is empty, so the first empty line ends it.
        head, blank, note = text.partition("\n\n")
        old, *proof = head.split("\n")
        if not blank or not old.startswith("old ") or not note.partition("\n")[0]:
            raise _malformed("it is not an old size, a proof, an empty line and a checkpoint")
        if len(proof) > MOST_PROOF_LINES:
            raise _malformed(f"a proof has at most {MOST_PROOF_LINES} lines")
        try:
            return cls(read_number(old.removeprefix("old ")), tuple(map(read_hash, proof)), note)
        except ValueError as exc:
            raise _malformed(f"the old size or a proof line is {exc}") from exc

    def encode(self) -> bytes:
        """Write a request's body."""
        lines = (f"old {self.old_size}", *map(write_base64, self.proof), "", self.note)
        return "\n".join(lines).encode()

    def open_note(self) -> Note:
        """Take the checkpoint's note apart.

        Raises:
            LogError: `log.submission_malformed`; `log.submission_untrusted`: its signature lines are missing
                or have not their form, so nobody signed it.
        """
        if not is_note_text(self.note):
            raise _malformed("the checkpoint has control characters")
        try:
            return Note.decode(self.note)
        except LogError as exc:
            raise LogError("log.submission_untrusted", f"invalid signature: {exc.detail}") from exc


def read_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint that its log signed.

    Raises:
        LogError: `log.submission_malformed`.
    """
    try:
        checkpoint = Checkpoint.from_text(text)
    except LogError as exc:
        raise _malformed(exc.detail) from exc
    if len(checkpoint.root) != HASH_BYTES:
        raise _malformed(f"the root is not {HASH_BYTES} bytes long")
    return checkpoint


def _malformed(detail: str) -> LogError:
    return LogError("log.submission_malformed", detail)
