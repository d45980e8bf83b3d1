# SPDX-License-Identifier: Apache-2.0
"""Deferred answers: the legacy system is looked at again, and what it has ready goes to the hub unasked.

A gateway that promised an answer is asked for it by the hub when it was promised for. Mostly it is there
earlier.

Source: docs/protocols/exchange.md section 12.2.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from hub.envelope import open_envelope
from hub.errors import HubError

if TYPE_CHECKING:
    from adapters.gateway import Gateway
    from adapters.hubclient import HubClient
    from adapters.inbox import Owed

_LOOK_SECONDS = 1.0
_PAUSE = timedelta(seconds=10)
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class DeferralRunner:
    """Looks after what one gateway has promised, until it is stopped.

    Attributes:
        client: tells the hub; whose subsystem it is does not matter, since an answer is signed already.
    """

    gateway: Gateway
    client: HubClient
    look_seconds: float = _LOOK_SECONDS
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look again and again; what goes wrong with one message must not end the work on all others."""
        while not self.stopped.wait(self.look_seconds):
            try:
                self.look()
            except Exception:
                # The disk may be full for a while; the hub asks for what was promised in any case.
                _logger.exception("deferrals.not_looked_after")

    def look(self) -> None:
        """Look once at everything that is due."""
        inbox, clock = self.gateway.inbox, self.gateway.clock
        for owed in inbox.owed(clock.now()):
            if self.stopped.is_set():
                return
            try:
                answer = owed.answer or self._ask(owed)
                if answer is not None:
                    self._tell(owed, answer)
            except HubError as error:
                _logger.info(
                    "deferrals.put_off", message_id=owed.message_id, code=error.code, detail=error.detail
                )
                inbox.look_again(owed.message_id, owed.recipient, clock.now() + _PAUSE)

    def _ask(self, owed: Owed) -> bytes | None:
        return self.gateway.look_again(open_envelope(owed.request), owed.recipient)

    def _tell(self, owed: Owed, answer: bytes) -> None:
        """Hand an answer to the hub; one it does not want any more is not offered again."""
        code = self.client.push(answer)
        self.gateway.inbox.settle(owed.message_id, owed.recipient)
        _logger.info("deferrals.answered", message_id=owed.message_id, code=code)
