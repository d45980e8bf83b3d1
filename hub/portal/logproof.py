# SPDX-License-Identifier: Apache-2.0
"""Where a message stands in the log, and whether that is proven: computed anew each time it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.errors import HubError, LogError
from hub.tlog import verify_inclusion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.identifiers import MessageId
    from hub.messagelog import CheckpointStamp, CheckpointStamps, MessageLog
    from hub.tlog import Checkpoint, LoggedEntry


@dataclass(frozen=True, kw_only=True)
class ProvenEntry:
    """An entry of the log about a message.

    Attributes:
        path: hashes that lead from its leaf to the checkpoint's root; empty while no checkpoint covers it.
        is_covered: whether the checkpoint covers it.
        refusal: why the path does not lead there.
    """

    logged: LoggedEntry
    path: tuple[bytes, ...] = ()
    is_covered: bool = False
    refusal: HubError | None = None

    @property
    def is_proven(self) -> bool:
        """Whether the entry is in the tree that was signed."""
        return self.is_covered and self.refusal is None


@dataclass(frozen=True, kw_only=True)
class LogProof:
    """All entries about a message, and what proves them.

    Attributes:
        entries: oldest first.
        checkpoint: what they are proven against; None when there is none yet.
        stamp: the earliest time stamp that covers all of them; None while there is none.
        refusal: why nothing can be shown, where something is wrong with the log.
    """

    entries: tuple[ProvenEntry, ...] = ()
    checkpoint: Checkpoint | None = None
    stamp: CheckpointStamp | None = None
    refusal: HubError | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every entry is proven to be in the log; without entries nothing is."""
        return bool(self.entries) and all(each.is_proven for each in self.entries)

    @property
    def is_broken(self) -> bool:
        """Whether something is wrong, and not only not there yet."""
        return self.refusal is not None or any(each.refusal is not None for each in self.entries)


def prove_in_log(log: MessageLog, stamps: CheckpointStamps, messages: Iterable[MessageId]) -> LogProof:
    """Look up and prove every entry about some messages."""
    try:
        entries = sorted(
            (entry for each in messages for entry in log.entries_of(each)),
            key=lambda logged: logged.position.index,
        )
        signed = log.last_checkpoint()
        checkpoint = signed.checkpoint if signed else None
        covering = stamps.stamps(entries[-1].position.index + 1, 1) if entries else ()
    except LogError as error:
        return LogProof(refusal=error)
    return LogProof(
        entries=tuple(_prove(log, each, checkpoint) for each in entries),
        checkpoint=checkpoint,
        stamp=covering[0] if covering else None,
    )


def _prove(log: MessageLog, logged: LoggedEntry, checkpoint: Checkpoint | None) -> ProvenEntry:
    position = logged.position
    if checkpoint is None or position.index >= checkpoint.size:
        return ProvenEntry(logged=logged)
    try:
        path = log.inclusion_proof(position.index, checkpoint.size)
        verify_inclusion(position.leaf_hash, position.index, checkpoint.size, path, checkpoint.root)
    except LogError as error:
        return ProvenEntry(logged=logged, is_covered=True, refusal=error)
    return ProvenEntry(logged=logged, path=path, is_covered=True)
