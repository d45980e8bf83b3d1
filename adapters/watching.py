# SPDX-License-Identifier: Apache-2.0
"""A gateway's answers as they are watched: counted, timed, traced, and named in every line of log."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from hub.telemetry import GATEWAY_ANSWERS, LEGACY_SECONDS, about_message, code_label, message_span, span

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from hub.envelope import Header
    from hub.identifiers import ServiceId
    from hub.telemetry import Span


class Answering:
    """One request on its way through the gateway.

    Args:
        services: those the gateway answers; what others ask for does not become a label.
        stack: ends with the request.
    """

    def __init__(self, services: Container[ServiceId], stack: ExitStack) -> None:
        self.service: str = ""
        self.code: str | None = None
        self._services = services
        self._stack = stack
        self._span: Span | None = None

    def opened(self, header: Header) -> None:
        """Take note of which message it is."""
        self._stack.enter_context(about_message(header.id))
        if header.service is not None and header.service in self._services:
            self.service = header.service
        self._span = self._stack.enter_context(
            message_span(
                "gateway.answer", header.id, kind="server", service=self.service, sender=header.sender
            )
        )

    def failed(self, code: str) -> None:
        """Take note of why the answer is a fault."""
        self.code = code
        if self._span is not None:
            self._span.fail(code)


@contextmanager
def answering(services: Container[ServiceId]) -> Iterator[Answering]:
    """Watch one request until it is answered."""
    with ExitStack() as stack:
        seen = Answering(services, stack)
        try:
            yield seen
        finally:
            GATEWAY_ANSWERS.labels(seen.service, code_label(seen.code)).inc()


@contextmanager
def asking_legacy(service: ServiceId) -> Iterator[None]:
    """Watch how long the department's own system takes."""
    began = time.perf_counter()
    try:
        with span("legacy", kind="client", service=service):
            yield
    finally:
        LEGACY_SECONDS.labels(service).observe(time.perf_counter() - began)
