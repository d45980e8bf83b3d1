# SPDX-License-Identifier: Apache-2.0
"""That an entry is in the log, offline: the entry, its proof file, and the policy the reader trusts.

Source: C2SP tlog-proof, tlog-policy; RFC 9162 section 2.1.3.2.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from hub.clock import format_instant
from hub.errors import LogError
from hub.tlog import Entry, ProofFile, leaf_hash, verify_inclusion
from hub.trust import VerificationReport
from hub.verifier.steps import DependentSteps, known

if TYPE_CHECKING:
    from hub.tlog import TrustPolicy, WitnessedCheckpoint

ENTRY = "Log entry"
PROOF = "Proof file"
CHECKPOINT = "Checkpoint, and who witnessed it"
INCLUSION = "The entry is in the log"


def read_text(content: bytes, what: str) -> str:
    """Decode a text file.

    Raises:
        LogError: `log.proof_invalid`.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise LogError("log.proof_invalid", f"{what} is not UTF-8") from exc


def tell_witnesses(found: WitnessedCheckpoint) -> str:
    """Say who cosigned a checkpoint, and when."""
    told = (f"{name} at {format_instant(at)}" if at else name for name, at in found.witnesses.items())
    return ", ".join(told) or "no witness, and the policy asks for none"


def verify_proof_file(
    proof: bytes, leaf: bytes, policy: TrustPolicy | None, *, subject: str
) -> VerificationReport:
    """Verify that an entry is in a log.

    Args:
        proof: the `.tlog-proof` file.
        leaf: the entry's bytes.
        policy: the logs and witnesses the reader trusts; without one the checkpoint is not believed.
        subject: names the proof in the report.
    """
    return _Verification(proof, leaf, policy).report(subject)


class _Verification:
    """One verification; what a step finds, later ones use."""

    def __init__(self, proof: bytes, leaf: bytes, policy: TrustPolicy | None) -> None:
        self._raw = proof
        self._leaf = leaf
        self._policy = policy
        self._proof: ProofFile | None = None
        self._found: WitnessedCheckpoint | None = None
        self._facts: dict[str, str] = {}

    def report(self, subject: str) -> VerificationReport:
        """Carry out every step."""
        steps = DependentSteps()
        steps.run(ENTRY, "log.corrupt", self._read_entry)
        steps.run(PROOF, "log.proof_invalid", self._read_proof)
        steps.run(CHECKPOINT, "log.checkpoint_invalid", self._open_checkpoint, needs=(PROOF,))
        steps.run(INCLUSION, "log.proof_invalid", self._check_inclusion, needs=(CHECKPOINT,))
        return VerificationReport(subject, "log proof", steps.steps, MappingProxyType(self._facts))

    def _read_entry(self) -> str:
        entry = Entry.from_bytes(self._leaf)
        self._facts |= {
            "event": entry.event.value,
            "at": format_instant(entry.at),
            "container_sha256": entry.container_sha256,
            "message": entry.message_id or "not known",
        }
        return f"{entry.event} at {format_instant(entry.at)}: container {entry.container_sha256}"

    def _read_proof(self) -> str:
        self._proof = ProofFile.decode(read_text(self._raw, "the proof"))
        return f"for entry {self._proof.index}, {len(self._proof.path)} hashes up to the root"

    def _open_checkpoint(self) -> str:
        self._found = require_policy(self._policy).open(known(self._proof).checkpoint)
        checkpoint = self._found.checkpoint
        self._facts |= {"log": checkpoint.origin, "size": str(checkpoint.size)}
        return f"{checkpoint.origin} of size {checkpoint.size}; cosigned by {tell_witnesses(self._found)}"

    def _check_inclusion(self) -> str:
        proof, checkpoint = known(self._proof), known(self._found).checkpoint
        verify_inclusion(leaf_hash(self._leaf), proof.index, checkpoint.size, proof.path, checkpoint.root)
        return f"entry {proof.index} of {checkpoint.size}, leaf hash {leaf_hash(self._leaf).hex()}"


def require_policy(policy: TrustPolicy | None) -> TrustPolicy:
    """Return the reader's policy.

    Raises:
        LogError: `log.checkpoint_invalid`: there is none, so no checkpoint can be believed.
    """
    if policy is None:
        raise LogError("log.checkpoint_invalid", "no log policy was given (--log-policy)")
    return policy
