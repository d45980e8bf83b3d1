# SPDX-License-Identifier: Apache-2.0
"""What was signed about a log's history: checkpoints in the database and those kept outside it.

A checkpoint that the log's key signed is believed wherever it comes from; those from outside weigh more, for
who can change the database can remove checkpoints there, and who stole the key can sign others.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from hub.errors import LogError
from hub.messagelog.tampering import Finding, Tampering
from hub.tlog import Checkpoint, open_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hub.tlog import VerifierKey


class Source(StrEnum):
    """Where a signed checkpoint was found."""

    STORED = "stored"
    """In the database that is audited."""
    HEAD = "head"
    """In the file that remembers the last one published."""
    KEPT = "kept"
    """In somebody's hands."""
    WITNESS = "witness"
    """With a witness."""
    MIRROR = "mirror"
    """With a copy of the log."""


@dataclass(frozen=True)
class Claim:
    """A root the log's key signed for a size.

    Attributes:
        size: number of entries.
        root: 32 bytes.
        source: where it was found.
        name: of the file or witness, for people.
    """

    size: int
    root: bytes
    source: Source
    name: str

    @property
    def is_outside(self) -> bool:
        """Whether it was kept outside the database."""
        return self.source is not Source.STORED


def open_claim(note: str, verifiers: Sequence[VerifierKey], origin: str, source: Source, name: str) -> Claim:
    """Read a checkpoint that was kept somewhere.

    Raises:
        LogError: `log.checkpoint_invalid`: it is not this log's.
    """
    checkpoint = open_checkpoint(note, verifiers, origin=origin).checkpoint
    return Claim(checkpoint.size, checkpoint.root, source, name)


def judge_stored(
    notes: Iterable[tuple[int, str]], verifiers: Sequence[VerifierKey], origins: Sequence[str]
) -> tuple[list[Claim], list[Finding]]:
    """Open the checkpoints of the database; those that are not the log's are findings."""
    claims, findings = [], []
    for size, note in notes:
        opened = _open(note, verifiers, origins)
        if isinstance(opened, LogError):
            findings.append(_describe(size, note, verifiers, opened))
        elif opened.size != size:
            detail = f"the checkpoint of {opened.size} entries is stored under size {size}"
            findings.append(Finding(kind=Tampering.CHECKPOINT_MOVED, detail=detail, size=size))
            claims.append(Claim(opened.size, opened.root, Source.STORED, "database"))
        else:
            claims.append(Claim(size, opened.root, Source.STORED, "database"))
    return claims, findings


def _open(note: str, verifiers: Sequence[VerifierKey], origins: Sequence[str]) -> Checkpoint | LogError:
    refusal = LogError("log.checkpoint_invalid", "the log has no name")
    for origin in origins:
        try:
            return open_checkpoint(note, verifiers, origin=origin).checkpoint
        except LogError as exc:
            refusal = exc
    return refusal


def _describe(size: int, note: str, verifiers: Sequence[VerifierKey], refusal: LogError) -> Finding:
    """Tell a changed checkpoint from one that another key signed in the log's name."""
    signers = [
        line.split(" ")[1] for line in note.split("\n") if line.startswith("— ") and line.count(" ") == 2
    ]
    names = {verifier.name for verifier in verifiers}
    is_foreign = bool(signers) and "no known key" in refusal.detail and bool(names & set(signers))
    return Finding(
        kind=Tampering.CHECKPOINT_FOREIGN_KEY if is_foreign else Tampering.CHECKPOINT_CHANGED,
        detail=f"the checkpoint stored for {size} entries: {refusal.detail}",
        size=size,
    )
