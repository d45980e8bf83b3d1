# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of a transparency log: what a stranger needs to check its proofs, and no more.

Pure: no database, no network, no clock. The log itself is `hub.messagelog`.

Source: RFC 9162 (tree and proofs); C2SP signed-note, tlog-checkpoint, tlog-tiles.
"""

from hub.tlog.entries import Entry, EntryEvent, LoggedEntry, LogPosition, message_id_in
from hub.tlog.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    Frontier,
    Span,
    Subtree,
    consistency_spans,
    inclusion_spans,
    leaf_hash,
    node_hash,
    prove,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from hub.tlog.notes import (
    Checkpoint,
    NoteSigner,
    SignedCheckpoint,
    VerifierKey,
    open_checkpoint,
    open_note,
)
from hub.tlog.tiles import TILE_WIDTH, Place, Tile, encode_bundle

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "TILE_WIDTH",
    "Checkpoint",
    "Entry",
    "EntryEvent",
    "Frontier",
    "LogPosition",
    "LoggedEntry",
    "NoteSigner",
    "Place",
    "SignedCheckpoint",
    "Span",
    "Subtree",
    "Tile",
    "VerifierKey",
    "consistency_spans",
    "encode_bundle",
    "inclusion_spans",
    "leaf_hash",
    "message_id_in",
    "node_hash",
    "open_checkpoint",
    "open_note",
    "prove",
    "root_of",
    "verify_consistency",
    "verify_inclusion",
]
