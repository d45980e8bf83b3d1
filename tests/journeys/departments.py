# SPDX-License-Identifier: Apache-2.0
"""Two departments whose gateways echo what they are asked, count it, and can be told to cheat."""

from __future__ import annotations

import base64
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from adapters.configuration import ConfiguredAdapter
from adapters.gateway import Gateway
from adapters.hubclient import RECEIPT_HEADER
from adapters.ports import Answer
from adapters.sources import Probe
from hub.clock import SystemClock
from hub.contracts import load_contracts
from hub.demo.preparation import FEDERATION, HUB_MEMBER, LABOUR_BUREAU, PROJECT
from hub.envelope import CONTAINER_MEDIA_TYPE, Envelope, open_envelope
from hub.errors import AdapterError
from hub.identifiers import ContractId, MemberId, ServiceId, SubsystemId, subsystem_of
from hub.trust import OnlineRevocation, Validator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request

    from adapters.ports import Call, JsonObject
    from tests.pki import ServedPki

EMPLOYMENT = SubsystemId(f"{LABOUR_BUREAU}/employment")
REGISTER = SubsystemId(f"{FEDERATION}/register")
LABOUR_ECHO = ServiceId(f"{EMPLOYMENT}/echo")
FEDERATION_ECHO = ServiceId(f"{REGISTER}/echo")
ECHO = ContractId("echo/v1")

ABSENT = "the department has no such record"
BROKEN = "the department's system breaks the contract"

Script: TypeAlias = "Callable[[Envelope], bytes | Response]"
"""What a cheating gateway sends back for a request."""


class EchoAdapter:
    """Says what it was asked, and remembers who asked."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def answer(self, request: JsonObject, call: Call) -> Answer:
        self.calls.append(call)
        if request["text"] == ABSENT:
            raise AdapterError("adapter.record_not_found", "nothing under this text")
        return Answer({"text": 7 if request["text"] == BROKEN else request["text"]})

    def probe(self, seconds: float) -> Probe:
        """Answer at once."""
        return Probe(is_reachable=True, took_seconds=min(seconds, 0.0))

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Departments:
    """The labour bureau's and the federation's echo, behind one port.

    Attributes:
        received: every request that arrived here, whatever became of it.
        script: what answers instead of the gateway; None lets it be honest.
    """

    gateways: dict[str, Gateway]
    adapter: EchoAdapter
    received: list[Envelope] = field(default_factory=list)
    receipts: list[bytes] = field(default_factory=list)
    script: Script | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def cheating(self, script: Script) -> Iterator[None]:
        """Answer by a script for a while."""
        self.script = script
        try:
            yield
        finally:
            self.script = None

    def app(self) -> Starlette:
        """Return the gateways' HTTP application."""
        return Starlette(routes=[Route("/{department}/messages", self._receive, methods=["POST"])])

    async def _receive(self, request: Request) -> Response:
        raw = await request.body()
        receipt = base64.b64decode(request.headers.get(RECEIPT_HEADER, ""))
        envelope = open_envelope(raw)
        with self.lock:
            self.received.append(envelope)
            self.receipts.append(receipt)
        if self.script is not None:
            answer = await run_in_threadpool(self.script, envelope)
        else:
            gateway = self.gateways[request.path_params["department"]]
            answer = await run_in_threadpool(gateway.answer, raw, receipt)
        return answer if isinstance(answer, Response) else Response(answer, media_type=CONTAINER_MEDIA_TYPE)


def make_departments(pki: ServedPki) -> Departments:
    """Make both departments' echo gateways, each with its own key."""
    adapter = EchoAdapter()
    return Departments(
        gateways={
            "labour": _gateway(pki, "labour-sign", LABOUR_ECHO, adapter),
            "federation": _gateway(pki, "federation-sign", FEDERATION_ECHO, adapter),
        },
        adapter=adapter,
    )


def _gateway(pki: ServedPki, label: str, service: ServiceId, adapter: EchoAdapter) -> Gateway:
    return Gateway(
        subsystems=frozenset({subsystem_of(service)}),
        key=pki.signer(label),
        hub_member=MemberId(HUB_MEMBER),
        services={service: ConfiguredAdapter(service, ECHO, "echo", 10.0, adapter)},
        contracts=load_contracts(PROJECT / "contracts"),
        validator=Validator(pki.approved(), OnlineRevocation()),
        clock=SystemClock(),
    )
