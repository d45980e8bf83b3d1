# SPDX-License-Identifier: Apache-2.0
"""The certificates messages are encrypted to, over HTTP: anybody reads them.

A certificate is public by its nature, and who encrypts believes none because the hub hands it out: it
validates each itself, by the trust list it holds.

Source: docs/protocols/registration.md section 7.
"""

from typing import Any

from fastapi import APIRouter

from hub.clock import Clock, format_instant
from hub.identifiers import MemberId
from hub.registry.certificates import RegisteredCertificate
from hub.registry.service import Registry


def encryption_routes(registry: Registry, clock: Clock) -> APIRouter:
    """Make the route under `/api/v1/encryption-certificates`.

    Args:
        registry: what is shown.
        clock: says which certificates are valid.
    """
    router = APIRouter(prefix="/api/v1/encryption-certificates", tags=["registry"])

    @router.get("/{member}")
    def list_encryption_certificates(member: str) -> dict[str, Any]:
        """List what may be encrypted to for a member now, the certificate with the latest first day first."""
        found = registry.require_active_member(MemberId(member)).id
        entries = registry.encryption_certificates(found, clock.now())
        return {"member": found, "certificates": [_view(entry) for entry in entries]}

    return router


def _view(entry: RegisteredCertificate) -> dict[str, str]:
    return {
        "fingerprint": entry.id,
        "certificate": entry.certificate,
        "valid_from": format_instant(entry.x509.not_valid_before_utc),
        "valid_to": format_instant(entry.x509.not_valid_after_utc),
    }
