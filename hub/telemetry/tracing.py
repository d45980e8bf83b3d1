# SPDX-License-Identifier: Apache-2.0
"""Traces: which step of a message took how long, in which process.

Nothing is recorded until `configure_tracing`; a span then costs one comparison. A message that comes without
a trace begins one whose id is the message's own, without hyphens. So whoever takes it up later, in another
process and after hours, goes on in the same trace, and who knows a message knows its trace.

What a span may say is fixed in `Attribute`. None of them can hold personal data, and an exception leaves its
code or its type, never its words.

Source: W3C Trace Context; OpenTelemetry specification, Trace SDK.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypedDict, Unpack

from hub.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

    from hub.identifiers import MessageId

SpanKind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]

_PREFIX = "heliograph."
_LONGEST_VALUE = 120
_EXPORT_SECONDS = 5
_CLOSING_MILLISECONDS = 3_000


class Attribute(TypedDict, total=False):
    """All that spans say beside a message's id: ids of systems, services and contracts, codes and counts."""

    service: str
    sender: str
    recipient: str
    contract: str
    code: str
    attempt: int
    protocol: str
    host: str


_KNOWN = frozenset(Attribute.__annotations__) | {"message_id"}


class Span(Protocol):
    """Something that takes time."""

    def note(self, **attributes: Unpack[Attribute]) -> None:
        """Say more about it."""
        ...

    def fail(self, code: str) -> None:
        """Say that it came to nothing, and why: an error's code."""
        ...


class _Unrecorded:
    """What is handed out while nothing is traced."""

    def note(self, **attributes: Unpack[Attribute]) -> None:
        """Drop it."""

    def fail(self, code: str) -> None:
        """Drop it."""


_UNRECORDED: AbstractContextManager[Span] = nullcontext(_Unrecorded())
_NOTHING: AbstractContextManager[None] = nullcontext()
_tracer: Tracer | None = None
_wanted_trace: ContextVar[int | None] = ContextVar("wanted_trace", default=None)


class Tracing:
    """What records and sends spans, until it is closed."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider

    def close(self) -> None:
        """Send what waits, for a few seconds at most, and record nothing any more."""
        global _tracer  # noqa: PLW0603 - one process, one tracer: spans are opened in every slice
        _tracer = None
        self._provider.force_flush(_CLOSING_MILLISECONDS)
        self._provider.shutdown()


def configure_tracing(
    process: str,
    *,
    instance: str,
    endpoint: str | None = None,
    ratio: float = 1.0,
    exporter: SpanExporter | None = None,
) -> Tracing | None:
    """Record the spans of this process and send them, if anywhere at all.

    Args:
        process: what runs: `hub`, `worker`, `gateway`.
        instance: whose it is, such as the member's id.
        endpoint: where an OTLP collector takes spans over HTTP, without `/v1/traces`. Credentials belong into
            the variable `OTEL_EXPORTER_OTLP_HEADERS`.
        ratio: which part of the messages is traced; all processes with the same one choose the same messages.
        exporter: takes the spans at once, instead.

    Returns:
        None when there is nowhere to send them to.
    """
    if endpoint is None and exporter is None:
        return None
    # Loaded only where spans are recorded: the SDK takes a quarter of a second.
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

    from hub.telemetry.sampling import MessageTraceIds, by_message  # noqa: PLC0415

    global _tracer  # noqa: PLW0603 - as in `close`
    provider = TracerProvider(
        sampler=by_message(ratio),
        resource=Resource.create(
            {"service.name": f"heliograph-{process}", "service.instance.id": instance[:_LONGEST_VALUE]}
        ),
        id_generator=MessageTraceIds(_wanted_trace.get),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(_processor(endpoint, exporter))
    _tracer = provider.get_tracer("heliograph")
    return Tracing(provider)


def span(
    name: str, *, kind: SpanKind = "internal", **attributes: Unpack[Attribute]
) -> AbstractContextManager[Span]:
    """Measure what happens inside; a part of what is measured around it, if anything is."""
    if _tracer is None:
        return _UNRECORDED
    return _recorded(_tracer, name, kind, attributes)


def message_span(
    name: str,
    message_id: MessageId,
    *,
    kind: SpanKind = "internal",
    is_beginning: bool = False,
    **attributes: Unpack[Attribute],
) -> AbstractContextManager[Span]:
    """Measure what is done for a message.

    Args:
        name: what is done.
        message_id: gives the trace its id where none goes on.
        kind: how it touches other processes.
        is_beginning: whether the message's own trace begins here, whatever goes on around it; the two are
            linked.
        attributes: what else is said.
    """
    if _tracer is None:
        return _UNRECORDED
    said = {**attributes, "message_id": message_id}
    trace = int(message_id.replace("-", ""), 16)
    return _recorded(_tracer, name, kind, said, trace=trace, is_beginning=is_beginning)


def inject(headers: MutableMapping[str, str]) -> None:
    """Add the header `traceparent`, so that the peer's spans belong to this trace."""
    if _tracer is None:
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    TraceContextTextMapPropagator().inject(headers)


def continuing(headers: Mapping[str, str]) -> AbstractContextManager[None]:
    """Let spans inside belong to the trace that a peer's header `traceparent` names."""
    return _NOTHING if _tracer is None or "traceparent" not in headers else _continued(headers)


def current_trace_id() -> str | None:
    """Return the id of the trace that is recorded here, 32 hexadecimal digits, or None."""
    if _tracer is None:
        return None
    from opentelemetry.trace import format_trace_id, get_current_span  # noqa: PLC0415

    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else None


@contextmanager
def _continued(headers: Mapping[str, str]) -> Iterator[None]:
    from opentelemetry import context  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    # Only what says where the trace stands: `tracestate` may carry anything.
    token = context.attach(TraceContextTextMapPropagator().extract({"traceparent": headers["traceparent"]}))
    try:
        yield
    finally:
        context.detach(token)


@contextmanager
def _recorded(  # noqa: PLR0913 - private; what the two public functions gather
    tracer: Tracer,
    name: str,
    kind: SpanKind,
    said: Mapping[str, object],
    *,
    trace: int | None = None,
    is_beginning: bool = False,
) -> Iterator[Span]:
    from opentelemetry import context as contexts  # noqa: PLC0415
    from opentelemetry import trace as traces  # noqa: PLC0415

    around = traces.get_current_span().get_span_context()
    links = [traces.Link(around)] if is_beginning and around.is_valid else None
    wanted = _wanted_trace.set(trace)
    try:
        opened = tracer.start_span(
            name,
            context=contexts.Context() if is_beginning else None,
            kind=traces.SpanKind[kind.upper()],
            attributes=_written(said),
            links=links,
        )
    finally:
        _wanted_trace.reset(wanted)
    seen = _Recorded(opened)
    with traces.use_span(opened, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield seen
        except HubError as error:
            seen.fail(error.code)
            raise
        except BaseException as error:
            seen.fail(type(error).__name__)
            raise


class _Recorded:
    def __init__(self, opened: object) -> None:
        from opentelemetry import trace as traces  # noqa: PLC0415

        if not isinstance(opened, traces.Span):
            raise TypeError("a tracer opens spans")
        self._opened = opened

    def note(self, **attributes: Unpack[Attribute]) -> None:
        self._opened.set_attributes(_written(attributes))

    def fail(self, code: str) -> None:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415

        self.note(code=code)
        self._opened.set_status(StatusCode.ERROR, code)


def _written(said: Mapping[str, object]) -> dict[str, str | int]:
    """Name the attributes in full; what no attribute may be is a fault of the program."""
    unknown = said.keys() - _KNOWN
    if unknown:
        raise KeyError(f"no attribute of a span: {', '.join(sorted(unknown))}")
    return {
        _PREFIX + name: value if isinstance(value, int) else str(value)[:_LONGEST_VALUE]
        for name, value in said.items()
    }


def _processor(endpoint: str | None, exporter: SpanExporter | None) -> SpanProcessor:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor  # noqa: PLC0415

    if exporter is not None:
        return SimpleSpanProcessor(exporter)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    # What cannot be sent is dropped: messages never wait for who watches them.
    address = f"{(endpoint or '').rstrip('/')}/v1/traces"
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=address, timeout=_EXPORT_SECONDS))
