# SPDX-License-Identifier: Apache-2.0
"""What the authorities say about the hub's own certificate, asked while the hub signs receipts with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hub.errors import HubError
from hub.trust import Use

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.alarms import AlarmSink
    from hub.clock import Clock
    from hub.exchange.revocation import RevocationAnswers
    from hub.trust import SigningKey, Validator

ALARM = "trust.own_certificate_unproven"


@dataclass(kw_only=True)
class OwnAnswers:
    """Validates the hub's own certificate as others will, and keeps the answers, as long as the log grows.

    Args:
        key: signs receipts and faults.
        validator: as for everybody else's certificates.
        answers: keeps what was said.
        log_size: the number of entries in the log; each has a receipt or a fault beside it.
        alarms: who is told when receipts cannot be proven.
        clock: what time it is.
    """

    key: SigningKey
    validator: Validator
    answers: RevocationAnswers
    log_size: Callable[[], int]
    alarms: AlarmSink
    clock: Clock
    _seen: int = field(default=-1, init=False)

    def look(self) -> None:
        """Keep today's answers when something was logged since the last look; waits for the authorities."""
        size = self.log_size()
        if size == self._seen:
            return
        try:
            chain = self.key.snapshot().certificate_chain
            path = self.validator.validate(chain, use=Use.ENVELOPE, at=self.clock.now())
        except HubError as exc:
            # What was logged still waits for answers; the next look asks again.
            self.alarms.raise_alarm(ALARM, "hub", f"{exc.code}: {exc.detail}")
            return
        self.answers.take(path)
        self._seen = size
        self.alarms.clear(ALARM, "hub")
