# SPDX-License-Identifier: Apache-2.0
"""Proof that whoever has a certificate registered holds its private key.

Without it a member could have another's certificate, or anybody's it found in a log, entered as its own.

Source: RFC 4211 section 4.1 (proof of possession of a signature key); PR-REG section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes

from hub.canonical import encode_canonical
from hub.trust.algorithms import ANY_ALGORITHM, algorithms_of, is_signature_valid, public_key_of
from hub.trust.refusals import refusal

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from hub.identifiers import MemberId, MessageId
    from hub.trust.ports import SigningKey

_FORMAT = "heliograph-possession/1"


def prove_possession(key: SigningKey, member: MemberId, message: MessageId) -> bytes:
    """Sign, with the new key, that it is `member`'s and that `message` asks for its registration."""
    return key.sign(_statement(key.certificate_chain[0], member, message))


def require_possession(
    certificate: x509.Certificate, proof: bytes, *, member: MemberId, message: MessageId, at: datetime
) -> None:
    """Refuse a certificate whose key has not signed for this member and this message.

    Raises:
        TrustError: `trust.possession_unproven`.
    """
    # Whether the key may sign envelopes is the policy's matter; here it only has to be held.
    key = public_key_of(certificate)
    algorithm = next(iter(algorithms_of(certificate, ANY_ALGORITHM)), None)
    if key is None or algorithm is None:
        raise refusal("possession_unproven", certificate, at, why="the key has no allowed algorithm")
    if not is_signature_valid(key, algorithm, proof, _statement(certificate, member, message)):
        raise refusal(
            "possession_unproven",
            certificate,
            at,
            why="it is not the new key's signature for this member and message",
        )


def _statement(certificate: x509.Certificate, member: MemberId, message: MessageId) -> bytes:
    """Write what is signed; the message's id keeps the proof from being used a second time."""
    return encode_canonical(
        {
            "certificate_sha256": certificate.fingerprint(hashes.SHA256()).hex(),
            "format": _FORMAT,
            "member": member,
            "message": message,
        }
    )
