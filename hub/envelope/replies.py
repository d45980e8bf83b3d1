# SPDX-License-Identifier: Apache-2.0
"""Envelopes that answer another: responses, faults and receipts, bound to the request.

Source: docs/protocols/envelope.md section 3.4 (binding an answer to its question).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hub.envelope.announcement import seal_large
from hub.envelope.container import seal_envelope
from hub.envelope.large import FilePayload
from hub.envelope.model import Header, Kind, Payload
from hub.envelope.notices import ReceiptStatus, read_receipt, refer_to
from hub.envelope.secrecy import encrypt_payloads
from hub.errors import EnvelopeError, ExchangeError
from hub.identifiers import new_message_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

    from hub.envelope.model import Envelope
    from hub.envelope.notices import Receipt
    from hub.identifiers import SubsystemId
    from hub.trust import SigningKey

REPLY_LIFETIME = timedelta(days=1)


@dataclass(frozen=True)
class Party:
    """Who speaks: a subsystem and the key of its member."""

    subsystem: SubsystemId
    key: SigningKey


def reply_to(  # noqa: PLR0913 - what a reply is made of, each by its name
    request: Envelope,
    kind: Kind,
    payloads: Sequence[Payload | FilePayload],
    *,
    party: Party,
    now: datetime,
    recipient: SubsystemId | None = None,
    encrypted_to: x509.Certificate | None = None,
) -> Envelope:
    """Make the envelope that answers `request`.

    Args:
        request: a request, or an event.
        kind: response, fault or receipt.
        payloads: in the order of the header's list; where one is a file, the answer is a `LargeEnvelope`.
        party: who answers.
        now: UTC.
        recipient: whom it is for; whoever sent the request by default. The hub's receipt that goes to a
            subscriber with an event is for the subscriber.
        encrypted_to: the asker's certificate, where the payloads are for nobody else.

    Raises:
        EnvelopeError: as `seal_envelope` and `encrypt_payloads`.
    """
    asked = request.header
    header = Header(
        id=new_message_id(now),
        kind=kind,
        sender=party.subsystem,
        recipient=recipient or asked.sender,
        sent_at=now,
        expires_at=now + REPLY_LIFETIME,
        conversation=asked.conversation,
        service=asked.service,
        contract=asked.contract,
        in_reply_to=request.as_in_reply_to(),
    )
    if any(isinstance(each, FilePayload) for each in payloads):
        if encrypted_to is not None:
            raise EnvelopeError("envelope.too_large", "what is encrypted to its recipient travels in memory")
        described = replace(header, payload=tuple(each.describe() for each in payloads))
        return seal_large(described, payloads, party.key)
    whole: Sequence[Payload] = [each for each in payloads if isinstance(each, Payload)]
    if encrypted_to is not None:
        whole = encrypt_payloads(header, whole, encrypted_to)
    header = replace(header, payload=tuple(payload.describe() for payload in whole))
    return seal_envelope(header, whole, party.key)


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


def require_binding(answer: Envelope, request: Envelope, *, answerer: SubsystemId | None = None) -> None:
    """Refuse an answer that does not belong to `request`.

    Args:
        answer: a response, a fault or a department's receipt.
        request: a request, or an event.
        answerer: who has to have sent it; the request's recipient by default. Who answers an event is a
            subscriber, while the event is sent to the hub.

    Raises:
        ExchangeError: `exchange.answer_not_bound`, naming the field that differs.
    """
    got, asked = answer.header, request.header
    if got.in_reply_to != request.as_in_reply_to():
        raise ExchangeError("exchange.answer_not_bound", "in_reply_to")
    for name, is_same in (
        ("sender", got.sender == (answerer or asked.recipient)),
        ("recipient", got.recipient == asked.sender),
        ("service", got.service == asked.service),
        ("contract", got.contract == asked.contract),
        ("conversation", got.conversation == asked.conversation),
    ):
        if not is_same:
            raise ExchangeError("exchange.answer_not_bound", name)


def require_department_receipt(
    envelope: Envelope, request: Envelope, *, answerer: SubsystemId | None = None
) -> Receipt:
    """Return what a department's own receipt says: that it has the message, or has worked on it.

    Whether the department has signed it is a matter of its signature and is checked separately.

    Args:
        envelope: the receipt.
        request: the message it must be about.
        answerer: as in `require_binding`.

    Raises:
        ExchangeError: `exchange.answer_not_bound`: it is about another message, or another department's;
            `exchange.answer_unreadable`: it is no receipt, or says what only the hub can say.
    """
    if envelope.header.kind is not Kind.RECEIPT:
        raise ExchangeError("exchange.answer_unreadable", f"a {envelope.header.kind} is no receipt")
    require_binding(envelope, request, answerer=answerer)
    try:
        receipt = read_receipt(envelope)
    except EnvelopeError as error:
        raise ExchangeError("exchange.answer_unreadable", str(error)) from error
    if receipt.message != refer_to(request):
        raise ExchangeError("exchange.answer_not_bound", "the receipt is about another message")
    if receipt.log is not None:
        raise ExchangeError("exchange.answer_unreadable", "a department's receipt stands in no log")
    if receipt.status is ReceiptStatus.DELIVERED and receipt.expected_by is None:
        raise ExchangeError("exchange.answer_unreadable", "delivered, and no answer is promised")
    return receipt
