# SPDX-License-Identifier: Apache-2.0
"""One message's trace, from a caseworker's draft over gateways and hub to the department's own system."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_trace_id

from adapters.simulators.population import FIRST_EMPLOYER
from hub.telemetry import configure_tracing
from tests.journeys.bureaus import PURPOSE
from tests.journeys.departments import EMPLOYMENT, LABOUR_ECHO
from tests.journeys.serving import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    from tests.journeys.bureaus import Bureaus
    from tests.journeys.world import World

PROOF = f"{EMPLOYMENT}/disability-employment-proof"


@contextmanager
def recording() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing = configure_tracing("everything", instance="test", exporter=exporter)
    assert tracing is not None
    try:
        yield exporter
    finally:
        tracing.close()


def trace_of(exporter: InMemorySpanExporter, message_id: str) -> list[ReadableSpan]:
    """Return the spans of a message's trace, in the order in which they began."""
    wanted = message_id.replace("-", "")
    spans = [
        each
        for each in exporter.get_finished_spans()
        if each.context is not None and format_trace_id(each.context.trace_id) == wanted
    ]
    return sorted(spans, key=lambda each: each.start_time or 0)


def path_to(span: ReadableSpan, spans: list[ReadableSpan]) -> list[str]:
    """Return the names of a span and those around it, the outermost first."""
    by_id = {each.context.span_id: each for each in spans if each.context is not None}
    names, at = [span.name], span
    while at.parent is not None:
        at = by_id[at.parent.span_id]
        names.insert(0, at.name)
    return names


def test_a_message_is_one_trace_from_the_caseworker_to_the_departments_system(bureaus: Bureaus) -> None:
    with recording() as exporter:
        data = {"employer": FIRST_EMPLOYER, "year": bureaus.today.year}
        asked = bureaus.ask(PROOF, data, bureaus.caseworker).json()
        assert bureaus.settled(asked["id"], bureaus.caseworker)["state"] == "delivered"
        # The caseworker may see it a moment before the asking gateway is done with it.
        wait_for(
            lambda: any(each.name == "ask" and not each.parent for each in trace_of(exporter, asked["id"]))
        )
    spans = trace_of(exporter, asked["id"])
    legacy = [path_to(each, spans) for each in spans if each.name == "legacy"]
    # The proof is asked of the labour bureau, which asks two further departments through the hub.
    one = ["ask", "exchange", "deliver", "gateway.answer", "legacy"]
    assert legacy[0] == one
    assert [*one, *one] in legacy
    names = {each.name for each in spans}
    assert {"draft", "verify_request", "authorise", "accept", "conclude"} <= names
    written = json.dumps([json.loads(each.to_json()) for each in spans], ensure_ascii=False)
    for personal in (PURPOSE["case"], PURPOSE["post"], "李伟", FIRST_EMPLOYER):
        assert personal not in written


def test_a_refusal_is_the_code_of_the_span_where_it_came(world: World) -> None:
    request = world.request(LABOUR_ECHO, text="510104199001011234", recipient=f"{EMPLOYMENT}x")
    with recording() as exporter:
        assert world.send(request.raw).fault is not None
    spans = {each.name: each for each in trace_of(exporter, request.header.id)}
    assert spans["authorise"].status.description == "exchange.wrong_recipient"
    assert "deliver" not in spans
    assert "510104199001011234" not in "".join(each.to_json() for each in spans.values())


def test_what_comes_in_a_trace_goes_on_in_it(world: World) -> None:
    request = world.request()
    header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with recording() as exporter:
        world.http.post(
            f"{world.url}/api/v1/messages",
            content=request.raw,
            headers={"Content-Type": "application/vnd.etsi.asic-e+zip", "traceparent": header},
        )
    exchange = next(each for each in exporter.get_finished_spans() if each.name == "exchange")
    assert exchange.parent is not None
    assert f"{exchange.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert "exchange" not in {each.name for each in trace_of(exporter, request.header.id)}


def test_what_waits_in_the_outbox_is_delivered_in_the_messages_own_trace(world: World) -> None:
    request = world.request()
    with recording() as exporter:
        answer = world.http.post(
            f"{world.url}/api/v1/messages",
            content=request.raw,
            headers={"Content-Type": "application/vnd.etsi.asic-e+zip", "Prefer": "respond-async"},
        )
        assert answer.status_code == 202
        wait_for(lambda: "delivery" in {each.name for each in trace_of(exporter, request.header.id)})
    spans = trace_of(exporter, request.header.id)
    assert {"exchange", "enqueue", "delivery", "deliver", "conclude"} <= {each.name for each in spans}
    assert path_to(next(each for each in spans if each.name == "deliver"), spans) == ["delivery", "deliver"]


def _wait_for_end(world: World, message_id: str) -> None:
    from hub.exchange import ExchangeState
    from hub.identifiers import MessageId
    from tests.journeys.serving import wait_for

    wait_for(lambda: world.hub.archive.exchange(MessageId(message_id)).state is ExchangeState.PROCESSED)
    # The span ends a moment after the row says so.
    import time

    time.sleep(0.2)
