# SPDX-License-Identifier: Apache-2.0
"""Registered certificates over HTTP: every caller may look, administrators register and retire."""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from hub.accounts import Principal, Role
from hub.clock import format_instant
from hub.errors import RegistryError
from hub.identifiers import MemberId
from hub.registry.certificates import LONGEST_REASON, fingerprint_of, read_certificate
from hub.registry.desk import CertificateDesk, Registration
from hub.trust import Use

_MOST_CERTIFICATES = 6


class CertificateToRegister(BaseModel):
    """A certificate and whom it shall speak for.

    Attributes:
        chain: DER in base64, the certificate first, then its issuers without the root.
    """

    model_config = ConfigDict(extra="forbid")

    member: str
    use: Use = Use.ENVELOPE
    chain: Annotated[list[str], Field(min_length=1, max_length=_MOST_CERTIFICATES)]


def certificate_routes(desk: CertificateDesk, authenticate: Callable[..., Principal]) -> APIRouter:
    """Make the routes under `/api/v1/certificates`.

    Args:
        desk: registers and retires.
        authenticate: the dependency that gives a route its caller, `hub.accounts.authenticated`.
    """
    router = APIRouter(prefix="/api/v1/certificates", tags=["registry"])

    def administrator(principal: Annotated[Principal, Depends(authenticate)]) -> Principal:
        principal.require(Role.ADMINISTRATOR)
        return principal

    @router.get("", dependencies=[Depends(authenticate)])
    def list_certificates(member: Annotated[str | None, Query()] = None) -> list[dict[str, Any]]:
        """List the registered certificates, or those of one member; retired ones too."""
        found = desk.registrations(None if member is None else MemberId(member))
        return [view_registration(each) for each in found]

    @router.get("/{fingerprint}", dependencies=[Depends(authenticate)])
    def show_certificate(fingerprint: str) -> dict[str, Any]:
        """Show a registered certificate."""
        return view_registration(desk.registration(fingerprint))

    @router.put("/{fingerprint}", status_code=201)
    def register_certificate(
        fingerprint: str,
        principal: Annotated[Principal, Depends(administrator)],
        wanted: CertificateToRegister,
    ) -> dict[str, Any]:
        """Register a certificate; from a member's first one on, only its registered ones count."""
        chain = [read_certificate(text, f"chain.{place}") for place, text in enumerate(wanted.chain)]
        if fingerprint_of(chain[0]) != fingerprint:
            raise RegistryError("registry.entry_invalid", "chain.0: not the certificate in the address")
        made = desk.register(chain, MemberId(wanted.member), wanted.use, by=principal.subject)
        return view_registration(made)

    @router.delete("/{fingerprint}")
    def retire_certificate(
        fingerprint: str,
        principal: Annotated[Principal, Depends(administrator)],
        because: Annotated[
            str, Query(min_length=1, max_length=LONGEST_REASON)
        ] = "retired by an administrator",
    ) -> dict[str, Any]:
        """Retire a certificate: from now on nothing signed with it is accepted. It does not come back."""
        return view_registration(desk.retire(fingerprint, because, by=principal.subject))

    return router


def view_registration(registration: Registration) -> dict[str, Any]:
    """Return what callers see of a registered certificate."""
    entry, certificate = registration.entry, registration.entry.x509
    retired_at = registration.retired_at
    return {
        "fingerprint": entry.id,
        "member": entry.member,
        "use": entry.use.value,
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial": f"{certificate.serial_number:x}",
        "valid_from": format_instant(certificate.not_valid_before_utc),
        "valid_to": format_instant(certificate.not_valid_after_utc),
        "certificate": entry.certificate,
        "registered_at": format_instant(registration.registered_at),
        "registered_by": registration.registered_by,
        "retired_at": None if retired_at is None else format_instant(retired_at),
        "retired_because": entry.retired_because,
    }
