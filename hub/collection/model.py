# SPDX-License-Identifier: Apache-2.0
"""What is laid out for a gateway, and what a gateway says that comes for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from datetime import datetime

    from hub.envelope import Envelope
    from hub.identifiers import MessageId, SubsystemId

CollectionNumber = NewType("CollectionNumber", int)
"""Names one attempt to have one message collected; at random, and never used for another."""

COLLECTIONS_PURPOSE = "own-collections"
"""The purpose a poll states."""


class CollectionState(StrEnum):
    """Where an attempt stands."""

    LAID_OUT = "laid_out"
    HANDED_OUT = "handed_out"
    """A gateway was given it; it may have been lost on its way."""
    ANSWERED = "answered"


@dataclass(frozen=True, kw_only=True)
class Laid:
    """A message that lies ready for its recipient's gateway.

    Attributes:
        recipient: whose gateway it is for; of an event the subscriber.
        request_sha256: of the container; its bytes are in the vault.
        receipt: the hub's receipt `accepted` for this attempt, a container.
        state: where it stands.
        answer_sha256: of the gateway's answer, in the vault; None until there is one.
    """

    number: CollectionNumber
    recipient: SubsystemId
    message_id: MessageId
    request_sha256: str
    receipt: bytes
    state: CollectionState
    answer_sha256: str | None


@dataclass(frozen=True, kw_only=True)
class Poll:
    """What a gateway says that comes for messages.

    Attributes:
        message_id: of the signed container that says it; good for one poll.
        subsystems: whose messages it comes for, all of one member.
        held: what it has been handed and still works on.
        wait_seconds: how long it will wait when there is nothing.
        expires_at: UTC; after it nobody takes the same container for a poll again.
    """

    message_id: MessageId
    subsystems: tuple[SubsystemId, ...]
    held: frozenset[CollectionNumber]
    wait_seconds: float
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Handed:
    """A message as a gateway is given it.

    Attributes:
        number: what its answer names.
        request: the message; of a large one what announces it.
        receipt: the hub's receipt, a container.
        ticket: with which a large message's container is fetched; None for one that comes at once.
    """

    number: CollectionNumber
    request: Envelope
    receipt: bytes
    ticket: str | None
