# SPDX-License-Identifier: Apache-2.0
"""Which logs and witnesses are trusted, and how many witnesses make a checkpoint believed.

Source: C2SP tlog-policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from hub.errors import LogError
from hub.tlog.checkpoints import Checkpoint
from hub.tlog.cosignatures import instant_of
from hub.tlog.notes import Note
from hub.tlog.policytext import (
    NO_WITNESS,
    PolicyGroup,
    PolicyLog,
    PolicyText,
    PolicyWitness,
    read_policy,
    write_policy,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from hub.tlog.verifierkeys import VerifierKey


@dataclass(frozen=True)
class WitnessedCheckpoint:
    """A checkpoint that a policy believes.

    Attributes:
        checkpoint: what the log states. Its extension lines may be covered by no signature.
        note: as it was given.
        witnesses: who cosigned, by the names the policy gives them, and when each says to have seen it; None
            where an ML-DSA-44 cosigner states no time.
    """

    checkpoint: Checkpoint
    note: str
    witnesses: Mapping[str, datetime | None]


@dataclass(frozen=True)
class TrustPolicy:
    """A policy: a checkpoint is believed that any one of the logs signed and the quorum cosigned.

    Attributes:
        logs: none when they are known from elsewhere.
        witnesses: all that are known; who is in no group counts for nothing.
        quorum: name of a witness or group, or `none`.
        groups: each after its members.
    """

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    quorum: str
    groups: tuple[PolicyGroup, ...] = ()

    @classmethod
    def decode(cls, text: str | bytes) -> TrustPolicy:
        """Read a policy file.

        Raises:
            LogError: `log.policy_invalid` names the line.
        """
        read = read_policy(text)
        return cls(read.logs, read.witnesses, read.quorum, read.groups)

    def encode(self) -> str:
        """Write the policy as a file's text."""
        return write_policy(PolicyText(self.logs, self.witnesses, self.groups, self.quorum))

    def is_met_by(self, cosigners: Collection[str]) -> bool:
        """Say whether these witnesses, given by their names in the policy, make a quorum."""
        if self.quorum == NO_WITNESS:
            return True
        met = {witness.name for witness in self.witnesses if witness.name in cosigners}
        for group in self.groups:
            # Members stand before their group, so one pass settles all of them.
            if sum(member in met for member in group.members) >= group.threshold:
                met.add(group.name)
        return self.quorum in met

    def fewest_cosigners(self) -> int:
        """Return how many witnesses the smallest quorum has."""
        fewest = {witness.name: 1 for witness in self.witnesses}
        for group in self.groups:
            fewest[group.name] = sum(sorted(fewest[member] for member in group.members)[: group.threshold])
        return fewest.get(self.quorum, 0)

    def open(self, note: str, logs: Sequence[VerifierKey] = ()) -> WitnessedCheckpoint:
        """Check a signed checkpoint.

        Args:
            note: the checkpoint with its signatures and cosignatures.
            logs: keys of logs known from elsewhere, beside the policy's own.

        Raises:
            LogError: `log.checkpoint_invalid`: no log of the policy signed it, or a signature of a known key
                does not hold; `log.not_witnessed`: too few of its witnesses cosigned it.
        """
        opened = Note.decode(note)
        log_keys = (*(log.key for log in self.logs), *logs)
        by_key = {(each.key.name, each.key.key_id): each.name for each in self.witnesses}
        holding = opened.verify((*log_keys, *(witness.key for witness in self.witnesses)))
        checkpoint = Checkpoint.from_text(opened.text)
        checkpoint.require_root()
        signed_by = {(each.key.name, each.key.key_id) for each in holding}
        # A log's key name is its origin, so a log cannot speak for another one of the policy.
        if not any((key.name, key.key_id) in signed_by and key.name == checkpoint.origin for key in log_keys):
            raise LogError("log.checkpoint_invalid", "no log of the policy signed the checkpoint")
        witnesses: dict[str, datetime | None] = {}
        for each in holding:
            name = by_key.get((each.key.name, each.key.key_id))
            if name is not None and name not in witnesses:
                witnesses[name] = None if each.timestamp is None else instant_of(each.timestamp)
        if not self.is_met_by(witnesses):
            detail = f"cosigned by {', '.join(witnesses) or 'nobody'}; the quorum is {self.quorum}"
            raise LogError("log.not_witnessed", detail)
        return WitnessedCheckpoint(checkpoint, note, MappingProxyType(witnesses))
