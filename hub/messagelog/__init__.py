# SPDX-License-Identifier: Apache-2.0
"""The message log: what became of every message, in a Merkle tree nobody can rewrite.

Appends are durable before anybody is told; signed checkpoints and proofs let anyone check that an entry is
there and that the log only ever grew.

Its arithmetic is `hub.tlog`.
"""

from hub.messagelog.audit import LogAudit
from hub.messagelog.claims import Claim, Source, open_claim
from hub.messagelog.keys import generate_log_key, load_log_key
from hub.messagelog.mirror import Mirror, open_shelf
from hub.messagelog.published import PublishedTree
from hub.messagelog.routes import stamp_routes
from hub.messagelog.service import MessageLog
from hub.messagelog.stamping import CheckpointStamper
from hub.messagelog.stamps import CheckpointStamp, CheckpointStamps, WaitingCheckpoint
from hub.messagelog.tampering import (
    AuditReport,
    Finding,
    Tampering,
    describe_place,
    finding_as_json,
    tampering_kinds,
)
from hub.messagelog.tile_routes import tiled_log_routes

__all__ = [
    "AuditReport",
    "CheckpointStamp",
    "CheckpointStamper",
    "CheckpointStamps",
    "Claim",
    "Finding",
    "LogAudit",
    "MessageLog",
    "Mirror",
    "PublishedTree",
    "Source",
    "Tampering",
    "WaitingCheckpoint",
    "describe_place",
    "finding_as_json",
    "generate_log_key",
    "load_log_key",
    "open_claim",
    "open_shelf",
    "stamp_routes",
    "tampering_kinds",
    "tiled_log_routes",
]
