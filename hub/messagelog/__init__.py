# SPDX-License-Identifier: Apache-2.0
"""The message log: what became of every message, in a Merkle tree nobody can rewrite.

Appends are durable before anybody is told; signed checkpoints and proofs let anyone check that an entry is
there and that the log only ever grew.

Source: RFC 9162 (tree and proofs), C2SP signed-note, tlog-checkpoint and tlog-tiles.
"""

from hub.messagelog.keys import generate_log_key, load_log_key
from hub.messagelog.merkle import (
    EMPTY_ROOT,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from hub.messagelog.model import Entry, EntryEvent, LoggedEntry, LogPosition
from hub.messagelog.notes import (
    Checkpoint,
    NoteSigner,
    SignedCheckpoint,
    VerifierKey,
    open_checkpoint,
    open_note,
)
from hub.messagelog.published import PublishedTree
from hub.messagelog.routes import stamp_routes
from hub.messagelog.service import MessageLog
from hub.messagelog.stamping import CheckpointStamper
from hub.messagelog.stamps import CheckpointStamp, CheckpointStamps, WaitingCheckpoint
from hub.messagelog.tile_routes import tiled_log_routes

__all__ = [
    "EMPTY_ROOT",
    "Checkpoint",
    "CheckpointStamp",
    "CheckpointStamper",
    "CheckpointStamps",
    "Entry",
    "EntryEvent",
    "LogPosition",
    "LoggedEntry",
    "MessageLog",
    "NoteSigner",
    "PublishedTree",
    "SignedCheckpoint",
    "VerifierKey",
    "WaitingCheckpoint",
    "generate_log_key",
    "leaf_hash",
    "load_log_key",
    "node_hash",
    "open_checkpoint",
    "open_note",
    "root_of",
    "stamp_routes",
    "tiled_log_routes",
    "verify_consistency",
    "verify_inclusion",
]
