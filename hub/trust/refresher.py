# SPDX-License-Identifier: Apache-2.0
"""Renews CRLs in the background, before a message has to wait for one or one runs out.

Source: RFC 5280 section 5.1.2.5: the next CRL may come before nextUpdate, and has to by then.
"""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import structlog

from hub.clock import format_instant
from hub.errors import TrustError
from hub.trust.online import LONGEST_AGE

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from hub.alarms import AlarmSink
    from hub.clock import Clock
    from hub.trust.model import RevocationAnswer
    from hub.trust.online import OnlineRevocation

_logger = structlog.get_logger(__name__)

_SECONDS_BETWEEN_LOOKS = 15.0
_EARLIEST_SHARE, _LATEST_SHARE = 0.6, 0.9
_FAILURES_BEFORE_ALARM = 2


class RevocationRefresher:
    """A thread that asks again for the CRLs in use.

    Each is asked for at a moment drawn between 60 and 90 % of its time, so that many hubs do not ask at once;
    its time is `longest_age`, or what is left to its nextUpdate where that is less. When it fails twice in a
    row, the alarm `trust.revocation_stale` is raised for its address; a CRL that has run out fails too. The
    next one that holds ends the alarm. CRLs that nobody needed for a day are no longer renewed.

    Args:
        source: whose CRLs are renewed.
        alarms: who is told.
        clock: what time it is.
        longest_age: how old a CRL may grow.
        seconds_between_looks: how often it is looked whether one is due.
    """

    def __init__(
        self,
        source: OnlineRevocation,
        alarms: AlarmSink,
        clock: Clock,
        *,
        longest_age: timedelta = LONGEST_AGE,
        seconds_between_looks: float = _SECONDS_BETWEEN_LOOKS,
    ) -> None:
        self._source = source
        self._alarms = alarms
        self._clock = clock
        self._longest_age = longest_age
        self._seconds_between_looks = seconds_between_looks
        self._due: dict[str, tuple[RevocationAnswer, datetime]] = {}
        self._failures: dict[str, int] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="revocation-refresher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking; a request under way ends in its own time."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def look(self) -> None:
        """Renew every CRL that is due now."""
        now = self._clock.now()
        kept = self._source.crls_kept(now)
        self._due = {url: due for url, due in self._due.items() if url in kept}
        for url, answer in kept.items():
            known = self._due.get(url)
            if known is None or known[0] != answer:
                known = self._due[url] = (answer, self._draw_due(answer, now))
            if known[1] <= now:
                self._renew(url, now)

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds_between_looks):
            self.look()

    def _draw_due(self, answer: RevocationAnswer, now: datetime) -> datetime:
        begin = answer.obtained_at or now
        span = max(min(self._longest_age, answer.usable_until - begin), begin - begin)
        return begin + span * random.uniform(_EARLIEST_SHARE, _LATEST_SHARE)  # noqa: S311 (spreads load only)

    def _renew(self, url: str, now: datetime) -> None:
        try:
            answer = self._source.renew_crl(url, now)
        except TrustError as exc:
            self._note_failure(url, exc.detail)
            return
        if answer.usable_until <= now:
            self._note_failure(url, f"{url} gives a CRL that ended at {format_instant(answer.usable_until)}")
            return
        if self._failures.get(url) != 0:
            # Also after a start: another process may have raised it.
            self._alarms.clear("trust.revocation_stale", url)
        self._failures[url] = 0

    def _note_failure(self, url: str, detail: str) -> None:
        failures = self._failures[url] = self._failures.get(url, 0) + 1
        _logger.info("revocation.refresh_failed", url=url, failures=failures, detail=detail)
        if failures >= _FAILURES_BEFORE_ALARM:
            self._alarms.raise_alarm("trust.revocation_stale", url, detail)
