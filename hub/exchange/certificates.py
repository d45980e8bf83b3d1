# SPDX-License-Identifier: Apache-2.0
"""Members register their next certificate, and withdraw an old one, by a message signed with one that counts.

Source: docs/protocols/registration.md sections 4 and 5.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.clock import format_instant
from hub.envelope import verify_signature
from hub.errors import RegistryError
from hub.exchange.own import own_right, own_service
from hub.identifiers import member_of
from hub.registry import (
    RegisteredCertificate,
    Title,
    fingerprint_of,
    read_certificate,
)
from hub.trust import Use, require_possession

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.clock import Clock
    from hub.envelope import Envelope
    from hub.identifiers import ServiceId, SubsystemId
    from hub.registry import AccessRight, CertificateDesk, Service

CERTIFICATES_PURPOSE = "own-certificates"
"""The purpose a request about the sender's own certificates states."""


def _right(service: ServiceId, consumer: SubsystemId) -> AccessRight:
    return own_right(service, consumer, CERTIFICATES_PURPOSE, "PR-REG 1")


@dataclass(frozen=True)
class RegistrationService:
    """`<hub>/hub/certificates`: registers the sender's next certificate."""

    desk: CertificateDesk
    hub: SubsystemId
    clock: Clock

    @property
    def service(self) -> Service:
        """What it is called."""
        titles = Title(zh="证书登记", en="Certificate registration")
        return own_service(self.hub, "certificates", "certificate-registration/v1", titles)

    def right_of(self, consumer: SubsystemId) -> AccessRight:
        """Every member may register certificates of its own; `answer` sees to it that they are."""
        return _right(self.service.id, consumer)

    def answer(self, request: Envelope) -> Mapping[str, Any]:
        """Register the certificate in `request.json`; for a registered one, say since when it is.

        Raises:
            TrustError: the certificate is not believed, is another member's, its key is, or it is not proven
                that the sender holds the key.
            RegistryError: it was retired before.
        """
        header = request.header
        asked = _read(request)
        chain = [read_certificate(text, f"chain[{place}]") for place, text in enumerate(asked["chain"])]
        member = member_of(header.sender)
        try:
            proof = b64decode(asked["possession"], validate=True)
        except binascii.Error as exc:
            raise RegistryError("registry.entry_invalid", "possession: not base64") from exc
        require_possession(chain[0], proof, member=member, message=header.id, at=self.clock.now())
        made = self.desk.register_for_signer(
            chain,
            verify_signature(request).chain[0],
            member,
            Use(asked["use"]),
            by=f"message {header.id}",
        )
        certificate = made.entry.x509
        return {
            "certificate_sha256": made.entry.id,
            "use": made.entry.use.value,
            "registered_at": format_instant(made.registered_at),
            "valid_from": format_instant(certificate.not_valid_before_utc),
            "valid_to": format_instant(certificate.not_valid_after_utc),
        }


@dataclass(frozen=True)
class WithdrawalService:
    """`<hub>/hub/certificate-withdrawals`: retires a certificate of the sender's member."""

    desk: CertificateDesk
    hub: SubsystemId

    @property
    def service(self) -> Service:
        """What it is called."""
        titles = Title(zh="证书停用", en="Certificate withdrawal")
        return own_service(self.hub, "certificate-withdrawals", "certificate-withdrawal/v1", titles)

    def right_of(self, consumer: SubsystemId) -> AccessRight:
        """Every member may withdraw certificates of its own; `answer` sees to it that they are."""
        return _right(self.service.id, consumer)

    def answer(self, request: Envelope) -> Mapping[str, Any]:
        """Retire the certificate named in `request.json`.

        A certificate does not withdraw itself: the one that signs stays, so no member withdraws its last.

        Raises:
            RegistryError: `registry.certificate_unknown`, the member has registered no such certificate;
                `registry.entry_in_use`, it signed this very request.
        """
        header = request.header
        asked = _read(request)
        fingerprint = str(asked["certificate_sha256"])
        entry = self.desk.registry.require_entry(RegisteredCertificate, fingerprint)
        if entry.member != member_of(header.sender):
            raise RegistryError("registry.certificate_unknown", fingerprint)
        if fingerprint == fingerprint_of(verify_signature(request).chain[0]):
            raise RegistryError("registry.entry_in_use", "the certificate to withdraw signed the request")
        made = self.desk.retire(fingerprint, str(asked["because"]), by=f"message {header.id}")
        if made.retired_at is None:
            raise TypeError("what was retired has an instant")
        return {"certificate_sha256": made.entry.id, "retired_at": format_instant(made.retired_at)}


def _read(request: Envelope) -> dict[str, Any]:
    """Read a request that has been held to its contract."""
    asked: dict[str, Any] = json.loads(request.payloads["request.json"])
    return asked
