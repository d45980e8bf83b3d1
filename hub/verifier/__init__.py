# SPDX-License-Identifier: Apache-2.0
"""Verifying offline what the hub and its departments leave behind; to be read whole by an auditor.

It uses `hub.trust`, `hub.envelope`, `hub.preservation` and `hub.tlog`, and nothing else of the hub: no
database, no network. The import rules of the project keep it so. What each step shows, and what it cannot, is
in docs/verifier.md; their names and clauses are in `steps.toml`. Reading order:

    steps                 steps of which some need others
    certificates          the two steps about a signer's certificate
    containers            an envelope in the canonical form, and its evidence record
    entries               that an entry is in the log
    bundles               an evidence bundle: one page, the pipeline
    exchanges             one exchange of it: containers, receipt, log, proofs
    bundleindex           what its index claims
    bundlezip             its ZIP, every byte
    rendering             the report, for people and programs
    verification          which kind of file it is

Containers of other producers have nothing to do with the hub's own evidence, and can be read last, or not at
all: `foreign`, `foreign_signature`, `foreign_profiles`, `foreign_verification`.
"""

from hub.verifier.bundles import Reader, TrustListReader, verify_bundle
from hub.verifier.entries import verify_proof_file
from hub.verifier.foreign import ProofKind, read_manifests, unpack
from hub.verifier.foreign_signature import verify_foreign_cades
from hub.verifier.rendering import ToldStep, render_report, report_to_json, tell_step
from hub.verifier.verification import DocumentVerifier, Verifier, has_header_member, is_bundle, verify_any

__all__ = [
    "DocumentVerifier",
    "ProofKind",
    "Reader",
    "ToldStep",
    "TrustListReader",
    "Verifier",
    "has_header_member",
    "is_bundle",
    "read_manifests",
    "render_report",
    "report_to_json",
    "tell_step",
    "unpack",
    "verify_any",
    "verify_bundle",
    "verify_foreign_cades",
    "verify_proof_file",
]
