# SPDX-License-Identifier: Apache-2.0
"""Evidence: what a caseworker asks another department for, and the report that verifies what came."""

from hub.evidence.model import EvidenceRequest, RequestState
from hub.evidence.routes import evidence_routes
from hub.evidence.service import EvidenceDesk

__all__ = ["EvidenceDesk", "EvidenceRequest", "RequestState", "evidence_routes"]
