# SPDX-License-Identifier: Apache-2.0
"""Lines of log: one form for all, and each with the message it is about."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hub.clock import SystemClock
from hub.identifiers import new_message_id
from hub.telemetry import (
    about_message,
    carrying,
    configure_logging,
    configure_tracing,
    message_span,
    note_message,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.identifiers import MessageId


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, before = list(root.handlers), root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def an_id() -> MessageId:
    return new_message_id(SystemClock().now())


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_carries_the_message_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("gateway")
    message_id = an_id()
    with about_message(message_id):
        structlog.get_logger().info("gateway.refused", code="exchange.expired")
    structlog.get_logger().info("drafts.none")
    about, other = lines(capsys)
    assert about["message_id"] == message_id
    assert (about["process"], about["event"], about["level"]) == ("gateway", "gateway.refused", "info")
    assert about["at"].endswith("Z")
    assert "message_id" not in other


def test_what_libraries_say_has_the_same_form_and_the_message_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("hub")
    message_id = an_id()
    with about_message(message_id):
        logging.getLogger("somebody.else").warning("odd: %s", "thing")
    (line,) = lines(capsys)
    assert (line["event"], line["logger"], line["message_id"]) == ("odd: thing", "somebody.else", message_id)


def test_an_exception_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("hub")
    try:
        int("first\nsecond")
    except ValueError:
        structlog.get_logger().exception("exchange.failed")
    (line,) = lines(capsys)
    assert "ValueError: invalid literal" in line["exception"]


def test_messages_that_are_worked_on_at_the_same_time_do_not_mix(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("hub")
    ids = [an_id() for _ in range(5)]

    async def work(message_id: MessageId) -> None:
        note_message(message_id)
        await asyncio.sleep(0)
        await asyncio.to_thread(structlog.get_logger().info, message_id)
        await asyncio.get_running_loop().run_in_executor(
            None, carrying(structlog.get_logger().info), message_id
        )

    async def all_of_them() -> None:
        await asyncio.gather(*map(work, ids))

    asyncio.run(all_of_them())
    written = lines(capsys)
    assert len(written) == 10
    assert all(line["message_id"] == line["event"] for line in written)


def test_a_line_names_the_trace_where_one_is_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("hub")
    tracing = configure_tracing("hub", instance="t", exporter=InMemorySpanExporter())
    assert tracing is not None
    message_id = an_id()
    with message_span("exchange", message_id):
        structlog.get_logger().info("inside")
    tracing.close()
    structlog.get_logger().info("outside")
    inside, outside = lines(capsys)
    assert inside["trace_id"] == message_id.replace("-", "")
    assert "trace_id" not in outside
