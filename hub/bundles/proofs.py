# SPDX-License-Identifier: Apache-2.0
"""One checkpoint for all entries of a bundle, and the proofs of each against it.

The newest checkpoint is seldom the best: time stamps and cosignatures come after it. Chosen is the first that
covers every entry and has both; without one the first that is stamped, then the largest that is witnessed.

Source: docs/protocols/evidence-bundle.md section 5; C2SP tlog-proof and tlog-policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.bundles.missing import Missing, Why
from hub.bundles.model import CHECKPOINT_NAME, CHECKPOINT_RECORD_NAME
from hub.errors import LogError

if TYPE_CHECKING:
    from datetime import datetime

    from hub.messagelog import CheckpointStamps, EvidenceRecords, MessageLog, PublishedLog
    from hub.tlog import SignedCheckpoint

_MOST_LOOKED_AT = 100


@dataclass(frozen=True)
class ChosenCheckpoint:
    """The checkpoint all proofs of a bundle are for.

    Attributes:
        signed: with the cosignatures of witnesses.
        plain: the same as it is time-stamped, signed by the log alone.
        record: its evidence record in DER, or None.
        stamped_at: UTC; when an authority first time-stamped it, or None.
        witnesses: the names of those who cosigned it.
        missing: what it lacks.
    """

    signed: SignedCheckpoint
    plain: str
    record: bytes | None
    stamped_at: datetime | None
    witnesses: tuple[str, ...]
    missing: tuple[Missing, ...]

    @property
    def size(self) -> int:
        """How many entries it is about."""
        return self.signed.checkpoint.size


@dataclass(frozen=True, kw_only=True)
class LogProofs:
    """Chooses a checkpoint and proves entries against it.

    Attributes:
        log: signs and proves.
        published: the log as it is shown, with its witnesses.
        stamps: which checkpoints are time-stamped.
        records: their evidence records.
    """

    log: MessageLog
    published: PublishedLog
    stamps: CheckpointStamps
    records: EvidenceRecords

    def choose(self, size: int) -> ChosenCheckpoint:
        """Return a checkpoint of at least `size` entries; one is signed where there is none."""
        stamped = [each.size for each in self.stamps.stamps(size, _MOST_LOOKED_AT)]
        for each in stamped:
            chosen = self._describe(self.published.checkpoint_of(each))
            if not chosen.missing:
                return chosen
        if stamped:
            return self._describe(self.published.checkpoint_of(stamped[0]))
        try:
            return self._describe(self.published.witnessed_checkpoint(size))
        except LogError as exc:
            if exc.code != "log.not_witnessed":
                raise
        return self._describe(self.published.checkpoint_of(self._largest(size)))

    def prove(self, index: int, checkpoint: ChosenCheckpoint) -> bytes:
        """Return the proof file of an entry."""
        return self.published.proof(index, checkpoint.signed).encode().encode("utf-8")

    def policy(self) -> bytes:
        """Return what the hub claims of its log: its key, its witnesses' keys and their quorum."""
        return self.published.policy.encode().encode("utf-8")

    def _largest(self, size: int) -> int:
        last = self.log.last_checkpoint()
        if last is None or last.checkpoint.size < size:
            last = self.log.checkpoint()
        return last.checkpoint.size

    def _describe(self, signed: SignedCheckpoint) -> ChosenCheckpoint:
        missing = []
        size = signed.checkpoint.size
        record, stamped_at = None, None
        try:
            record = self.records.of_checkpoint(size)
            stamped_at = self.stamps.stamp(size).stamped_at
        except LogError as exc:
            if exc.code not in {"log.record_unknown", "log.stamp_unknown"}:
                raise
            missing.append(Missing(CHECKPOINT_RECORD_NAME, Why.STAMP_WAITING))
        try:
            witnesses = tuple(self.published.policy.open(signed.note).witnesses)
        except LogError as exc:
            if exc.code != "log.not_witnessed":
                raise
            witnesses = ()
            missing.append(Missing(f"{CHECKPOINT_NAME}#cosignatures", Why.NOT_WITNESSED))
        plain = self.stamps.checkpoint(size)
        return ChosenCheckpoint(signed, plain, record, stamped_at, witnesses, tuple(missing))
