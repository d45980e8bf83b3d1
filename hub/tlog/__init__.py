# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of a transparency log: what a stranger needs to check its proofs, and no more.

Pure: no database, no network, no clock. The log itself is `hub.messagelog`.

Source: RFC 9162 (tree and proofs); C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-policy,
tlog-proof, tlog-tiles.
"""

from hub.tlog.checkpoints import Checkpoint, SignedCheckpoint
from hub.tlog.cosignatures import LONGEST_NAME, SubtreeStatement, instant_of, timestamp_of
from hub.tlog.entries import Entry, EntryEvent, LoggedEntry, LogPosition, message_id_in
from hub.tlog.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    Frontier,
    Span,
    Subtree,
    consistency_spans,
    fold,
    inclusion_spans,
    leaf_hash,
    node_hash,
    prove,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from hub.tlog.notes import (
    HoldingSignature,
    Note,
    NoteSignature,
    is_note_text,
    open_checkpoint,
    open_note,
)
from hub.tlog.policies import TrustPolicy, WitnessedCheckpoint
from hub.tlog.policytext import NO_WITNESS, PolicyGroup, PolicyLog, PolicyWitness
from hub.tlog.prooffiles import PROOF_FILE_SUFFIX, ProofFile, verify_proof, verify_proof_of_hash
from hub.tlog.signers import Cosigner, NoteSigner
from hub.tlog.spelling import LARGEST_SIZE, read_hash, read_number, write_base64
from hub.tlog.tiles import TILE_WIDTH, Place, Tile, encode_bundle
from hub.tlog.verifierkeys import SignatureType, VerifierKey, is_key_name

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "LARGEST_SIZE",
    "LONGEST_NAME",
    "NO_WITNESS",
    "PROOF_FILE_SUFFIX",
    "TILE_WIDTH",
    "Checkpoint",
    "Cosigner",
    "Entry",
    "EntryEvent",
    "Frontier",
    "HoldingSignature",
    "LogPosition",
    "LoggedEntry",
    "Note",
    "NoteSignature",
    "NoteSigner",
    "Place",
    "PolicyGroup",
    "PolicyLog",
    "PolicyWitness",
    "ProofFile",
    "SignatureType",
    "SignedCheckpoint",
    "Span",
    "Subtree",
    "SubtreeStatement",
    "Tile",
    "TrustPolicy",
    "VerifierKey",
    "WitnessedCheckpoint",
    "consistency_spans",
    "encode_bundle",
    "fold",
    "inclusion_spans",
    "instant_of",
    "is_key_name",
    "is_note_text",
    "leaf_hash",
    "message_id_in",
    "node_hash",
    "open_checkpoint",
    "open_note",
    "prove",
    "read_hash",
    "read_number",
    "root_of",
    "timestamp_of",
    "verify_consistency",
    "verify_inclusion",
    "verify_proof",
    "verify_proof_of_hash",
    "write_base64",
]
