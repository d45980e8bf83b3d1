# SPDX-License-Identifier: Apache-2.0
"""Asking the witnesses whether the log they know is this one.

A witness tells its size to whoever submits a checkpoint with another, and refuses a checkpoint that does not
grow out of what it cosigned. So it shows an older database, and a log rewritten with the stolen key.

Source: C2SP tlog-witness, "add-checkpoint".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.errors import LogError
from hub.messagelog.tampering import Finding, Tampering
from hub.messagelog.witnessclient import OtherSizeError, WitnessClient
from hub.witness import Submission

if TYPE_CHECKING:
    from hub.messagelog.service import MessageLog
    from hub.tlog import PolicyWitness, SignedCheckpoint


def ask_witness(
    log: MessageLog, witness: PolicyWitness, client: WitnessClient | None = None
) -> list[Finding]:
    """Hold the log's last checkpoint to what a witness knows.

    Returns what is wrong. The witness may cosign the checkpoint, as it would for the hub.

    Raises:
        LogError: `log.witness_unreachable`: it could not be asked; `log.corrupt`: the log is too damaged to
            ask it anything.
    """
    last = log.last_checkpoint()
    if last is None:
        return []
    asked = client or WitnessClient(witness)
    try:
        return _compare(log, witness.name, asked, last)
    finally:
        asked.close()


def _compare(log: MessageLog, name: str, client: WitnessClient, last: SignedCheckpoint) -> list[Finding]:
    size, known = last.checkpoint.size, 0
    # The first answer mostly says what it knows, the second what it thinks of the proof.
    for _ in range(3):
        if known > size:
            detail = f"the witness {name} cosigned {known} entries, and {size} were signed here"
            return [_finding(Tampering.ROLLED_BACK, detail, log.size(), log.size(), known)]
        proof = log.consistency_proof(known, size)
        try:
            client.submit(Submission(known, proof, last.note).encode(), last.note)
        except OtherSizeError as other:
            known = other.size
        except LogError as exc:
            if exc.code != "log.witness_disagrees":
                raise
            detail = f"the witness {name} cosigned another tree of {known} entries"
            return [_finding(Tampering.FORKED, detail, 0, max(known - 1, 0), known)]
        else:
            return []
    raise LogError("log.witness_unreachable", "it knows another size whenever it is asked")


def _finding(kind: Tampering, detail: str, first: int, last: int, size: int) -> Finding:
    return Finding(kind=kind, detail=detail, first=first, last=last, size=size)
