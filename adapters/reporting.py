# SPDX-License-Identifier: Apache-2.0
"""A gateway tells the hub how it is: signed like any message, every minute, and learns how its clock is.

Nothing of what the department's systems hold is in it: digests of descriptions, instants, codes and counts.

Source: docs/protocols/exchange.md section 16.4.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog
from cryptography.hazmat.primitives.hashes import SHA256

from adapters.hubclient import Question
from hub.clock import format_instant
from hub.envelope import Purpose
from hub.errors import Culprit, HubError, ReportedFaultError, error_kinds
from hub.identifiers import ContractId, ServiceId
from hub.telemetry import Condition, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from cryptography import x509

    from adapters.configuration import ConfiguredAdapter
    from adapters.hubclient import HubClient
    from adapters.queue import QueueDepth
    from hub.clock import Clock

SOFTWARE = "0.1.0"
CLOCK_TOLERANCE_MS = 60_000
"""From here on somebody has to look; at five minutes the hub's receipts are refused."""

_CONTRACT = ContractId("gateway-status/v1")
_PURPOSE = Purpose(
    item="own-status", case="gateway", legal_basis="PR-EXC 16.4", official="gateway", post="gateway"
)
_FIRST_SECONDS = 10.0
_ABOUT_TIME = frozenset({"exchange.expired", "exchange.from_the_future"})
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Fortune:
    """How one adapter fared.

    Attributes:
        last_success: UTC; when it answered well last.
        last_failure: UTC; when it last did not, and `last_failure_code` why.
    """

    last_success: datetime | None = None
    last_failure: datetime | None = None
    last_failure_code: str | None = None


class Fortunes:
    """How every adapter fared since the gateway was started. Safe to use from several threads."""

    def __init__(self) -> None:
        self._fortunes: dict[str, Fortune] = {}
        self._changing = threading.Lock()

    def note(self, service: str, code: str | None, at: datetime) -> None:
        """Take note of an answer; what its sender did wrong says nothing of the adapter."""
        kind = None if code is None else error_kinds().get(code)
        if not service or (kind is not None and kind.culprit is Culprit.SENDER):
            return
        with self._changing:
            known = self._fortunes.get(service, Fortune())
            self._fortunes[service] = (
                replace(known, last_success=at)
                if code is None
                else replace(known, last_failure=at, last_failure_code=code)
            )

    def of(self, service: str) -> Fortune:
        """Return how an adapter fared."""
        with self._changing:
            return self._fortunes.get(service, Fortune())


@dataclass(frozen=True, kw_only=True)
class Reported:
    """What a report is written from; each part is asked when one is due.

    Attributes:
        services: the adapters that answer now.
        fortunes: how they fared.
        depth: what waits to be sent.
        certificates: in use, each with what for.
        collects: whether the gateway comes for its messages.
    """

    services: Callable[[], Iterable[ConfiguredAdapter]]
    fortunes: Fortunes
    depth: Callable[[], QueueDepth]
    certificates: Callable[[], Iterable[tuple[str, x509.Certificate]]]
    collects: bool


class StatusReporter:
    """Reports until it is stopped.

    Args:
        client: signs and sends; whose subsystem it is names the gateway to the hub.
        reported: what is told.
        every_seconds: how often.
        clock: what time it is, as far as this machine knows.
    """

    def __init__(self, *, client: HubClient, reported: Reported, every_seconds: int, clock: Clock) -> None:
        self.stopped = threading.Event()
        self._client = client
        self._reported = reported
        self._every_seconds = every_seconds
        self._started_at = clock.now()
        self._clock = Condition()

    def run(self) -> None:
        """Report again and again; a report that does not arrive is followed by the next one."""
        pause_seconds = min(_FIRST_SECONDS, self._every_seconds)
        while not self.stopped.wait(pause_seconds):
            pause_seconds = self._every_seconds
            try:
                self.report()
            except HubError as error:
                _logger.warning("reporting.not_taken", code=error.code, detail=error.detail)
            except Exception:
                _logger.exception("reporting.failed_unforeseen")

    def report(self) -> None:
        """Report once, and take note of how the clock is.

        Raises:
            HubError: the hub cannot be reached, or does not take the report.
        """
        question = Question(
            service=ServiceId(f"{self._client.hub_subsystem}/gateway-status"),
            contract=_CONTRACT,
            data=self._data(),
            purpose=_PURPOSE,
        )
        try:
            ahead = int(self._client.ask(question).data["clock_ahead_ms"])
        except ReportedFaultError as error:
            if error.code in _ABOUT_TIME:
                self._clock = Condition(State.FAILED, f"the hub refuses what is signed now: {error.code}")
            raise
        is_off = abs(ahead) > CLOCK_TOLERANCE_MS
        detail = f"{abs(ahead) // 1000} s {'ahead of' if ahead > 0 else 'behind'} the hub's"
        self._clock = Condition(State.IMPAIRED, detail) if is_off else Condition()

    def clock_condition(self) -> Condition:
        """Return how this machine's clock is by the hub's, as of the last report."""
        return self._clock

    def _data(self) -> dict[str, Any]:
        reported, depth = self._reported, self._reported.depth()
        queue: dict[str, Any] = {"waiting": depth.waiting, "sent": depth.sent}
        if depth.oldest_waiting_since is not None:
            queue["oldest_waiting_since"] = format_instant(depth.oldest_waiting_since)
        return {
            "software": SOFTWARE,
            "started_at": format_instant(self._started_at),
            "every_seconds": self._every_seconds,
            "collects": reported.collects,
            "adapters": [self._adapter(each) for each in reported.services()],
            "queue": queue,
            "certificates": [_certificate(use, each) for use, each in reported.certificates()],
        }

    def _adapter(self, configured: ConfiguredAdapter) -> Mapping[str, Any]:
        fortune = self._reported.fortunes.of(configured.service)
        said = {
            "service": configured.service,
            "contract": configured.contract,
            "kind": configured.kind,
            "digest": configured.digest or None,
            "version": configured.version,
            "last_success": _written(fortune.last_success),
            "last_failure": _written(fortune.last_failure),
            "last_failure_code": fortune.last_failure_code,
        }
        return {name: value for name, value in said.items() if value is not None}


def _certificate(use: str, certificate: x509.Certificate) -> dict[str, str]:
    return {
        "use": use,
        "sha256": certificate.fingerprint(SHA256()).hex(),
        "valid_to": format_instant(certificate.not_valid_after_utc),
    }


def _written(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)
