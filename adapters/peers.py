# SPDX-License-Identifier: Apache-2.0
"""Believing an envelope from another party: its signature, its certificate, its member."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.envelope import verify_signature
from hub.identifiers import member_of
from hub.trust import Use, refusal

if TYPE_CHECKING:
    from datetime import datetime

    from hub.envelope import Envelope
    from hub.identifiers import MemberId
    from hub.trust import Validator


def require_signed_by(member: MemberId, envelope: Envelope, *, validator: Validator, at: datetime) -> None:
    """Hold an envelope to a signature of `member`, by a certificate that is believed at `at`.

    Raises:
        EnvelopeError: the signature does not hold.
        TrustError: the certificate is not believed, or is another member's.
    """
    signature = verify_signature(envelope, validator.algorithms(Use.ENVELOPE))
    path = validator.validate(signature.chain, use=Use.ENVELOPE, at=at)
    if path.member_id != member or member_of(envelope.header.sender) != member:
        sender = envelope.header.sender
        raise refusal("signed_for_another", path.leaf, at, member=str(path.member_id), sender=sender)
