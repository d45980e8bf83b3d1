# SPDX-License-Identifier: Apache-2.0
"""What a verification needs beside the file: signers of the session's PKI, and stored revocation answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from hub.envelope import Envelope, Kind, Payload, Purpose, seal_envelope
from hub.identifiers import new_message_id
from hub.trust import OnlineRevocation, Use, Validator
from tests.hub.envelope.signers import REQUEST, header_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.pki import ServedPki

PURPOSE = Purpose(item="000788002000", case="1", legal_basis="x", official="王敏", post="审核岗")


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def store_revocation(pki: ServedPki, labels: Sequence[str], folder: Path) -> Path:
    """Ask the authorities about some signers and keep the answers, as the demonstration does."""
    folder.mkdir(exist_ok=True)
    source = OnlineRevocation()
    validator = Validator(pki.approved(), source)
    for label in labels:
        path = validator.validate(pki.certificates(label), use=Use.ENVELOPE, at=now())
        for number, answer in enumerate(path.revocation):
            (folder / f"{label}-{number}.{answer.kind}").write_bytes(answer.der)
    source.close()
    return folder


def store_crls(pki: ServedPki, label: str, folder: Path) -> Path:
    """Keep the CRLs about a signer's chain, whatever they say about it."""
    folder.mkdir(exist_ok=True)
    source = OnlineRevocation()
    chain = (*pki.certificates(label), *pki.certificates("root"))
    for number, (certificate, issuer) in enumerate(pairwise(chain)):
        for answer in source.crl_answers(certificate, issuer, now()):
            (folder / f"{number}.crl").write_bytes(answer.der)
    source.close()
    return folder


def sealed_request(
    pki: ServedPki,
    label: str = "federation-sign",
    payloads: Sequence[Payload] = (REQUEST,),
    **changes: object,
) -> Envelope:
    """Seal a request of today with a key of the session's PKI."""
    sent_at = changes.pop("sent_at", None) or now()
    assert isinstance(sent_at, datetime)
    message_id = new_message_id(sent_at)
    fields: dict[str, object] = {
        "id": message_id,
        "conversation": message_id,
        "sent_at": sent_at,
        "expires_at": sent_at + timedelta(hours=1),
        "purpose": PURPOSE,
        "kind": Kind.REQUEST,
    }
    return seal_envelope(header_for(payloads, **(fields | changes)), payloads, pki.signer(label))
