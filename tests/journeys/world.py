# SPDX-License-Identifier: Apache-2.0
"""A hub on loopback as a hostile sender meets it: any bytes in, and out what the hub signed about them."""

from __future__ import annotations

import base64
import os
import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import rfc8785

from adapters.hubclient import HubClient
from hub.accounts import Principal
from hub.app import build_app, build_hub
from hub.clock import SystemClock
from hub.contracts import load_contracts
from hub.demo.preparation import FUND, HUB_MEMBER, PROJECT, DemoFolder, prepare
from hub.envelope import (
    CONTAINER_MEDIA_TYPE,
    Envelope,
    Header,
    Kind,
    Party,
    Payload,
    Purpose,
    open_envelope,
    read_fault,
    read_receipt,
    reply_to,
    seal_envelope,
    verify_signature,
)
from hub.exchange import RECEIPT_HEADER
from hub.identifiers import MemberId, member_of, new_message_id, subsystem_of
from hub.registry import AccessRight, Service, Title
from hub.settings import load_settings
from hub.trust import OnlineRevocation, Use, Validator
from tests.journeys.departments import (
    ECHO,
    EMPLOYMENT,
    FEDERATION_ECHO,
    LABOUR_ECHO,
    make_departments,
)
from tests.journeys.serving import serving
from tests.pki import PASSPHRASE, free_port
from tests.postgresql import running_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from hub.accounts import Role
    from hub.app import Hub
    from hub.demo.preparation import Prepared
    from hub.envelope import Fault, Receipt
    from hub.identifiers import ContractId, ServiceId, SubsystemId
    from hub.tlog import Entry
    from tests.journeys.departments import Departments
    from tests.pki import ServedPki

DATABASE_VARIABLE = "HELIOGRAPH_TEST_DATABASE"
"""Set to `postgresql`, it has the journeys' hubs run on PostgreSQL: `make test-postgresql`."""

on_sqlite_file = pytest.mark.skipif(
    os.environ.get(DATABASE_VARIABLE) == "postgresql", reason="it changes SQLite's file behind the hub's back"
)

PURPOSE = Purpose(
    item="000788002000",
    case="CBJ-2026-000017",
    legal_basis="财税〔2015〕72号第八条",
    official="李伟",
    post="残保金审核岗",
)
TIMEOUT_SECONDS = 2
"""How long the hub waits for the echoing departments."""

_LABELS = {"13510108MB1A00003J": "federation-sign", "11510108MB1A00002M": "labour-sign"}


@dataclass(frozen=True)
class Reply:
    """What came back, after its signature and its signer's certificate were found to hold.

    Attributes:
        signer: the member whose certificate signed `envelope`.
        receipt: the hub's final receipt, its signature checked too.
    """

    status: int
    envelope: Envelope
    signer: MemberId
    fault: Fault | None
    receipt: Receipt | None


@dataclass(frozen=True)
class World:
    """A running hub, two departments, and a hand that may sign with any key of the PKI."""

    pki: ServedPki
    prepared: Prepared
    hub: Hub
    url: str
    departments: Departments
    validator: Validator
    http: httpx2.Client

    def request(
        self,
        service: ServiceId = LABOUR_ECHO,
        *,
        sender: SubsystemId = FUND,
        signed_by: str | None = None,
        text: str = "你好",
        payloads: tuple[Payload, ...] | None = None,
        **changes: object,
    ) -> Envelope:
        """Sign a request; every field of its header may be changed."""
        content = payloads or (Payload("request.json", "application/json", rfc8785.dumps({"text": text})),)
        now = SystemClock().now()
        message_id = new_message_id(now)
        fields: dict[str, object] = {
            "id": message_id,
            "kind": Kind.REQUEST,
            "sender": sender,
            "recipient": subsystem_of(service),
            "sent_at": now,
            "expires_at": now + timedelta(minutes=10),
            "conversation": message_id,
            "service": service,
            "contract": ECHO,
            "purpose": PURPOSE,
            "payload": tuple(payload.describe() for payload in content),
        }
        header = Header(**(fields | changes))  # type: ignore[arg-type]  # tests change what they like
        key = self.pki.signer(signed_by or _LABELS[member_of(sender)])
        return seal_envelope(header, content, key)

    def answer(
        self,
        request: Envelope,
        *,
        signed_by: str = "labour-sign",
        text: str | int = "你好",
        **changes: object,
    ) -> Envelope:
        """Sign an answer as the labour bureau would, or with any key, and any header field changed."""
        payload = Payload("response.json", "application/json", rfc8785.dumps({"text": text}))
        key = self.pki.signer(signed_by)
        honest = reply_to(
            request, Kind.RESPONSE, (payload,), party=Party(EMPLOYMENT, key), now=SystemClock().now()
        )
        return seal_envelope(replace(honest.header, **changes), (payload,), key)  # type: ignore[arg-type]  # likewise

    def client(
        self,
        subsystem: SubsystemId = FUND,
        *,
        signed_by: str | None = None,
        contracts: Path = PROJECT / "contracts",
        **changes: Any,
    ) -> HubClient:
        """Return what a subsystem's gateway asks with; every field of it may be changed."""
        party = Party(subsystem, self.pki.signer(signed_by or _LABELS[member_of(subsystem)]))
        honest = HubClient(
            url=self.url,
            hub_member=MemberId(HUB_MEMBER),
            party=party,
            validator=self.validator,
            contracts=load_contracts(contracts),
            clock=SystemClock(),
            http=self.http,
        )
        return replace(honest, **changes)

    def send(self, raw: bytes) -> Reply:
        """Send bytes to the hub; whatever it answers must be signed and believed."""
        response = self.http.post(
            f"{self.url}/api/v1/messages", content=raw, headers={"Content-Type": CONTAINER_MEDIA_TYPE}
        )
        assert response.headers["content-type"] == CONTAINER_MEDIA_TYPE, response.text
        envelope = open_envelope(response.content)
        receipt = None
        if RECEIPT_HEADER in response.headers:
            receipt_envelope = open_envelope(base64.b64decode(response.headers[RECEIPT_HEADER]))
            assert self.signer_of(receipt_envelope) == HUB_MEMBER
            receipt = read_receipt(receipt_envelope)
        fault = read_fault(envelope) if envelope.header.kind is Kind.FAULT else None
        return Reply(response.status_code, envelope, self.signer_of(envelope), fault, receipt)

    def signer_of(self, envelope: Envelope) -> MemberId:
        """Return the member that signed, whose certificate is believed now."""
        signature = verify_signature(envelope)
        path = self.validator.validate(signature.chain, use=Use.ENVELOPE, at=SystemClock().now())
        assert path.member_id == member_of(envelope.header.sender)
        return path.member_id

    def entries(self, request: Envelope) -> list[Entry]:
        """Return what the log says about a message, oldest first."""
        return [logged.entry for logged in self.hub.log.entries_of(request.header.id)]

    def token(
        self, role: Role, subsystem: SubsystemId | None = None, subject: str = "李伟"
    ) -> dict[str, str]:
        """Issue a token; returns the header that shows it."""
        issued = self.hub.accounts.issue(
            Principal(subject, frozenset({role}), subsystem), timedelta(minutes=30)
        )
        return {"Authorization": f"Bearer {issued.secret}"}


@contextmanager
def running_world(
    folder: Path,
    pki: ServedPki,
    change: Callable[[Hub], Hub] = lambda hub: hub,
    *,
    environment: Mapping[str, str] = MappingProxyType({}),
    tls: bool = False,
    **settings: str,
) -> Iterator[World]:
    """Run a hub with its own database and two echoing departments.

    `change` may exchange parts of the hub; `settings` are its further ones; the `environment` wins. With
    `tls` the hub speaks it, and `World.http` shows the federation's certificate. Its database is SQLite or as
    `DATABASE_VARIABLE` says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "passphrase").write_bytes(PASSPHRASE)
    with ExitStack() as stack:
        database_url = None
        if os.environ.get(DATABASE_VARIABLE) == "postgresql":
            server = stack.enter_context(running_postgresql(flushes=False))
            database_url = stack.enter_context(server.database())
        prepared = prepare(DemoFolder(folder), pki, tls=tls, database_url=database_url)
        _publish_all_contracts(prepared)
        with prepared.folder.hub_config.open("a", encoding="utf-8") as config:
            config.writelines(f"{name}: {value}\n" for name, value in settings.items())
        departments = make_departments(pki)
        environment = {**prepared.environment, **environment}
        hub = change(build_hub(load_settings(prepared.folder.hub_config, environment)))
        address = stack.enter_context(serving(departments.app(), free_port()))
        hub.start()
        tls_context = None if hub.connections is None else hub.connections.server
        url = stack.enter_context(serving(build_app(hub), prepared.ports.hub, tls=tls_context))
        register_echo(hub, address)
        yield World(
            pki=pki,
            prepared=prepared,
            hub=hub,
            url=url,
            departments=departments,
            validator=Validator(pki.approved(), OnlineRevocation()),
            http=stack.enter_context(httpx2.Client(timeout=30, verify=pki.tls_of("federation-tls"))),
        )


def _publish_all_contracts(prepared: Prepared) -> None:
    """Let hub and gateways know the contract of the Dutch register too."""
    folder = prepared.folder.path / "contracts"
    tested = PROJECT / "tests" / "adapters"
    for source in (PROJECT / "contracts", tested / "quota" / "contracts", tested / "bulk" / "contracts"):
        shutil.copytree(source, folder, dirs_exist_ok=True)
    for config in prepared.folder.path.glob("*.yaml"):
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace(str(PROJECT / "contracts"), str(folder)), encoding="utf-8")


def echo_service(
    service: ServiceId, gateway_url: str | None, timeout_seconds: int = TIMEOUT_SECONDS
) -> Service:
    """Describe an echo service to the registry."""
    return service_at(service, ECHO, gateway_url, timeout_seconds)


def service_at(
    service: ServiceId, contract: ContractId, gateway_url: str | None, timeout_seconds: int
) -> Service:
    """Describe a service to the registry."""
    return Service(
        id=service,
        contract=contract,
        gateway_url=gateway_url,
        timeout_seconds=timeout_seconds,
        titles=Title(zh="测试", en="Test"),
    )


def echo_right(name: str, consumer: SubsystemId, service: ServiceId) -> AccessRight:
    """Describe the right to an echo service, for one purpose."""
    return AccessRight(
        id=name,  # type: ignore[arg-type]  # a literal id
        consumer=consumer,
        service=service,
        purposes=(PURPOSE.item,),
        legal_basis="测试",
        valid_from=date(2026, 1, 1),
    )


def register_echo(hub: Hub, address: str, *, timeout_seconds: int = TIMEOUT_SECONDS) -> None:
    """Enter the echo services and who may ask them."""
    hub.registry.apply(
        (
            echo_service(LABOUR_ECHO, f"{address}/labour/messages", timeout_seconds),
            echo_service(FEDERATION_ECHO, f"{address}/federation/messages", timeout_seconds),
            echo_right("fund-asks-echo", FUND, LABOUR_ECHO),
            echo_right("employment-asks-echo", EMPLOYMENT, FEDERATION_ECHO),
        ),
        by="tests",
    )
