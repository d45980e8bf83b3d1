# SPDX-License-Identifier: Apache-2.0
"""How the log is: how large, sealed up to where, time-stamped since when, and what is alarming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.portal.pages import Call, Page
from hub.portal.visitors import KEEPERS

if TYPE_CHECKING:
    from starlette.responses import Response

    from hub.alarms import Alarms
    from hub.messagelog import LogHealth


@dataclass(frozen=True, kw_only=True)
class LogPage:
    """The page about the log itself."""

    health: LogHealth
    alarms: Alarms

    def pages(self) -> tuple[Page, ...]:
        """Return the page."""
        return (Page(path="/log", answer=self.show, roles=KEEPERS),)

    def show(self, call: Call) -> Response:
        """Show how the log is."""
        return call.render("log.html", state=self.health.state(), alarms=self.alarms.alarms())
