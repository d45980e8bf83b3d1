# SPDX-License-Identifier: Apache-2.0
"""How the log is: how large, sealed up to where, time-stamped since when, and what is alarming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.portal.pages import Call, Page
from hub.portal.signing_in import KEEPERS

if TYPE_CHECKING:
    from starlette.responses import Response

    from hub.alarms import Alarms
    from hub.messagelog import CheckpointStamps, MessageLog


@dataclass(frozen=True, kw_only=True)
class LogPage:
    """The page about the log itself."""

    log: MessageLog
    stamps: CheckpointStamps
    alarms: Alarms

    def pages(self) -> tuple[Page, ...]:
        """Return the page."""
        return (Page(path="/log", answer=self.show, roles=KEEPERS),)

    def show(self, call: Call) -> Response:
        """Show how the log is."""
        size = self.log.size()
        signed = self.log.last_checkpoint()
        waiting = self.stamps.waiting()
        return call.render(
            "log.html",
            origin=self.log.origin,
            verifier=self.log.verifier.encode(),
            size=size,
            signed=signed,
            stamp=next(iter(self.stamps.last_stamps(1)), None),
            waiting=waiting,
            alarms=self.alarms.alarms(),
        )
