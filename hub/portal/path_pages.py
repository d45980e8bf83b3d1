# SPDX-License-Identifier: Apache-2.0
"""The page with one message's path: every step and every try, for whoever keeps messages moving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hub.errors import error_kinds
from hub.exchange import What
from hub.portal.drawings import draw
from hub.portal.names import Names
from hub.portal.pages import Call, Page
from hub.portal.paths import lane_of, steps_of
from hub.portal.visitors import WATCHERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from hub.clock import Clock
    from hub.exchange import Archive, Readings
    from hub.identifiers import MessageId
    from hub.messagelog import MessageLog
    from hub.portal.ports import AttemptLike, DeliveryLike
    from hub.registry import Registry


class Deliveries(Protocol):
    """What the outbox tells of a message."""

    def of_message(self, message_id: MessageId) -> Sequence[DeliveryLike]:
        """Return its deliveries, one for each recipient."""

    def attempts_of(self, number: int) -> Sequence[AttemptLike]:
        """Return the tries of a delivery, oldest first."""


class NoDeliveries:
    """An outbox that has nothing."""

    def of_message(self, message_id: MessageId) -> Sequence[DeliveryLike]:
        """Return none."""
        del message_id
        return ()

    def attempts_of(self, number: int) -> Sequence[AttemptLike]:
        """Return none."""
        del number
        return ()


@dataclass(frozen=True, kw_only=True)
class PathPages:
    """The page about a message's path."""

    archive: Archive
    log: MessageLog
    deliveries: Deliveries
    registry: Registry
    readings: Readings
    clock: Clock

    def pages(self) -> tuple[Page, ...]:
        """Return the page."""
        return (Page(path="/messages/{message_id}/path", answer=self.show, roles=WATCHERS),)

    def show(self, call: Call) -> Response:
        """Show where a message went, once it is written down that somebody looks."""
        message_id, now = call.message_id, self.clock.now()
        record = self.archive.exchange(message_id)
        lanes = tuple(
            lane_of(each, self.deliveries.attempts_of(each.number), now)
            for each in self.deliveries.of_message(message_id)
        )
        entries = [(each.position.index, each.entry) for each in self.log.entries_of(message_id)]
        self.readings.record(call.signed_in.principal, What.PATH, [message_id], at=now)
        return call.render(
            "path.html",
            record=record,
            lanes=[(each, draw(each)) for each in lanes],
            steps=steps_of(record, entries, lanes),
            names=Names(self.registry.snapshot),
            kinds=error_kinds(),
            now=now,
        )
