# SPDX-License-Identifier: Apache-2.0
"""A message's way as it is watched: every step timed and traced, every line of log with the message's id.

Nothing here decides anything: without it, messages would pass all the same.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from hub.exchange.model import Accepted, Authorised, Opened
from hub.outbox import lane_of
from hub.telemetry import (
    DELIVERIES,
    DELIVERY_SECONDS,
    EXCHANGE_SECONDS,
    EXCHANGES,
    STEP_SECONDS,
    about_message,
    code_label,
    message_span,
    span,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime

    from hub.clock import Clock
    from hub.errors import Culprit, HubError
    from hub.exchange.model import Arrived
    from hub.identifiers import ServiceId, SubsystemId
    from hub.outbox import Delivery, Lane

_OPENING = "open_request"
_DELIVERING = "deliver"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One attempt to have a message answered by a department.

    Attributes:
        at: UTC; when it ended.
        sender: who asked.
        lane: whose gateway was asked.
        code: why it was not answered well; None when it was.
        culprit: who has to act on that.
        seconds: how long the gateway took.
    """

    at: datetime
    sender: SubsystemId
    service: ServiceId
    lane: Lane
    code: str | None
    culprit: Culprit | None
    seconds: float


class Traffic(Protocol):
    """Takes note of what passes; must return at once."""

    def note(self, seen: Seen) -> None:
        """Take note of one attempt."""
        ...


class NoTraffic:
    """Takes note of nothing."""

    def note(self, seen: Seen) -> None:
        """Forget it."""


class ExchangeWatch:
    """One message on its way in.

    Attributes:
        service: what it asks, once it may; what anybody may claim becomes no label.
    """

    def __init__(self, stack: ExitStack) -> None:
        self.service = ""
        self._stack = stack
        self._is_named = False

    def reached(self, stage: Arrived) -> None:
        """Take note of what is known now."""
        if not self._is_named and isinstance(stage, Opened):
            self._is_named = True
            header = stage.request.header
            self._stack.enter_context(about_message(header.id))
            self._stack.enter_context(
                message_span(
                    "exchange",
                    header.id,
                    kind="server",
                    sender=header.sender,
                    recipient=header.recipient,
                    service=header.service or "",
                )
            )
        if not self.service and isinstance(stage, Authorised):
            self.service = stage.service.id

    def ended(self, code: str | None) -> None:
        """Count how it ended."""
        EXCHANGES.labels(self.service, code_label(code)).inc()


_watch: ContextVar[ExchangeWatch | None] = ContextVar("exchange_watch", default=None)


@contextmanager
def watched_exchange() -> Iterator[ExchangeWatch]:
    """Watch a message that has just come in, until its sender is answered."""
    began = time.perf_counter()
    with ExitStack() as stack:
        watch = ExchangeWatch(stack)
        token = _watch.set(watch)
        try:
            yield watch
        finally:
            _watch.reset(token)
            EXCHANGE_SECONDS.labels(watch.service).observe(time.perf_counter() - began)


@contextmanager
def watched_delivery(delivery: Delivery) -> Iterator[None]:
    """Watch one attempt to deliver what is in the outbox, in the message's own trace."""
    with (
        about_message(delivery.message_id),
        message_span(
            "delivery",
            delivery.message_id,
            kind="consumer",
            service=delivery.service,
            recipient=delivery.recipient,
            attempt=delivery.attempts,
        ),
    ):
        yield


def count_end(service: ServiceId, code: str | None) -> None:
    """Count how a message from the outbox ended."""
    EXCHANGES.labels(service, code_label(code)).inc()


class Walk:
    """Steps that are taken one after the other.

    Args:
        traffic: is told when a department was asked.
        clock: dates that.
    """

    def __init__(self, traffic: Traffic, clock: Clock) -> None:
        self._traffic = traffic
        self._clock = clock
        self._watch = _watch.get()
        self._delivery_seconds: float | None = None

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step."""
        # A message has no name, and so no trace, before it is opened.
        inside: AbstractContextManager[Any] = nullcontext()
        if name != _OPENING:
            inside = span(name, kind="client" if name == _DELIVERING else "internal")
        began = time.perf_counter()
        try:
            with inside:
                yield
        finally:
            seconds = time.perf_counter() - began
            _timer(name).observe(seconds)
            if name == _DELIVERING:
                self._delivery_seconds = seconds

    def reached(self, stage: Arrived) -> None:
        """Take note of what is known after a step."""
        if self._watch is not None:
            self._watch.reached(stage)

    def ended(self, stage: Arrived, error: HubError | None) -> None:
        """Take note of how it ended, when a department was asked."""
        seconds = self._delivery_seconds
        if seconds is None or not isinstance(stage, Accepted):
            return
        header, service = stage.request.header, stage.service.id
        code = None if error is None else error.code
        DELIVERIES.labels(service, code_label(code)).inc()
        DELIVERY_SECONDS.labels(service).observe(seconds)
        recipient = header.recipient if stage.delivery is None else stage.delivery.recipient
        self._traffic.note(
            Seen(
                at=self._clock.now(),
                sender=header.sender,
                service=service,
                lane=lane_of(service, recipient),
                code=code,
                culprit=None if error is None else error.culprit,
                seconds=seconds,
            )
        )


@cache
def _timer(step: str) -> Any:
    # There are as many as there are steps; looking a label up each time takes longer than counting.
    return STEP_SECONDS.labels(step)
