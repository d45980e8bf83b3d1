# SPDX-License-Identifier: Apache-2.0
"""What needs an operator now: put together from everything that is watched, the most pressing first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.alarms import Severity
from hub.portal.alarm_pages import in_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from hub.alarms import Alarm
    from hub.identifiers import ServiceId
    from hub.operations import FlowState
    from hub.outbox import Depth, Pause
    from hub.portal.weather import Forecast


@dataclass(frozen=True, kw_only=True)
class Queue:
    """What is in the outbox for one service."""

    service: ServiceId
    depth: Depth


@dataclass(frozen=True, kw_only=True)
class Attention:
    """Everything that may need somebody, ready to be shown.

    Attributes:
        unclaimed: open alarms that press and that nobody takes care of.
        claimed: open alarms that somebody takes care of.
        dead: services with dead letters, most of them first.
        silent: flows that have fallen silent.
        troubled: partners in trouble.
        waiting: services with messages that wait, the longest wait first.
        pauses: what is paused, the first to end first.
    """

    unclaimed: tuple[Alarm, ...]
    claimed: tuple[Alarm, ...]
    dead: tuple[Queue, ...]
    silent: tuple[FlowState, ...]
    troubled: tuple[Forecast, ...]
    waiting: tuple[Queue, ...]
    pauses: tuple[Pause, ...]

    @property
    def dead_letters(self) -> int:
        """How many dead letters there are."""
        return sum(each.depth.dead for each in self.dead)

    @property
    def messages_waiting(self) -> int:
        """How many messages wait."""
        return sum(each.depth.waiting for each in self.waiting)

    @property
    def waiting_since(self) -> datetime | None:
        """Since when the oldest of them waits, UTC."""
        return min(
            (each.depth.oldest_waiting_since for each in self.waiting if each.depth.oldest_waiting_since),
            default=None,
        )

    @property
    def matters(self) -> int:
        """How many kinds of things need somebody."""
        return sum(map(bool, (self.unclaimed, self.dead, self.silent, self.troubled)))


def attention_of(
    *,
    alarms: Sequence[Alarm],
    depth: Mapping[ServiceId, Depth],
    flows: Sequence[FlowState],
    partners: Sequence[Forecast],
    pauses: Sequence[Pause],
) -> Attention:
    """Sort out what needs somebody."""
    ordered = in_order(alarms)
    queues = [Queue(service=service, depth=each) for service, each in depth.items()]
    waiting = [each for each in queues if each.depth.waiting and each.depth.oldest_waiting_since]
    return Attention(
        unclaimed=tuple(each for each in ordered if _presses(each) and each.acknowledged_by is None),
        claimed=tuple(each for each in ordered if each.acknowledged_by is not None),
        dead=tuple(sorted((each for each in queues if each.depth.dead), key=lambda each: -each.depth.dead)),
        silent=tuple(each for each in flows if each.is_silent),
        troubled=tuple(each for each in partners if each.sky.is_trouble),
        waiting=tuple(sorted(waiting, key=lambda each: str(each.depth.oldest_waiting_since))),
        pauses=tuple(sorted(pauses, key=lambda each: each.until)),
    )


def _presses(alarm: Alarm) -> bool:
    return alarm.kind.severity is not Severity.INFO
