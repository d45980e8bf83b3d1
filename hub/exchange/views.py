# SPDX-License-Identifier: Apache-2.0
"""Exchanges as callers see them, and which of them."""

from pydantic import BaseModel

from hub.accounts import Principal, Role
from hub.clock import format_instant
from hub.errors import ExchangeError
from hub.exchange.model import ExchangeRecord
from hub.identifiers import MessageId, is_message_id


class ExchangeView(BaseModel):
    """One exchange as callers see it: no content, only ids, digests and state."""

    id: str
    conversation: str
    sender: str
    recipient: str
    service: str
    state: str
    code: str | None
    received_at: str
    concluded_at: str | None
    attempts: int
    request_sha256: str
    answer_sha256: str | None
    receipt_sha256: str | None


def read_message_id(text: str) -> MessageId:
    """Read a message id, or say that there is no such message."""
    if not is_message_id(text):
        raise ExchangeError("exchange.message_unknown", "not a message id")
    return MessageId(text)


def may_see(caller: Principal, record: ExchangeRecord) -> bool:
    """Say whether a caller may know of an exchange: its parties do, auditors and operators."""
    is_party = caller.subsystem in {record.sender, record.recipient}
    return is_party or sees_all(caller)


def sees_all(caller: Principal) -> bool:
    """Say whether a caller may know of every exchange."""
    return bool({Role.AUDITOR, Role.OPERATOR} & caller.roles)


def view_exchange(record: ExchangeRecord) -> ExchangeView:
    """Show an exchange."""
    return ExchangeView(
        id=record.message_id,
        conversation=record.conversation,
        sender=record.sender,
        recipient=record.recipient,
        service=record.service,
        state=record.state.value,
        code=record.code,
        received_at=format_instant(record.received_at),
        concluded_at=format_instant(record.concluded_at) if record.concluded_at else None,
        attempts=record.attempts,
        request_sha256=record.request_sha256,
        answer_sha256=record.answer_sha256,
        receipt_sha256=record.receipt_sha256,
    )
