# SPDX-License-Identifier: Apache-2.0
"""Verifying offline what the hub and its departments leave behind; to be read whole by an auditor.

It uses `hub.trust`, `hub.envelope` and the arithmetic of proofs, and nothing else of the hub: no database, no
network. The import rules of the project keep it so.

    verification          which kind of file it is
    containers            an envelope in the canonical form
    foreign_verification  any other ASiC-E container with CAdES
    certificates          the two steps about a signer's certificate
    steps                 steps of which some need others
    rendering             the report, for people and programs
"""

from hub.verifier.foreign import ProofKind, read_manifests, unpack
from hub.verifier.foreign_signature import verify_foreign_cades
from hub.verifier.rendering import ToldStep, render_report, report_to_json, tell_step
from hub.verifier.verification import DocumentVerifier, Verifier, has_header_member, verify_any

__all__ = [
    "DocumentVerifier",
    "ProofKind",
    "ToldStep",
    "Verifier",
    "has_header_member",
    "read_manifests",
    "render_report",
    "report_to_json",
    "tell_step",
    "unpack",
    "verify_any",
    "verify_foreign_cades",
]
