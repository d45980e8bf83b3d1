# SPDX-License-Identifier: Apache-2.0
"""Where a message stands in the log, and whether that is proven: computed anew each time it is shown.

The proofs are those anybody gets (`GET /log/entries/{index}/proof`), checked as anybody would, but by the
log's own word on its key and its witnesses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hub.errors import HubError, LogError
from hub.tlog import NO_WITNESS, TrustPolicy, verify_proof

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from hub.identifiers import MessageId
    from hub.messagelog import CheckpointStamp, CheckpointStamps, MessageLog, PublishedLog
    from hub.tlog import Checkpoint, LoggedEntry, WitnessedCheckpoint

_NOT_COVERED = "log.entry_unknown"


@dataclass(frozen=True, kw_only=True)
class ProvenEntry:
    """An entry of the log about a message.

    Attributes:
        against: the checkpoint it is proven against; None when none covers it yet, or the proof fails.
        refusal: why the proof fails.
    """

    logged: LoggedEntry
    against: WitnessedCheckpoint | None = None
    refusal: HubError | None = None

    @property
    def is_proven(self) -> bool:
        """Whether the entry is in a tree that was signed."""
        return self.against is not None


@dataclass(frozen=True, kw_only=True)
class LogProof:
    """All entries about a message, and what proves them.

    Attributes:
        entries: oldest first.
        stamp: the earliest time stamp that covers all of them; None while there is none.
        has_witnesses: whether the log asks witnesses to countersign at all.
        is_witnessed: whether enough of them countersigned a checkpoint that covers all entries.
        refusal: why nothing can be shown, where something is wrong with the log.
    """

    entries: tuple[ProvenEntry, ...] = ()
    stamp: CheckpointStamp | None = None
    has_witnesses: bool = False
    is_witnessed: bool = False
    refusal: HubError | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every entry is proven to be in the log; without entries nothing is."""
        return bool(self.entries) and all(each.is_proven for each in self.entries)

    @property
    def is_broken(self) -> bool:
        """Whether something is wrong, and not only not there yet."""
        return self.refusal is not None or any(each.refusal is not None for each in self.entries)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """What the last entry is proven against; it covers the others too."""
        against = self.entries[-1].against if self.entries else None
        return against.checkpoint if against else None

    @property
    def witnesses(self) -> Mapping[str, datetime | None]:
        """Who countersigned that checkpoint, and when by their clocks."""
        against = self.entries[-1].against if self.entries else None
        return against.witnesses if against else {}


@dataclass(frozen=True, kw_only=True)
class LogProver:
    """Looks up and proves entries."""

    log: MessageLog
    published: PublishedLog
    stamps: CheckpointStamps
    _anybody: TrustPolicy = field(init=False)

    def __post_init__(self) -> None:
        claimed = self.published.policy
        # Whether enough witnesses countersigned is shown by itself, and does not make a proof fail.
        lenient = TrustPolicy(claimed.logs, claimed.witnesses, NO_WITNESS, claimed.groups)
        object.__setattr__(self, "_anybody", lenient)

    def prove(self, messages: Iterable[MessageId]) -> LogProof:
        """Return every entry about some messages, with what proves them."""
        try:
            entries = sorted(
                (entry for each in messages for entry in self.log.entries_of(each)),
                key=lambda logged: logged.position.index,
            )
            covering = self.stamps.stamps(entries[-1].position.index + 1, 1) if entries else ()
        except LogError as error:
            return LogProof(refusal=error)
        proven = tuple(self._prove(each) for each in entries)
        last = proven[-1].against if proven else None
        policy = self.published.policy
        has_witnesses = policy.quorum != NO_WITNESS
        return LogProof(
            entries=proven,
            stamp=covering[0] if covering else None,
            has_witnesses=has_witnesses,
            is_witnessed=has_witnesses and last is not None and policy.is_met_by(last.witnesses),
        )

    def _prove(self, logged: LoggedEntry) -> ProvenEntry:
        try:
            proof = self.published.proof(logged.position.index)
            against = verify_proof(proof, logged.entry.to_bytes(), self._anybody)
        except LogError as error:
            is_wrong = error.code != _NOT_COVERED
            return ProvenEntry(logged=logged, refusal=error if is_wrong else None)
        return ProvenEntry(logged=logged, against=against)
