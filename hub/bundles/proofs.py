# SPDX-License-Identifier: Apache-2.0
"""One checkpoint for all entries of a bundle, and the proofs of each against it.

Source: docs/protocols/evidence-bundle.md section 5; C2SP tlog-proof and tlog-policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.bundles.missing import Missing, Why
from hub.bundles.model import CHECKPOINT_RECORD_NAME
from hub.tlog import ProofFile

if TYPE_CHECKING:
    from hub.messagelog import MessageLog


@dataclass(frozen=True)
class ChosenCheckpoint:
    """The checkpoint all proofs of a bundle are for.

    Attributes:
        size: how many entries it is about.
        plain: signed by the log alone, as it is time-stamped.
        note: the same with the cosignatures of witnesses.
        record: its evidence record in DER, or None.
        witnesses: the names of those who cosigned it.
        missing: what it lacks.
    """

    size: int
    plain: str
    note: str
    record: bytes | None
    witnesses: tuple[str, ...]
    missing: tuple[Missing, ...]


@dataclass(frozen=True)
class LogProofs:
    """Chooses a checkpoint and proves entries against it."""

    log: MessageLog

    def choose(self, size: int) -> ChosenCheckpoint:
        """Return a checkpoint of at least `size` entries."""
        del size  # the checkpoint of now covers every entry there is
        signed = self.log.checkpoint()
        missing = (Missing(CHECKPOINT_RECORD_NAME, Why.STAMP_WAITING),)
        return ChosenCheckpoint(signed.checkpoint.size, signed.note, signed.note, None, (), missing)

    def prove(self, index: int, checkpoint: ChosenCheckpoint) -> bytes:
        """Return the proof file of an entry."""
        path = self.log.inclusion_proof(index, checkpoint.size)
        return ProofFile(index, path, checkpoint.note).encode().encode("utf-8")

    def policy(self) -> bytes:
        """Return what the hub claims of its log: the key and the quorum of witnesses."""
        return f"log {self.log.verifier.encode()}\nquorum none\n".encode()
