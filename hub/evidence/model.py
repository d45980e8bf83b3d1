# SPDX-License-Identifier: Apache-2.0
"""A caseworker's request for evidence, from draft to answer.

What a caseworker enters is a draft: only the gateway of the caseworker's own department, which holds the key,
makes a message of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hub.envelope import Purpose
    from hub.identifiers import ContractId, MessageId, ServiceId, SubsystemId


class RequestState(StrEnum):
    """Where a request for evidence stands."""

    DRAFT = "draft"
    """Waits for the department's gateway."""
    CLAIMED = "claimed"
    """The gateway has fetched it and will sign and send it."""
    SENT = "sent"
    """The hub has accepted the signed message."""
    DELIVERED = "delivered"
    """The answer is here."""
    FAILED = "failed"
    """There is no answer; the code says why."""


@dataclass(frozen=True, kw_only=True)
class EvidenceRequest:
    """One request for evidence.

    Attributes:
        id: also the id of the message it leads to, so that a draft can never become two messages.
        requester: the caseworker, as the account is named.
        code: why there is no answer, when there is none.
        message_id: the message it led to, once the hub has it.
    """

    id: MessageId
    requester: str
    subsystem: SubsystemId
    service: ServiceId
    contract: ContractId
    created_at: datetime
    claimed_at: datetime | None
    state: RequestState
    code: str | None = None
    detail: str | None = None
    message_id: MessageId | None = None


@dataclass(frozen=True)
class Draft:
    """What a gateway makes a message of; kept, encrypted, until it has.

    Attributes:
        request: the request it belongs to.
        data: the question, as the contract's `request.json` says.
        purpose: what for.
    """

    request: EvidenceRequest
    data: Mapping[str, Any]
    purpose: Purpose
