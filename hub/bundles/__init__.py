# SPDX-License-Identifier: Apache-2.0
"""Evidence bundles: everything that proves an exchange, in one file for a reader who trusts nobody here.

    model, missing      what is asked for, what is in, what is not and why
    gathering           one exchange: containers, entries, signers
    proofs              one checkpoint for all, and each entry's proof
    trusting            certificates, revocation answers, trust lists
    bundle              the order of it all
    zipstream           the file, given away while it grows
    summary, page       what people read; html and pdf write it
    routes              over HTTP

Source: docs/protocols/evidence-bundle.md.
"""

from hub.bundles.bundle import EvidenceBundles, PreparedBundle
from hub.bundles.gathering import Gatherer
from hub.bundles.missing import Missing, Why
from hub.bundles.model import INDEX_NAME, MOST_MESSAGES, Selection
from hub.bundles.naming import RegisteredNames
from hub.bundles.proofs import LogProofs
from hub.bundles.records import ContainerRecords
from hub.bundles.routes import bundle_routes
from hub.bundles.selecting import Selector
from hub.bundles.trusting import TrustSources

__all__ = [
    "INDEX_NAME",
    "MOST_MESSAGES",
    "ContainerRecords",
    "EvidenceBundles",
    "Gatherer",
    "LogProofs",
    "Missing",
    "PreparedBundle",
    "RegisteredNames",
    "Selection",
    "Selector",
    "TrustSources",
    "Why",
    "bundle_routes",
]
