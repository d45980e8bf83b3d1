# SPDX-License-Identifier: Apache-2.0
"""Which messages are traced, and what their traces are called. Loaded only where spans are recorded.

Every process decides by the trace's id alone, so that one message is traced by all processes that have the
same ratio or by none, and no flag of a peer makes a hub record more than it was told to.

Source: OpenTelemetry specification, Trace SDK, "Consistent Probability Sampling": the rightmost 56 bits of a
trace's id are random and decide. In a message's id, a UUIDv7, they are random too (RFC 9562 section 5.7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import get_current_span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, TraceState
    from opentelemetry.util.types import Attributes

_RANDOM_BITS = 56


class MessageTraceIds(RandomIdGenerator):
    """Names a trace after the message it begins with, and others by chance.

    Args:
        wanted: returns the id that the trace beginning now shall have, or None.
    """

    def __init__(self, wanted: Callable[[], int | None]) -> None:
        self._wanted = wanted

    def generate_trace_id(self) -> int:
        """Return an id of 128 bits."""
        return self._wanted() or super().generate_trace_id()


class _ByTraceId(Sampler):
    def __init__(self, ratio: float) -> None:
        self._least = round((1.0 - ratio) * 2**_RANDOM_BITS)

    def should_sample(  # noqa: PLR0913, PLR0917 - the SDK's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Record the traces whose random part is large enough."""
        del name, kind, links, trace_state
        is_chosen = trace_id % 2**_RANDOM_BITS >= self._least
        return SamplingResult(
            Decision.RECORD_AND_SAMPLE if is_chosen else Decision.DROP,
            attributes if is_chosen else None,
            get_current_span(parent_context).get_span_context().trace_state,
        )

    def get_description(self) -> str:
        """Say how it chooses."""
        return f"ByTraceId{{least:{self._least:x}}}"


def by_message(ratio: float) -> Sampler:
    """Choose one part of the messages, the same in every process.

    Args:
        ratio: 0 to 1.
    """
    chosen = _ByTraceId(ratio)
    return ParentBased(root=chosen, remote_parent_sampled=chosen)
