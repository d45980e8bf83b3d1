# SPDX-License-Identifier: Apache-2.0
"""Flows that should not be silent: what is expected of each, and who is told when nothing comes.

An access right may say that a message is expected ever so often. A message counts when the service answered
it: requests that are all refused are silence too. Operators are told once, when a flow falls silent, and once
more when it is heard again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hub.clock import day_in_china, format_instant
from hub.operations import store
from hub.operations.model import Flow, FlowMark, FlowState, is_silent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime

    from sqlalchemy import Connection, Engine

    from hub.alarms import Alarms
    from hub.clock import Clock
    from hub.database import Writer
    from hub.registry import AccessRight, Registry

SILENT = "flow.silent"
_UNKNOWN = FlowMark(last_at=None, watched_since=None, silent_since=None)


def expected_flows(rights: Iterable[AccessRight], on: date) -> tuple[Flow, ...]:
    """Return the flows of which messages are expected on a day, each with the shortest silence asked for."""
    flows: dict[store.FlowName, Flow] = {}
    for right in rights:
        if right.silent_after_minutes is None or not right.is_valid(on):
            continue
        name = store.FlowName(right.consumer, right.service)
        longest = timedelta(minutes=right.silent_after_minutes)
        if name not in flows or longest < flows[name].longest_silence:
            flows[name] = Flow(consumer=right.consumer, service=right.service, longest_silence=longest)
    return tuple(flows[name] for name in sorted(flows))


class Flows:
    """Looks after the flows of which messages are expected.

    Args:
        engine: of the hub's database.
        writer: the engine's.
        registry: says what is expected.
        alarms: where operators are told.
        clock: says when.
    """

    def __init__(
        self, engine: Engine, writer: Writer, registry: Registry, alarms: Alarms, clock: Clock
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._registry = registry
        self._alarms = alarms
        self._clock = clock

    def list(self) -> tuple[FlowState, ...]:
        """Return how every flow is of which messages are expected today."""
        now = self._clock.now()
        with self._engine.connect() as connection:
            marks = store.read_flows(connection)
        return tuple(_state(flow, marks, now) for flow in self._expected(now))

    def look(self, *, is_new: bool = False) -> None:
        """Find out which flows have fallen silent or are heard again, and tell operators.

        Args:
            is_new: whether nobody looked for a while, so that nothing could be heard either: every flow
                has its whole time again.
        """
        now = self._clock.now()
        expected = {store.FlowName(each.consumer, each.service): each for each in self._expected(now)}
        with self._engine.connect() as connection:
            marks = store.read_flows(connection)
        unwatched = [name for name in expected if is_new or marks.get(name, _UNKNOWN).watched_since is None]
        forgotten = [name for name, mark in marks.items() if mark.watched_since and name not in expected]
        if unwatched or forgotten:
            self._writer.run(lambda connection: _watch(connection, unwatched, forgotten, now))
            with self._engine.connect() as connection:
                marks = store.read_flows(connection)
        silent = {
            name for name, flow in expected.items() if is_silent(marks[name], flow.longest_silence, now)
        }
        changed = [name for name in expected if (marks[name].silent_since is not None) != (name in silent)]
        if changed:
            self._writer.run(
                lambda connection: [
                    store.mark_silence(connection, name, now if name in silent else None) for name in changed
                ]
            )
        self._tell({name: expected[name] for name in silent}, marks)

    def _tell(self, silent: Mapping[store.FlowName, Flow], marks: Mapping[store.FlowName, FlowMark]) -> None:
        subjects = set()
        for name, flow in silent.items():
            subjects.add(flow.subject)
            last = marks[name].last_at
            heard = "never" if last is None else f"last at {format_instant(last)}"
            minutes = flow.longest_silence // timedelta(minutes=1)
            detail = f"answered {heard}; one is expected every {minutes} minutes"
            self._alarms.raise_alarm(SILENT, flow.subject, detail)
        for alarm in self._alarms.alarms():
            if alarm.kind.code == SILENT and alarm.subject not in subjects:
                self._alarms.clear(SILENT, alarm.subject)

    def _expected(self, now: datetime) -> tuple[Flow, ...]:
        rights = (each for pair in self._registry.snapshot.rights.values() for each in pair)
        return expected_flows(rights, day_in_china(now))


def _watch(
    connection: Connection,
    unwatched: Iterable[store.FlowName],
    forgotten: Iterable[store.FlowName],
    now: datetime,
) -> None:
    store.mark_watched(connection, unwatched, now)
    for name in forgotten:
        store.forget_watch(connection, name)


def _state(flow: Flow, marks: Mapping[store.FlowName, FlowMark], now: datetime) -> FlowState:
    mark = marks.get(store.FlowName(flow.consumer, flow.service), _UNKNOWN)
    silent = is_silent(mark, flow.longest_silence, now)
    return FlowState(
        consumer=flow.consumer,
        service=flow.service,
        longest_silence=flow.longest_silence,
        last_at=mark.last_at,
        is_silent=silent,
        since=(mark.silent_since or now) if silent else mark.watched_since,
    )
