# SPDX-License-Identifier: Apache-2.0
"""What is known of a message after each step of the pipeline, and the states an exchange can be in."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from datetime import datetime

    from hub.contracts import BusinessKey, Contract
    from hub.envelope import Envelope, LargeEnvelope, Signature
    from hub.identifiers import MemberId, MessageId, ServiceId, SubsystemId
    from hub.outbox import Delivery
    from hub.registry import AccessRight, Service
    from hub.trust import ValidatedPath


class ExchangeState(StrEnum):
    """Where an exchange stands."""

    IN_PROGRESS = "in_progress"
    """A process works on it now, and its sender waits."""
    QUEUED = "queued"
    """Accepted, and waiting to be delivered, for the first time or once more."""
    DEFERRED = "deferred"
    """The recipient has it and will answer later."""
    PROCESSED = "processed"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """A container as it came in.

    Attributes:
        raw: byte for byte.
        received_at: UTC, by the hub's clock; of what comes from the outbox, when this attempt began.
        delivery: the row of the outbox it comes from; None for what has just come in.
        connected_as: the member whose connection it came by, where that showed a certificate.
        large: what `raw` announces, where that is the announcement of a container too large for memory.
    """

    raw: bytes
    received_at: datetime
    delivery: Delivery | None = None
    connected_as: MemberId | None = None
    large: LargeEnvelope | None = None


@dataclass(frozen=True, kw_only=True)
class Opened(Arrived):
    """Its structure and digests hold."""

    request: Envelope


@dataclass(frozen=True, kw_only=True)
class Signed(Opened):
    """Its signature holds."""

    signature: Signature


@dataclass(frozen=True, kw_only=True)
class Identified(Signed):
    """Its signer's certificate is believed and speaks for the member named as the sender."""

    path: ValidatedPath


@dataclass(frozen=True, kw_only=True)
class Authorised(Identified):
    """The sender may ask this service for this purpose; of its own, it may tell without a right."""

    service: Service
    right: AccessRight | None


@dataclass(frozen=True, kw_only=True)
class Checked(Authorised):
    """The message keeps to its contract, which says by what it shall be found.

    Attributes:
        recipients: to whom it is delivered: of an event all who are sent it, perhaps nobody.
    """

    contract: Contract
    request_keys: tuple[BusinessKey, ...]
    recipients: tuple[SubsystemId, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Accepted(Checked):
    """It is logged; the receipt says so, and goes with it to the recipient."""

    accepted_receipt: Envelope


@dataclass(frozen=True, kw_only=True)
class Delivered(Accepted):
    """The recipient's gateway has answered with these bytes.

    Attributes:
        answer_raw: the answer's container, or what announces it.
        answer_large: what is announced, when its container was fetched and holds.
    """

    answer_raw: bytes
    answer_large: LargeEnvelope | None = None


@dataclass(frozen=True, kw_only=True)
class Answered(Delivered):
    """The answer is an envelope whose structure, digests and signature hold.

    Attributes:
        expected_by: UTC; when it is a receipt that promises an answer.
    """

    answer: Envelope
    answer_signature: Signature
    answer_keys: tuple[BusinessKey, ...] = ()
    expected_by: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Concluded(Answered):
    """The answer is believed, bound, valid and logged; the final receipt says so."""

    receipt: Envelope


@dataclass(frozen=True, kw_only=True)
class Deferred(Answered):
    """The recipient has it and has promised its answer; the receipt says so."""

    receipt: Envelope


_Next = TypeVar("_Next", bound=Arrived)


def advance(stage: Arrived, to: type[_Next], **learned: Any) -> _Next:
    """Return the next stage: all that `stage` knew, and what has been learned."""
    return to(**{field.name: getattr(stage, field.name) for field in fields(stage)}, **learned)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the sender gets back.

    Attributes:
        container: the response, a fault, or the hub's receipt when the message is in the outbox.
        receipt: the hub's latest receipt; None when the request could not be authenticated.
        code: the error code when `container` is a fault.
        is_queued: whether the message is in the outbox, and will be delivered without anybody waiting.
        message_id: of what is in the outbox.
        large_sha256: of the container that `container` announces, when it is too large to be sent at once.
    """

    container: bytes
    receipt: bytes | None
    code: str | None
    is_queued: bool = False
    message_id: MessageId | None = None
    large_sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExchangeRecord:
    """One exchange as the store keeps it: ids, digests and state."""

    message_id: MessageId
    conversation: MessageId
    sender: SubsystemId
    recipient: SubsystemId
    service: ServiceId
    state: ExchangeState
    code: str | None
    received_at: datetime
    concluded_at: datetime | None
    attempts: int
    request_sha256: str
    answer_sha256: str | None
    receipt_sha256: str | None
