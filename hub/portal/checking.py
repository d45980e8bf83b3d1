# SPDX-License-Identifier: Apache-2.0
"""How the hub verifies a container for a page: as `heliograph verify` does, by what the hub holds.

That is its trust lists and the revocation answers it kept when the message passed. Nothing is asked of
anybody, so the page says the same whether or not an authority can be reached today.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.envelope import open_envelope, verify_signature
from hub.errors import HubError
from hub.portal.verifications import Verified
from hub.trust import AnswerKind, HeldRevocation
from hub.verifier import verify_any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hub.envelope import Envelope
    from hub.exchange import RevocationAnswers
    from hub.trust import TrustLists, Use, UsePolicy

_PDF = "application/pdf"


@dataclass(frozen=True)
class ContainerCheck:
    """Verifies containers by what the hub holds.

    Attributes:
        policies: what signatures and certificates are held to, as when the message passed.
    """

    trust_lists: TrustLists
    answers: RevocationAnswers
    policies: Mapping[Use, UsePolicy]

    def verify(self, container: bytes, at: datetime) -> Verified:
        """Verify a container and the sealed documents in it, as of an instant (UTC)."""
        from hub.documents import verify_document  # noqa: PLC0415 - its libraries are large, and few processes read documents

        try:
            envelope = open_envelope(container)
        except HubError:
            # The report says what is wrong with it.
            envelope = None
        report = verify_any(
            container,
            self.trust_lists,
            self._revocation(envelope),
            at=at,
            policies=self.policies,
            verify_document=verify_document,
        )
        entries = envelope.header.payload if envelope else ()
        documents = tuple(
            verify_document(envelope.payloads[each.name], self.trust_lists, at=at, subject=each.name)
            for each in entries
            if envelope and each.media_type == _PDF
        )
        return Verified(report=report, documents=documents, at=at)

    def _revocation(self, envelope: Envelope | None) -> HeldRevocation | None:
        try:
            signature = verify_signature(envelope) if envelope else None
        except HubError:
            # Without a signature that holds there is nobody to ask about.
            signature = None
        if signature is None:
            return None
        kept = self.answers.of(signature.chain[0], signature.signed_at)
        return HeldRevocation(
            [each.der for each in kept if each.kind is AnswerKind.OCSP],
            [each.der for each in kept if each.kind is AnswerKind.CRL],
        )
