# SPDX-License-Identifier: Apache-2.0
"""What the operator's pages ask of whoever keeps deliveries, as small as the pages need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from hub.identifiers import MessageId, ServiceId, SubsystemId


class DeliveryLike(Protocol):
    """One message's way to one recipient; see `hub.outbox`."""

    @property
    def number(self) -> int:
        """Names it."""

    @property
    def message_id(self) -> MessageId:
        """Of which message."""

    @property
    def recipient(self) -> SubsystemId:
        """To whom."""

    @property
    def service(self) -> ServiceId:
        """Of which service."""

    @property
    def state(self) -> str:
        """Either waiting, claimed, deferred, done, dead or closed."""

    @property
    def due_at(self) -> datetime:
        """When the next try is due, UTC."""

    @property
    def expires_at(self) -> datetime:
        """Until when the message may be delivered, UTC."""

    @property
    def ended_at(self) -> datetime | None:
        """When it ended, UTC."""

    @property
    def code(self) -> str | None:
        """Why the last try failed."""


class AttemptLike(Protocol):
    """One try of a delivery; see `hub.outbox`."""

    @property
    def started_at(self) -> datetime:
        """UTC."""

    @property
    def ended_at(self) -> datetime | None:
        """UTC; None while it lasts."""

    @property
    def code(self) -> str | None:
        """Why it failed; None where it did not."""

    @property
    def detail(self) -> str:
        """The facts, in English."""
