# SPDX-License-Identifier: Apache-2.0
"""Requests about certificates as a department, or an attacker, sends them."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING

import rfc8785
from cryptography.hazmat.primitives.serialization import Encoding

from hub.clock import SystemClock
from hub.demo.preparation import HUB_MEMBER
from hub.envelope import Payload
from hub.exchange import CERTIFICATES_PURPOSE
from hub.identifiers import MemberId, ServiceId, member_of, new_message_id
from hub.registry import fingerprint_of
from hub.trust import prove_possession
from tests.journeys.departments import EMPLOYMENT
from tests.journeys.world import PURPOSE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.envelope import Envelope
    from hub.identifiers import MessageId, SubsystemId
    from hub.trust import SigningKey
    from tests.journeys.world import World

REGISTRATION = ServiceId(f"{HUB_MEMBER}/hub/certificates")
WITHDRAWAL = ServiceId(f"{HUB_MEMBER}/hub/certificate-withdrawals")
_CONTRACTS = {REGISTRATION: "certificate-registration/v1", WITHDRAWAL: "certificate-withdrawal/v1"}
OWN = replace(PURPOSE, item=CERTIFICATES_PURPOSE)


def registration(
    world: World,
    key: SigningKey,
    *,
    signed_by: str = "labour-sign",
    sender: SubsystemId = EMPLOYMENT,
    proof: bytes | None = None,
    member: str | None = None,
    message_id: MessageId | None = None,
) -> Envelope:
    """Ask for the registration of a key's certificate.

    Args:
        proof: instead of the key's own for this message.
        member: whom the proof names, instead of the sender's.
        message_id: what the message is called; the proof names it.
    """
    message_id = message_id or new_message_id(SystemClock().now())
    proof = proof or prove_possession(key, MemberId(member or member_of(sender)), message_id)
    chain = [b64encode(each.public_bytes(Encoding.DER)).decode() for each in key.certificate_chain]
    content: dict[str, object] = {"use": "envelope", "chain": chain, "possession": b64encode(proof).decode()}
    return _asking(world, REGISTRATION, content, signed_by=signed_by, sender=sender, message_id=message_id)


def withdrawal(
    world: World, label: str, *, signed_by: str, sender: SubsystemId = EMPLOYMENT, because: str = "superseded"
) -> Envelope:
    """Ask for the withdrawal of a label's certificate."""
    content = {"certificate_sha256": fingerprint(world, label), "because": because}
    message_id = new_message_id(SystemClock().now())
    return _asking(world, WITHDRAWAL, content, signed_by=signed_by, sender=sender, message_id=message_id)


def _asking(
    world: World,
    service: ServiceId,
    content: Mapping[str, object],
    *,
    signed_by: str,
    sender: SubsystemId,
    message_id: MessageId,
) -> Envelope:
    payload = Payload("request.json", "application/json", rfc8785.dumps(dict(content)))  # type: ignore[arg-type]  # JSON
    return world.request(
        service,
        sender=sender,
        signed_by=signed_by,
        payloads=(payload,),
        id=message_id,
        conversation=message_id,
        purpose=OWN,
        contract=_CONTRACTS[service],
    )


def fingerprint(world: World, label: str) -> str:
    """Return the SHA-256 of a label's certificate."""
    return fingerprint_of(world.pki.certificates(label)[0])
