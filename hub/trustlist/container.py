# SPDX-License-Identifier: Apache-2.0
"""One version of the trust list in its container: signed by its operator, opened and checked. Pure.

Whether the signer may sign this version is for `rules` to say.

Source: docs/protocols/trust-list.md sections 3 and 5.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes

from hub.clock import format_instant
from hub.envelope import Header, Kind, Limits, Payload, open_envelope, seal_envelope, verify_signature
from hub.errors import EnvelopeError
from hub.identifiers import new_message_id
from hub.trust import Bilingual, TrustList, refusal
from hub.trustlist.document import TrustListDocument, decode_document, encode_document

if TYPE_CHECKING:
    from cryptography import x509

    from hub.identifiers import SubsystemId
    from hub.trust import SigningKey

PAYLOAD_NAME = "trust-list.json"
MEDIA_TYPE = "application/json"
MOST_BYTES = 8 * 1024 * 1024

_LIMITS = Limits(container_bytes=MOST_BYTES, members=5)


@dataclass(frozen=True, eq=False)
class SignedTrustList:
    """One version whose signature holds.

    Attributes:
        raw: the container, byte for byte.
        sha256: of the container, hexadecimal; what the next version names.
        operator: the subsystem that publishes the list.
        signer: the certificate whose key signed it.
        trust_list: what it says; always the same object.
    """

    raw: bytes
    sha256: str
    operator: SubsystemId
    signer: x509.Certificate
    document: TrustListDocument
    trust_list: TrustList

    @property
    def sequence(self) -> int:
        """Number of the version."""
        return self.document.sequence


def sign_trust_list(document: TrustListDocument, operator: SubsystemId, key: SigningKey) -> SignedTrustList:
    """Put a version in its container and sign it.

    Args:
        document: complete.
        operator: the subsystem that publishes the list; sender and recipient alike.
        key: whose certificate the previous version names, or for the first one everybody pins.

    Raises:
        EnvelopeError: the key's algorithm is not allowed, or the container would be too large.
    """
    payload = Payload(PAYLOAD_NAME, MEDIA_TYPE, encode_document(document))
    message_id = new_message_id(document.issued_at)
    header = Header(
        id=message_id,
        kind=Kind.EVENT,
        sender=operator,
        recipient=operator,
        sent_at=document.issued_at,
        expires_at=document.next_update,
        conversation=message_id,
        payload=(payload.describe(),),
    )
    return open_trust_list(seal_envelope(header, (payload,), key).raw)


def open_trust_list(raw: bytes) -> SignedTrustList:
    """Open one version: its container, its signature and its document hold, and fit each other.

    Raises:
        TrustError: `trust.trust_list_invalid`, naming what does not hold.
    """
    try:
        envelope = open_envelope(raw, _LIMITS)
        signature = verify_signature(envelope)
    except EnvelopeError as exc:
        raise refusal("list_container_broken", problem=f"{exc.code}: {exc.detail}") from exc
    header = envelope.header
    if list(envelope.payloads) != [PAYLOAD_NAME] or header.payload[0].media_type != MEDIA_TYPE:
        raise refusal(
            "list_container_broken",
            problem=Bilingual(f"it does not hold {PAYLOAD_NAME} alone", f"容器内不是只有{PAYLOAD_NAME}"),
        )
    document = decode_document(envelope.payloads[PAYLOAD_NAME])
    _check_header(header, document)
    return SignedTrustList(
        raw=raw,
        sha256=hashlib.sha256(raw).hexdigest(),
        operator=header.sender,
        signer=signature.chain[0],
        document=document,
        trust_list=document.to_trust_list(),
    )


def describe_version(version: SignedTrustList) -> dict[str, Any]:
    """Return what is shown of a version in a list of versions."""
    document = version.document
    return {
        "sequence": version.sequence,
        "sha256": version.sha256,
        "previous_sha256": document.previous_sha256,
        "name": document.name.model_dump(),
        "operator": version.operator,
        "signer_sha256": version.signer.fingerprint(hashes.SHA256()).hex(),
        "issued_at": format_instant(document.issued_at),
        "next_update": format_instant(document.next_update),
        "authorities": len(document.authorities),
    }


def _check_header(header: Header, document: TrustListDocument) -> None:
    """The header says of the version only what the document says too."""
    for name, is_right in (
        ("kind", header.kind is Kind.EVENT),
        ("recipient", header.recipient == header.sender),
        ("conversation", header.conversation == header.id),
        ("sent_at", header.sent_at == document.issued_at),
        ("expires_at", header.expires_at == document.next_update),
        ("service", header.service is None and header.contract is None),
        ("in_reply_to", header.in_reply_to is None),
        ("purpose", header.purpose is None),
    ):
        if not is_right:
            raise refusal(
                "list_container_broken",
                problem=Bilingual(
                    f"{name} in the header is not that of a trust list", f"报文头的{name}不是信任列表应有的"
                ),
            )
