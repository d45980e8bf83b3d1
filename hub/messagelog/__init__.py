# SPDX-License-Identifier: Apache-2.0
"""The message log: what became of every message, in a Merkle tree nobody can rewrite.

Appends are durable before anybody is told; signed checkpoints and proofs let anyone check that an entry is
there and that the log only ever grew.

Its arithmetic is `hub.tlog`.
"""

from hub.messagelog.audit import LogAudit, with_findings
from hub.messagelog.claims import Claim, Source, open_claim
from hub.messagelog.evidencerecords import EvidenceRecords
from hub.messagelog.health import AuditNotes, LastAudit, LogHealth, LogState, WitnessState
from hub.messagelog.health_routes import log_health_routes, view_health
from hub.messagelog.keys import generate_log_key, load_log_key
from hub.messagelog.mirror import Mirror, open_shelf
from hub.messagelog.publication import PublishedLog
from hub.messagelog.publication_routes import published_log_routes
from hub.messagelog.published import PublishedTree
from hub.messagelog.renewing import EvidenceRenewal
from hub.messagelog.rounds import Rounds
from hub.messagelog.routes import stamp_routes
from hub.messagelog.service import MessageLog
from hub.messagelog.stamping import CheckpointStamper
from hub.messagelog.stamps import CheckpointStamp, CheckpointStamps, WaitingCheckpoint
from hub.messagelog.tampering import (
    AuditReport,
    Finding,
    Tampering,
    conclude,
    describe_place,
    finding_as_json,
    report_as_json,
    tampering_kinds,
)
from hub.messagelog.tile_routes import tiled_log_routes
from hub.messagelog.witnessaudit import ask_witness
from hub.messagelog.witnesses import read_witness_policy
from hub.messagelog.witnessing import Witnessing

__all__ = [
    "AuditNotes",
    "AuditReport",
    "CheckpointStamp",
    "CheckpointStamper",
    "CheckpointStamps",
    "Claim",
    "EvidenceRecords",
    "EvidenceRenewal",
    "Finding",
    "LastAudit",
    "LogAudit",
    "LogHealth",
    "LogState",
    "MessageLog",
    "Mirror",
    "PublishedLog",
    "PublishedTree",
    "Rounds",
    "Source",
    "Tampering",
    "WaitingCheckpoint",
    "WitnessState",
    "Witnessing",
    "ask_witness",
    "conclude",
    "describe_place",
    "finding_as_json",
    "generate_log_key",
    "load_log_key",
    "log_health_routes",
    "open_claim",
    "open_shelf",
    "published_log_routes",
    "read_witness_policy",
    "report_as_json",
    "stamp_routes",
    "tampering_kinds",
    "tiled_log_routes",
    "view_health",
    "with_findings",
]
