# SPDX-License-Identifier: Apache-2.0
"""The weather map: every partner at a glance.

It is read from counts by the minute, never from the exchanges themselves, so it costs the same after a
million messages as after ten.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hub.identifiers import ServiceId, SubsystemId
from hub.operations import store
from hub.operations.model import FAILED, PartnerWeather, percentile
from hub.outbox import BreakerState, Depth
from hub.registry import Service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from hub.clock import Clock
    from hub.outbox import Outbox, Pause, Pauses
    from hub.registry import Registry

WINDOW = timedelta(hours=1)
"""How far back the map looks, unless told otherwise."""

LONGEST_WINDOW = timedelta(days=7)
BREAKERS_KEPT = timedelta(minutes=1)
"""What a worker says of its breakers holds for so long; it says so again every few seconds."""

_NO_MARK = store.PartnerMark(None, None, None)
_NOTHING_WAITS = Depth()


class WeatherMap:
    """Reads how partners fare.

    Args:
        engine: of the hub's database.
        registry: names the services.
        outbox: says what waits.
        pauses: say what is being maintained.
        clock: says when.
    """

    def __init__(
        self, engine: Engine, registry: Registry, outbox: Outbox, pauses: Pauses, clock: Clock
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._outbox = outbox
        self._pauses = pauses
        self._clock = clock

    def now(self, window: timedelta = WINDOW) -> tuple[PartnerWeather, ...]:
        """Return how every partner fares, by service.

        Args:
            window: how far back success and latency are looked at, a week at most.
        """
        at = self._clock.now()
        with self._engine.connect() as connection:
            counts = store.read_counts(connection, at - min(window, LONGEST_WINDOW))
            marks = store.read_partners(connection)
            breakers = store.read_breakers(connection, at - BREAKERS_KEPT)
        depths = self._outbox.depth()
        pauses = {each.service: each for each in self._pauses.current()}
        services = {each.id: each for each in self._registry.snapshot.all_of(Service)}
        known = {*services, *counts, *marks, *breakers}
        # What the hub answers itself is no partner, and what left the registry is none any more.
        lanes = sorted(lane for lane in known if names_of(lane)[0] in services)
        return tuple(
            _weather(
                lane,
                services,
                counts.get(lane, {}),
                marks.get(lane, _NO_MARK),
                breakers.get(lane, set()),
                depths,
                pauses,
            )
            for lane in lanes
        )


def _weather(  # noqa: PLR0913, PLR0917 - what is known of one lane, from seven places
    lane: str,
    services: Mapping[ServiceId, Service],
    counts: Mapping[int, int],
    mark: store.PartnerMark,
    breakers: set[str],
    depths: Mapping[ServiceId, Depth],
    pauses: Mapping[ServiceId, Pause],
) -> PartnerWeather:
    service, subscriber = names_of(lane)
    own_host = "" if subscriber else host_of(services[service].gateway_url)
    depth = depths.get(service, _NOTHING_WAITS) if subscriber is None else _NOTHING_WAITS
    attempts = sum(counts.values())
    return PartnerWeather(
        service=service,
        subscriber=subscriber,
        gateway_host=own_host,
        attempts=attempts,
        success_rate=1 - counts.get(FAILED, 0) / attempts if attempts else None,
        p50_ms=percentile(counts, 0.5),
        p95_ms=percentile(counts, 0.95),
        last_contact=mark.last_contact,
        last_failure=mark.last_failure,
        last_failure_code=mark.last_failure_code,
        breaker=worst_of(breakers),
        waiting=depth.waiting + depth.claimed + depth.deferred,
        oldest_waiting_since=depth.oldest_waiting_since,
        dead=depth.dead,
        pause=pauses.get(service),
    )


def names_of(lane: str) -> tuple[ServiceId, SubsystemId | None]:
    """Return the service of a lane, and the subscriber when it is one's; the reverse of `lane_of`."""
    service, _, subscriber = lane.partition(" ")
    return ServiceId(service), SubsystemId(subscriber) if subscriber else None


def worst_of(states: set[str]) -> BreakerState:
    """Return how a partner's breaker stands when several workers have one each."""
    for state in (BreakerState.OPEN, BreakerState.HALF_OPEN):
        if state.value in states:
            return state
    return BreakerState.CLOSED


def host_of(url: str | None) -> str:
    """Return the host of a gateway's address; nothing for one that comes for its messages."""
    return urlsplit(url or "").hostname or ""
