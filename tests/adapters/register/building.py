# SPDX-License-Identifier: Apache-2.0
"""A register over adapters that answer from memory, and descriptions for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from adapters.configuration import build_adapters
from adapters.ports import Answer
from adapters.register import AdapterRegister, LiveServices, Rules, VersionStore
from adapters.sources import Probe
from hub.clock import FixedClock
from hub.errors import AdapterError
from hub.identifiers import ServiceId
from tests.adapters.running import TODAY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapters.configuration import ConfiguredAdapter
    from adapters.entry import ServiceEntry
    from adapters.ports import Call, JsonObject
    from adapters.register import FileService

ECHO = ServiceId("13510108MB1A00003J/register/echo")
OTHER = ServiceId("13510108MB1A00003J/register/notice")


def description(service: str = ECHO, *, says: str = "one", **changes: object) -> str:
    """Return a description whose adapter answers with `says`."""
    entry: dict[str, Any] = {
        "service": service,
        "contract": "echo/v1",
        "kind": "memory",
        "timeout_seconds": 5,
        "connection": {"says": says},
        "request": {"object": {}},
        "response": {"object": {"text": "answer.says"}},
        **changes,
    }
    return yaml.safe_dump({"services": [entry]}, allow_unicode=True)


@dataclass
class MemoryAdapter:
    """Answers with what its description says."""

    entry: ServiceEntry
    is_closed: bool = False
    on_call: Callable[[], None] = lambda: None

    def answer(self, request: JsonObject, call: Call) -> Answer:
        assert not self.is_closed, "an adapter was asked after it was closed"
        self.on_call()
        assert not self.is_closed, "an adapter was closed while it was asked"
        return Answer(self.entry.translation.to_contract(dict(self.entry.connection), request, call))

    def probe(self, seconds: float) -> Probe:
        return Probe(is_reachable=True, took_seconds=min(seconds, 0.1))

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Made:
    """Every adapter that was built."""

    adapters: list[MemoryAdapter] = field(default_factory=list)

    def factory(self, entry: ServiceEntry) -> MemoryAdapter:
        if entry.connection.get("says") == "broken":
            raise AdapterError("adapter.configuration_invalid", f"{entry.at}.connection: broken")
        self.adapters.append(MemoryAdapter(entry))
        return self.adapters[-1]

    def build(self, content: Any, at: str) -> Mapping[ServiceId, ConfiguredAdapter]:
        return build_adapters(
            content,
            at=at,
            folder=Path("/nonexistent"),
            factories={"memory": self.factory},
            clock=FixedClock(TODAY),
            environment={},
        )

    @property
    def open(self) -> list[MemoryAdapter]:
        return [adapter for adapter in self.adapters if not adapter.is_closed]


def register_of(
    made: Made,
    *,
    live: LiveServices | None = None,
    store: VersionStore | None = None,
    files: Mapping[ServiceId, FileService] | None = None,
    rules: Rules | None = None,
) -> AdapterRegister:
    """Return a register, started."""
    register = AdapterRegister(
        store or VersionStore(),
        build=made.build,
        live=LiveServices() if live is None else live,
        clock=FixedClock(TODAY),
        files=files,
        rules=rules,
    )
    register.start()
    return register
