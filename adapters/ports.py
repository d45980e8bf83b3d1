# SPDX-License-Identifier: Apache-2.0
"""What the gateway asks of an adapter: one question in the contract's words, one answer in them.

An adapter is built once from its description (`adapters.configuration`), is called from several threads
at the same time, and raises `AdapterError` with a stable code when its system does not answer well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from hub.errors import AdapterError

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from adapters.sources import Probe
    from hub.envelope import Purpose
    from hub.identifiers import MessageId, ServiceId, SubsystemId

JsonValue: TypeAlias = "str | int | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
"""Any JSON value; exact decimals travel as text."""

JsonObject: TypeAlias = Mapping[str, JsonValue]
"""A JSON object, as `request.json` and `response.json` carry it."""


@dataclass(frozen=True)
class Call:
    """Who asks, for what, and how long the answer may take.

    Attributes:
        message_id: the request's id; legacy systems that keep a trace number get this one. It stays the same
            when a message comes again, so by it a system knows what it has done already.
        conversation: what further questions to other departments belong to.
        service: the service that is asked.
        sender: the subsystem that asks.
        purpose: why it is asked: item, case, legal basis, official and post.
        timeout_seconds: the time that is left; an adapter never waits longer than this or its own limit.
        topic: what an event is about; None for requests.
        files: the payloads beside the request's data that are too large for memory, by name; they are there
            until the adapter has answered.
        container: the message as its sender signed it; of one with large payloads, only its announcement.
    """

    message_id: MessageId
    conversation: MessageId
    service: ServiceId
    sender: SubsystemId
    purpose: Purpose
    timeout_seconds: float
    topic: str | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    container: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Document:
    """A file that travels beside the answer's data, for example `proof.pdf`.

    Attributes:
        content: of a file that fits into memory.
        file: of one that does not; the gateway takes it over, and it is gone from there.
    """

    name: str
    media_type: str
    content: bytes = b""
    file: Path | None = None


@dataclass(frozen=True)
class Answer:
    """What a department's system answered, in the contract's words."""

    data: JsonObject
    documents: tuple[Document, ...] = ()


class DeferredError(Exception):
    """The legacy system has the request and will answer later: then it is asked again, with the same id.

    Args:
        expected_after: how long it will take at most.
        look_after: when it is worth asking whether it has become ready earlier; after `expected_after`
            without it.
    """

    def __init__(self, expected_after: timedelta, look_after: timedelta | None = None) -> None:
        super().__init__(f"an answer is expected within {expected_after}")
        self.expected_after = expected_after
        self.look_after = min(look_after or expected_after, expected_after)


class NotAskedError(AdapterError):
    """The legacy system could not even be connected to, so the request has had no effect there."""


class Adapter(Protocol):
    """One service of one legacy system."""

    def answer(self, request: JsonObject, call: Call) -> Answer:
        """Ask the legacy system and return its answer in the contract's words.

        Runs in a worker thread and may block up to the call's timeout.

        Raises:
            AdapterError: the system cannot be reached, is late, answers with an error, or its answer
                cannot be mapped.
            DeferredError: it will answer later.
        """
        ...

    def probe(self, seconds: float) -> Probe:
        """Try within `seconds` whether the system can be reached, without any effect there."""
        ...

    def close(self) -> None:
        """Give back connections; no call comes after this one."""
        ...
