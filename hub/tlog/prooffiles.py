# SPDX-License-Identifier: Apache-2.0
"""Proof files: one small text that proves, offline, that an entry is in a log and who witnessed it.

Source: C2SP tlog-proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.errors import LogError
from hub.tlog.checkpoints import Checkpoint
from hub.tlog.merkle import leaf_hash, verify_inclusion
from hub.tlog.notes import MOST_NOTE_BYTES, Note
from hub.tlog.spelling import LARGEST_SIZE, read_base64, read_hash, read_number, write_base64

if TYPE_CHECKING:
    from hub.tlog.policies import TrustPolicy, WitnessedCheckpoint

PROOF_FILE_SUFFIX = ".tlog-proof"

LONGEST_PATH = 64
"""Hashes that lead to the root of the largest tree there can be."""

_HEADER = "c2sp.org/tlog-proof@v1"
_MOST_EXTRA_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class ProofFile:
    """A proof file's content; nothing is checked by reading it.

    Attributes:
        index: the entry's, counted from 0.
        path: hashes of 32 bytes, from the leaf's sibling up to the root's child.
        checkpoint: the log's signed note, cosignatures included.
        extra: bytes whose meaning the application knows and nothing vouches for; None when there are none.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def encode(self) -> str:
        """Write the file's text."""
        lines = [_HEADER]
        if self.extra:
            lines.append(f"extra {write_base64(self.extra)}")
        lines += [f"index {self.index}", *map(write_base64, self.path), "", self.checkpoint]
        return "\n".join(lines)

    @classmethod
    def decode(cls, text: str) -> ProofFile:
        """Read a file's text.

        Raises:
            LogError: `log.proof_invalid`, or `log.checkpoint_invalid` when the checkpoint in it is none.
        """
        if len(text) > MOST_NOTE_BYTES + _MOST_EXTRA_CHARACTERS:
            raise LogError("log.proof_invalid", "the proof is too long")
        # Neither the header nor a hash is empty, so the first empty line ends the proof.
        head, blank, checkpoint = text.partition("\n\n")
        if not blank:
            raise LogError("log.proof_invalid", "no empty line stands before the checkpoint")
        header, *lines = head.split("\n")
        if header != _HEADER:
            raise LogError("log.proof_invalid", f"the first line is not {_HEADER}")
        try:
            extra = _read_extra(lines.pop(0)) if lines and lines[0].startswith("extra ") else None
            index = _read_index(lines.pop(0) if lines else "")
            path = tuple(map(read_hash, lines))
        except ValueError as exc:
            raise LogError("log.proof_invalid", f"a line has not its form: {exc}") from exc
        if len(path) > LONGEST_PATH:
            raise LogError("log.proof_invalid", f"a path has at most {LONGEST_PATH} hashes")
        Checkpoint.from_text(Note.decode(checkpoint).text)
        return cls(index, path, checkpoint, extra)


def verify_proof(proof: ProofFile, leaf: bytes, policy: TrustPolicy) -> WitnessedCheckpoint:
    """Check that an entry is in a log the policy trusts, as witnessed as it asks for.

    Args:
        proof: says where the entry is.
        leaf: the entry's bytes; a heliograph log's are `Entry.to_bytes`.
        policy: whom to believe.

    Raises:
        LogError: `log.checkpoint_invalid`, `log.not_witnessed`, or `log.proof_invalid`: the entry is not
            where the proof says.

    Source: C2SP tlog-proof, "Verifying a tlog proof".
    """
    return verify_proof_of_hash(proof, leaf_hash(leaf), policy)


def verify_proof_of_hash(proof: ProofFile, leaf: bytes, policy: TrustPolicy) -> WitnessedCheckpoint:
    """Do the same for an entry known by its leaf hash only.

    Raises:
        LogError: as `verify_proof`.
    """
    witnessed = policy.open(proof.checkpoint)
    checkpoint = witnessed.checkpoint
    verify_inclusion(leaf, proof.index, checkpoint.size, proof.path, checkpoint.root)
    return witnessed


def _read_extra(line: str) -> bytes:
    extra = read_base64(line[6:])
    if not extra:
        raise ValueError("an extra line that holds nothing is left out")
    return extra


def _read_index(line: str) -> int:
    if not line.startswith("index "):
        raise ValueError("the index is missing")
    index = read_number(line[6:])
    if index == LARGEST_SIZE:
        raise ValueError("no tree has an entry of this number")
    return index
