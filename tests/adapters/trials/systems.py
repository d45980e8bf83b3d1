# SPDX-License-Identifier: Apache-2.0
"""Adapters whose systems do one thing wrong each, for tests of the contract test."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from adapters.configuration import ConfiguredAdapter
from adapters.invention import asked, is_nobody
from adapters.ports import Answer, Call, DeferredError
from adapters.sources import Probe
from hub.contracts import FORMATS
from hub.errors import AdapterError
from hub.identifiers import ContractId, ServiceId

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.ports import JsonObject

SERVICE = ServiceId("13510108MB1A00003J/register/disability-certificate")
CONTRACT = ContractId("disability-certificate/v1")
KNOWN = "511622197901111001"


def record(person_id: str) -> dict[str, Any]:
    return {
        "person_id": person_id,
        "name": "王建华",
        "kind": "military",
        "certificate_number": "川军B19790111",
        "category": None,
        "grade": 2,
        "valid_from": "2004-08-01",
        "valid_to": None,
        "status": "01",
    }


def honest(request: JsonObject, call: Call) -> JsonObject:
    """Find everybody but nobody."""
    del call
    persons: Any = request["person_ids"]
    return {
        "certificates": [record(each) for each in persons if not is_nobody(each)],
        "not_found": [each for each in persons if is_nobody(each)],
        "retrieved_at": f"2026-03-01T08:00:00.{time.monotonic_ns() // 1_000_000 % 1000:03d}Z",
    }


@dataclass
class Scripted:
    """An adapter that answers by a script.

    Attributes:
        calls: every call it got.
    """

    script: Callable[[JsonObject, Call], JsonObject] = honest
    is_reachable: bool = True
    calls: list[Call] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: JsonObject, call: Call) -> Answer:
        with self.lock:
            self.calls.append(call)
        return Answer(self.script(request, call))

    def probe(self, seconds: float) -> Probe:
        return Probe(self.is_reachable, min(seconds, 0.01))

    def close(self) -> None:
        """Nothing is held."""


def configured(
    adapter: Scripted, *, is_repeatable: bool = True, contract: ContractId = CONTRACT
) -> ConfiguredAdapter:
    return ConfiguredAdapter(SERVICE, contract, "scripted", 5.0, adapter, is_repeatable)


def breaks_contract(request: JsonObject, call: Call) -> JsonObject:
    return {**honest(request, call), "not_found": "nobody"}


def finds_nothing(request: JsonObject, call: Call) -> JsonObject:
    del request, call
    raise AdapterError("adapter.record_not_found", "no such person")


def makes_up(request: JsonObject, call: Call) -> JsonObject:
    persons: Any = request["person_ids"]
    return {**honest(request, call), "certificates": [record(each) for each in persons], "not_found": []}


def is_late(request: JsonObject, call: Call) -> JsonObject:
    if call.timeout_seconds < 1:
        time.sleep(call.timeout_seconds + 3.5)
    return honest(request, call)


def defers(request: JsonObject, call: Call) -> JsonObject:
    del request, call
    raise DeferredError(timedelta(hours=1))


def crashes(request: JsonObject, call: Call) -> JsonObject:
    del request, call
    raise KeyError("a programming error")


def counts_on() -> Callable[[JsonObject, Call], JsonObject]:
    """Answer every call otherwise, as one that does its work again."""
    number = count(1)

    def script(request: JsonObject, call: Call) -> JsonObject:
        answer: Any = honest(request, call)
        for each in answer["certificates"]:
            each["certificate_number"] = f"川军B{next(number)}"
        return dict(answer)

    return script


def mixes_up() -> Callable[[JsonObject, Call], JsonObject]:
    """Answer with what was asked last, as one whose calls share a field."""
    last: list[JsonObject] = [{}]

    def script(request: JsonObject, call: Call) -> JsonObject:
        last[0] = request
        time.sleep(0.1)
        return honest(last[0], call)

    return script


def persons_of(request: JsonObject) -> tuple[str, ...]:
    return asked(request, FORMATS).by_format["resident-id"]
