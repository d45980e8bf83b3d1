# SPDX-License-Identifier: Apache-2.0
"""Envelopes that answer another: responses, faults and receipts, bound to the request.

Source: docs/protocols/envelope.md section 3.4 (binding an answer to its question).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hub.envelope.container import seal_envelope
from hub.envelope.model import Header, Kind
from hub.errors import ExchangeError
from hub.identifiers import new_message_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.envelope.model import Envelope, Payload
    from hub.identifiers import SubsystemId
    from hub.trust import SigningKey

REPLY_LIFETIME = timedelta(days=1)


@dataclass(frozen=True)
class Party:
    """Who speaks: a subsystem and the key of its member."""

    subsystem: SubsystemId
    key: SigningKey


def reply_to(
    request: Envelope, kind: Kind, payloads: Sequence[Payload], *, party: Party, now: datetime
) -> Envelope:
    """Make the envelope that answers `request`."""
    asked = request.header
    header = Header(
        id=new_message_id(now),
        kind=kind,
        sender=party.subsystem,
        recipient=asked.sender,
        sent_at=now,
        expires_at=now + REPLY_LIFETIME,
        conversation=asked.conversation,
        service=asked.service,
        contract=asked.contract,
        in_reply_to=request.as_in_reply_to(),
        payload=tuple(payload.describe() for payload in payloads),
    )
    return seal_envelope(header, payloads, party.key)


def fault_about_unreadable(payloads: Sequence[Payload], *, party: Party, now: datetime) -> Envelope:
    """Make the fault about a container whose header could not be read.

    Nobody can be named as its recipient, so it is addressed to its own sender and bound to nothing.
    """
    message_id = new_message_id(now)
    header = Header(
        id=message_id,
        kind=Kind.FAULT,
        sender=party.subsystem,
        recipient=party.subsystem,
        sent_at=now,
        expires_at=now + REPLY_LIFETIME,
        conversation=message_id,
        payload=tuple(payload.describe() for payload in payloads),
    )
    return seal_envelope(header, payloads, party.key)


def require_binding(answer: Envelope, request: Envelope) -> None:
    """Refuse an answer that does not belong to `request`.

    Raises:
        ExchangeError: `exchange.answer_not_bound`, naming the field that differs.
    """
    got, asked = answer.header, request.header
    if got.in_reply_to != request.as_in_reply_to():
        raise ExchangeError("exchange.answer_not_bound", "in_reply_to")
    for name, is_same in (
        ("sender", got.sender == asked.recipient),
        ("recipient", got.recipient == asked.sender),
        ("service", got.service == asked.service),
        ("contract", got.contract == asked.contract),
        ("conversation", got.conversation == asked.conversation),
    ):
        if not is_same:
            raise ExchangeError("exchange.answer_not_bound", name)
