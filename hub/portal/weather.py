# SPDX-License-Identifier: Apache-2.0
"""What weather it is at a partner: one word for many figures, the worst first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from hub.identifiers import subsystem_of
from hub.outbox import BreakerState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from hub.identifiers import SubsystemId
    from hub.operations import PartnerWeather

_GOOD_SHARE = 0.99
_POOR_SHARE = 0.9
_LONG_WAIT = timedelta(minutes=15)


class Sky(StrEnum):
    """The weather, the worst first."""

    STORM = "storm"
    """Nothing is sent there for now: too much failed in a row."""
    RAIN = "rain"
    """More than a tenth fails, or messages have waited for long."""
    CLOUDS = "clouds"
    """Some fail, or it is being tried out whether it is back."""
    PAUSED = "paused"
    """An operator paused it for maintenance."""
    SUN = "sun"
    CALM = "calm"
    """It was not asked lately."""

    @property
    def is_trouble(self) -> bool:
        """Whether somebody should look."""
        return self in {Sky.STORM, Sky.RAIN}


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """One partner's service with its weather.

    Attributes:
        partner: the subsystem that answers, or the one that has subscribed to the events.
    """

    sky: Sky
    partner: SubsystemId
    weather: PartnerWeather


def sky_over(weather: PartnerWeather, now: datetime) -> Sky:
    """Say what weather it is."""
    share, waits = weather.success_rate, weather.oldest_waiting_since
    if weather.pause is not None:
        return Sky.PAUSED
    if weather.breaker is BreakerState.OPEN:
        return Sky.STORM
    if (share is not None and share < _POOR_SHARE) or (waits is not None and now - waits > _LONG_WAIT):
        return Sky.RAIN
    if (share is not None and share < _GOOD_SHARE) or weather.breaker is BreakerState.HALF_OPEN:
        return Sky.CLOUDS
    return Sky.CALM if share is None else Sky.SUN


def forecasts(partners: Iterable[PartnerWeather], now: datetime) -> tuple[Forecast, ...]:
    """Return all partners with their weather, the worst first."""
    rank = list(Sky)
    listed = [
        Forecast(sky=sky_over(each, now), partner=each.subscriber or subsystem_of(each.service), weather=each)
        for each in partners
    ]
    return tuple(sorted(listed, key=lambda each: (rank.index(each.sky), each.weather.service)))
