# SPDX-License-Identifier: Apache-2.0
"""The page with one message's path: every step and every try, for whoever keeps messages moving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.errors import error_kinds
from hub.exchange import What
from hub.portal.drawings import draw
from hub.portal.names import Names
from hub.portal.pages import Call, Page
from hub.portal.paths import lane_of, steps_of
from hub.portal.visitors import WATCHERS

if TYPE_CHECKING:
    from starlette.responses import Response

    from hub.clock import Clock
    from hub.exchange import Archive, Readings
    from hub.messagelog import MessageLog
    from hub.outbox import Outbox
    from hub.registry import Registry


@dataclass(frozen=True, kw_only=True)
class PathPages:
    """The page about a message's path."""

    archive: Archive
    log: MessageLog
    deliveries: Outbox
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
