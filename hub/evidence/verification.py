# SPDX-License-Identifier: Apache-2.0
"""Verifying a file offline, sealed documents included, as `heliograph verify` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.trust import USE_POLICIES, VerificationReport
from hub.verifier import verify_any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from hub.trust import TrustLists, Use, UsePolicy


def verify_file(
    file: Path | bytes,
    trust_lists: TrustLists,
    revocation: Path | None = None,
    *,
    at: datetime,
    policies: Mapping[Use, UsePolicy] = USE_POLICIES,
) -> VerificationReport:
    """Verify a container or a signed PDF offline; see `hub.verifier.verify_any`."""
    from hub.documents import verify_document  # noqa: PLC0415 - its libraries are large, and few processes read documents

    return verify_any(
        file, trust_lists, revocation, at=at, policies=policies, verify_document=verify_document
    )
