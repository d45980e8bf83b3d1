# SPDX-License-Identifier: Apache-2.0
"""Traces: whose they are, what they say, and that nothing is recorded unless it was asked for."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, format_trace_id

from hub.clock import SystemClock
from hub.errors import ExchangeError
from hub.identifiers import new_message_id
from hub.telemetry import (
    carrying,
    configure_tracing,
    continuing,
    current_trace_id,
    inject,
    message_span,
    span,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.identifiers import MessageId


def an_id() -> MessageId:
    return new_message_id(SystemClock().now())


@contextmanager
def recording(ratio: float = 1.0) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing = configure_tracing("hub", instance="test", exporter=exporter, ratio=ratio)
    assert tracing is not None
    try:
        yield exporter
    finally:
        tracing.close()


def trace_of(recorded: Any) -> str:
    return format_trace_id(recorded.context.trace_id)


def test_a_messages_trace_has_its_id() -> None:
    message_id = an_id()
    with recording() as exporter, message_span("exchange", message_id), span("step", service="s"):
        assert current_trace_id() == message_id.replace("-", "")
    inner, outer = exporter.get_finished_spans()
    assert trace_of(inner) == trace_of(outer) == message_id.replace("-", "")
    assert (outer.parent, inner.parent) == (None, outer.context)
    assert dict(outer.attributes or {}) == {"heliograph.message_id": message_id}
    assert dict(inner.attributes or {}) == {"heliograph.service": "s"}


def test_a_peer_goes_on_in_the_trace_that_its_header_names() -> None:
    message_id, headers = an_id(), dict[str, str]()
    with recording() as exporter:
        with message_span("ask", message_id):
            inject(headers)
        with continuing(headers), message_span("answer", an_id()):
            pass
    asked, answered = exporter.get_finished_spans()
    assert headers["traceparent"].split("-")[1] == message_id.replace("-", "")
    assert trace_of(answered) == trace_of(asked)
    assert answered.parent is not None
    assert answered.parent.span_id == asked.context.span_id


def test_a_message_that_was_begun_inside_something_else_has_its_own_trace_and_a_link() -> None:
    message_id = an_id()
    with recording() as exporter, span("page"), message_span("draft", message_id, is_beginning=True):
        pass
    draft, page = exporter.get_finished_spans()
    assert trace_of(draft) == message_id.replace("-", "") != trace_of(page)
    assert [link.context.span_id for link in draft.links] == [page.context.span_id]


def test_a_span_that_fails_says_the_code_and_never_the_words() -> None:
    with recording() as exporter:
        with pytest.raises(ExchangeError), span("deliver"):
            raise ExchangeError("exchange.undeliverable", "510104199001011234")
        with pytest.raises(ValueError, match="510104199001011234"), span("deliver"):
            raise ValueError("510104199001011234")
    refused, failed = exporter.get_finished_spans()
    assert (refused.status.status_code, refused.status.description) == (
        StatusCode.ERROR,
        "exchange.undeliverable",
    )
    assert failed.status.description == "ValueError"
    assert "510104199001011234" not in refused.to_json() + failed.to_json()


def test_what_no_span_may_say_is_refused() -> None:
    with recording(), pytest.raises(KeyError, match="person"), span("x", person="李伟"):  # type: ignore[call-arg]  # on purpose
        pass


@pytest.mark.parametrize("header", ["", "00-0-0-01", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_header_that_names_no_trace_begins_none(header: str) -> None:
    message_id = an_id()
    with recording() as exporter, continuing({"traceparent": header}), message_span("exchange", message_id):
        pass
    (only,) = exporter.get_finished_spans()
    assert trace_of(only) == message_id.replace("-", "")


def test_processes_with_one_ratio_choose_the_same_messages_whatever_a_peer_says() -> None:
    ids = [an_id() for _ in range(400)]
    chosen = []
    for _ in range(2):
        with recording(ratio=0.25) as exporter:
            for each in ids:
                with message_span("exchange", each):
                    pass
            chosen.append({trace_of(each) for each in exporter.get_finished_spans()})
    assert chosen[0] == chosen[1]
    assert 40 < len(chosen[0]) < 170
    left_out = next(each for each in ids if each.replace("-", "") not in chosen[0])
    forced = {"traceparent": f"00-{left_out.replace('-', '')}-00f067aa0ba902b7-01"}
    with recording(ratio=0.25) as exporter, continuing(forced), message_span("exchange", left_out):
        pass
    assert exporter.get_finished_spans() == ()


def test_a_thread_that_works_for_a_message_goes_on_in_its_trace() -> None:
    message_id = an_id()
    with recording(), message_span("exchange", message_id), ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(carrying(current_trace_id)) for _ in range(4)]
        assert {future.result() for future in futures} == {message_id.replace("-", "")}
        assert pool.submit(current_trace_id).result() is None


def test_nothing_is_recorded_and_nothing_loaded_unless_it_is_asked_for() -> None:
    headers: dict[str, str] = {}
    assert configure_tracing("hub", instance="test") is None
    with message_span("exchange", an_id()) as seen:
        seen.note(code="x")
        inject(headers)
        assert current_trace_id() is None
    assert headers == {}
    # A process of its own: this one has loaded the library for the other tests.
    program = (
        "import sys, hub.telemetry as t\n"
        "with t.span('x', service='s'): t.inject({})\n"
        "with t.continuing({'traceparent': '00-' + '1' * 32 + '-' + '1' * 16 + '-01'}): pass\n"
        "print([m for m in sys.modules if m.startswith(('opentelemetry', 'prometheus_client'))])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
