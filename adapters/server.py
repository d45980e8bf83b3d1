# SPDX-License-Identifier: Apache-2.0
"""The gateway as a process: HTTP in front of `gateway.py`, and a thread for each subsystem's drafts."""

from __future__ import annotations

import base64
import binascii
import hashlib
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route

from adapters.collectedlarge import LargeFetcher
from adapters.collecting import Collector
from adapters.configuration import load_intakes
from adapters.console.app import build_console_app
from adapters.console.serving import ConsoleServer
from adapters.deferrals import DeferralRunner
from adapters.drafts import DraftRunner
from adapters.gateway import Gateway
from adapters.hubclient import RECEIPT_HEADER, HubClient
from adapters.inbox import Inbox
from adapters.intakes import build_intakes
from adapters.largedesk import LargeDesk
from adapters.largeroutes import LargeDoor
from adapters.proof.adapter import ProofAdapter, ProofParts
from adapters.queue import LocalQueue
from adapters.readiness import gateway_readiness
from adapters.register import LiveServices
from adapters.registration import Registration
from adapters.reporting import Reported, StatusReporter
from adapters.rollover import (
    LOOK_SECONDS,
    EncryptionRegistration,
    KeyWatch,
    register_certificate,
    register_encryption_certificate,
)
from adapters.secrecy import Secrecy
from adapters.soap.inbound import SoapDesk
from adapters.wizard import MOUNTED_AT as WIZARD_AT
from adapters.wizard import open_wizard
from hub.alarms import LoggedAlarms
from hub.clock import Clock, SystemClock
from hub.contracts import load_contracts
from hub.custody import (
    Connections,
    KeyRing,
    RollOver,
    TlsKey,
    TokenPlace,
    open_decryption_key,
    open_key,
)
from hub.envelope import ANNOUNCEMENT_MEDIA_TYPE, CONTAINER_MEDIA_TYPE, Limits, Party, is_announcement
from hub.errors import SettingsError
from hub.identifiers import MemberId, SubsystemId, subsystem_of
from hub.telemetry import Condition, StatusServer, Watched, configure_tracing, status_routes
from hub.trust import (
    OnlineRevocation,
    RevocationRefresher,
    Use,
    Validator,
    algorithm_named,
    policies_allowing,
)
from hub.trustlist import FolderStore, TrustListArchive, TrustListFollower, read_containers, read_pinned
from hub.wire import ClientsByCertificate, RenewedTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping

    from cryptography import x509
    from starlette.requests import Request

    from adapters.configuration import ConfiguredAdapter
    from adapters.entry import ServiceEntry
    from adapters.ports import Adapter, JsonObject
    from adapters.settings import GatewaySettings, KeySettings
    from hub.contracts import Contract
    from hub.documents import DocumentSealer
    from hub.identifiers import ContractId
    from hub.telemetry import Tracing
    from hub.trust import SigningKey, ValidatedPath

_MESSAGES_AT = "/messages"
_QUIET_END_SECONDS = 0.5
_LONGEST_END_SECONDS = 5.0


class GatewayProcess:
    """Everything one department's gateway runs.

    Args:
        settings: as `load_gateway_settings` read them.
        more: services beside those the settings describe.
        clock: the machine's by default.
        look_seconds: how often the gateway looks for its next certificate.
        answers: whether adapters are built; a command that only looks after keys needs none.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        more: Iterable[ConfiguredAdapter] = (),
        clock: Clock | None = None,
        look_seconds: float = LOOK_SECONDS,
        answers: bool = True,
    ) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._key = KeyRing([_load_key(settings.signing)], clock=self._clock)
        self._contracts: Mapping[ContractId, Contract] = load_contracts(settings.contracts)
        self.trust_lists = _load_trust_lists(settings, self._clock)
        revocation, alarms = OnlineRevocation(), LoggedAlarms()
        policies = policies_allowing(map(algorithm_named, settings.also_allowed_algorithms))
        self._validator = Validator(self.trust_lists, revocation, policies=policies, alarms=alarms)
        self._refresher = RevocationRefresher(revocation, alarms, self._clock)
        self.connections = _open_connections(settings, self.trust_lists, self._validator, self._clock)
        # Kept apart from its client: a request under way may open a connection while the client closes.
        self._transport: httpx2.BaseTransport = (
            RenewedTransport(self.connections.judging)
            if self.connections is not None and settings.hub_url.startswith("https:")
            else httpx2.HTTPTransport()
        )
        self._http = httpx2.Client(transport=self._transport, follow_redirects=False)
        self._threads: list[threading.Thread] = []
        self._follower = TrustListFollower(
            self.trust_lists, settings.hub_url, self._http, alarms, self._clock
        )
        self.secrecy = self._open_secrecy()
        self._services = LiveServices({service.service: service for service in more})
        self._sealers: list[DocumentSealer] = []
        self.registration = Registration(
            settings,
            live=self._services,
            contracts=self._contracts,
            factories={"proof": self._proof_adapter},
            clock=self._clock,
            answers=answers,
        )
        self.queue = LocalQueue(settings.data_folder, client_for=self.client_for, clock=self._clock)
        self.intakes = build_intakes(
            [each for file in settings.services for each in load_intakes(file, clock=self._clock)],
            outgoing=self.queue,
            client_for=self.client_for,
            subsystems=frozenset(map(SubsystemId, settings.subsystems)),
            folder=settings.data_folder / "intakes",
        )
        self.soap = SoapDesk(
            settings.soap,
            contracts=self._contracts,
            client_for=self.client_for,
            outgoing=self.queue,
            clock=self._clock,
        )
        self.desk = LargeDesk(settings.data_folder / "large")
        self.gateway = Gateway(
            subsystems=frozenset(map(SubsystemId, settings.subsystems)),
            key=self._key,
            hub_member=MemberId(settings.hub_member),
            services=self._services,
            contracts=self._contracts,
            validator=self._validator,
            clock=self._clock,
            secrecy=self.secrecy,
            inbox=Inbox(settings.data_folder / "inbox.sqlite"),
            desk=self.desk,
        )
        self._console = self._open_console()
        self._deferrals = DeferralRunner(
            gateway=self.gateway, client=self.client_for(min(self.gateway.subsystems))
        )
        self._collector = self._open_collector()
        self._reporter = self._open_reporter()
        self.readiness = gateway_readiness(
            key=self._key,
            trust_lists=self.trust_lists,
            clock=self._clock,
            http=self._http,
            hub_url=settings.hub_url,
            data_folder=settings.data_folder,
            of_clock=Condition if self._reporter is None else self._reporter.clock_condition,
        )
        self._status = StatusServer(self.readiness)
        self._tracing: Tracing | None = None
        self.roll_over = self._plan_roll_over()
        self.roll_over.resume()
        self._keys = KeyWatch(
            roll_over=self.roll_over, ring=self._key, clock=self._clock, look_seconds=look_seconds
        )
        self._registrations = self._plan_registration()
        self._drafts = [
            DraftRunner(
                client=self.client_for(SubsystemId(draft.subsystem)),
                token=draft.token.reveal(),
                folder=settings.data_folder,
            )
            for draft in settings.drafts
        ]

    @property
    def hub_member(self) -> MemberId:
        """Whose receipts are believed, and who may send messages."""
        return MemberId(self._settings.hub_member)

    def client_for(self, subsystem: SubsystemId) -> HubClient:
        """Return what sends requests for one of the member's subsystems."""
        return HubClient(
            url=self._settings.hub_url,
            hub_member=MemberId(self._settings.hub_member),
            party=Party(subsystem, self._key),
            validator=self._validator,
            contracts=self._contracts,
            clock=self._clock,
            http=self._http,
            secrecy=self.secrecy,
            large_answers=self._settings.data_folder / "large" / "answers",
        )

    def validate_next(self) -> ValidatedPath | None:
        """Validate the next certificate as others will from its first instant on; None where there is none.

        Raises:
            TrustError: it would not be believed.
        """
        key = self.roll_over.next_key()
        if key is None:
            return None
        chain = key.certificate_chain
        at = max(self._clock.now(), chain[0].not_valid_before_utc)
        return self._validator.validate(chain, use=Use.ENVELOPE, at=at)

    def start(self) -> None:
        """Begin to follow trust and revocation lists, to work on drafts, and to look after certificates."""
        settings = self._settings
        if settings.status_port is not None:
            self._status.start(settings.status_host, settings.status_port)
        self._tracing = configure_tracing(
            "gateway", instance=settings.member, endpoint=settings.trace_endpoint, ratio=settings.trace_ratio
        )
        if self._console is not None:
            self._console.start()
        self._refresher.start()
        work = [("trust-list", self._follower.run), ("keys", self._keys.run)]
        work += [("deferrals", self._deferrals.run), ("queue", self.queue.run)]
        work += [(f"intake-{runner.id}", runner.run) for runner in self.intakes]
        work += [("drafts", runner.run) for runner in self._drafts]
        work += [("secrecy", registration.run) for registration in self._registrations]
        if self._collector is not None:
            work += [("collecting", self._collector.run)]
        if self._reporter is not None:
            work += [("reporting", self._reporter.run)]
        if self.connections is not None:
            work += [("tls", self.connections.run)]
        self._threads = [threading.Thread(target=run, name=name, daemon=True) for name, run in work]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop fetching and give connections back."""
        if self._console is not None:
            self._console.stop()
        self._keys.stopped.set()
        self._follower.stopped.set()
        if self.connections is not None:
            self.connections.stop()
        self._refresher.close()
        self.queue.stop()
        maybe = [each for each in (self._collector, self._reporter) if each is not None]
        for each in (self._deferrals, *self.intakes, *maybe, *self._drafts, *self._registrations):
            each.stopped.set()
        self._join(_QUIET_END_SECONDS)
        # What still waits for the hub is torn away from it.
        self._http.close()
        self._join(_LONGEST_END_SECONDS)
        self._transport.close()
        self._services.close()
        self.registration.close()
        for sealer in self._sealers:
            sealer.close()
        self.gateway.inbox.close()
        for intake in self.intakes:
            intake.intake.close()
        self.queue.close()
        self.desk.close()
        self._status.stop()
        if self._tracing is not None:
            self._tracing.close()

    def _join(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _open_collector(self) -> Collector | None:
        """Return what comes for messages; None where the hub calls."""
        if not self._settings.collects:
            return None
        client = self.client_for(min(self.gateway.subsystems))
        stopped = threading.Event()
        large = LargeFetcher(gateway=self.gateway, desk=self.desk, client=client, stopped=stopped)
        return Collector(gateway=self.gateway, client=client, fetch_large=large.answer, stopped=stopped)

    def _open_reporter(self) -> StatusReporter | None:
        """Return what tells the hub how this gateway is; None where it shall not."""
        every_seconds = self._settings.report_seconds
        if every_seconds is None:
            return None
        return StatusReporter(
            client=self.client_for(min(self.gateway.subsystems)),
            reported=Reported(
                services=self._services.values,
                fortunes=self.gateway.fortunes,
                depth=self.queue.depth,
                certificates=self._certificates,
                collects=self._settings.collects,
            ),
            every_seconds=every_seconds,
            clock=self._clock,
        )

    def _certificates(self) -> Iterator[tuple[str, x509.Certificate]]:
        """Yield the certificates in use, the newest of the signing key first."""
        for held in self._key.keys:
            yield "signing", held.key.certificate_chain[0]
        if self.connections is not None:
            yield "tls", self.connections.certificate

    def _plan_roll_over(self) -> RollOver:
        settings = self._settings
        upcoming = settings.next or settings.signing
        client = self.client_for(min(map(SubsystemId, settings.subsystems)))
        return RollOver(
            ring=self._key,
            open_next=lambda: _load_key(upcoming),
            next_chain=None if settings.next is None else settings.next.chain,
            register=lambda key: register_certificate(client, key),
            note=settings.data_folder / "roll-over.json",
            clock=self._clock,
        )

    def _plan_registration(self) -> list[EncryptionRegistration]:
        """Plan to register the present decryption key; one in a token does not sign the proof."""
        present = self._settings.decryption[:1]
        if not present or isinstance(present[0].key, TokenPlace):
            return []
        key = _load_key(present[0])
        client = self.client_for(min(map(SubsystemId, self._settings.subsystems)))
        return [EncryptionRegistration(register=lambda: register_encryption_certificate(client, key))]

    def _open_console(self) -> ConsoleServer | None:
        bench, console = self.registration.workbench(), self._settings.console
        if bench is None or console is None:
            return None
        tls = None if self.connections is None else self.connections.server
        app = build_console_app(bench)
        app.mount(
            WIZARD_AT,
            open_wizard(bench, self._settings, self.gateway.fortunes.of).app,
        )
        return ConsoleServer(app, console.host, console.port, tls)

    def _open_secrecy(self) -> Secrecy | None:
        keys = [
            open_decryption_key(each.key, each.chain, each.passphrase, module=each.module)
            for each in self._settings.decryption
        ]
        if not keys:
            return None
        return Secrecy(
            keys=tuple(keys),
            hub_url=self._settings.hub_url,
            http=self._http,
            validator=self._validator,
            clock=self._clock,
            pins={MemberId(member): frozenset(pins) for member, pins in self._settings.pins.items()},
        )

    def _issuer(self) -> Callable[[JsonObject], bytes]:
        """Return what typesets a proof and puts this member's seal on it.

        Raises:
            SettingsError: the gateway has no seal.
        """
        # Typesetting and sealing are loaded only where documents are issued.
        from hub.documents import DocumentSealer, typeset_proof  # noqa: PLC0415

        seal = self._settings.seal
        if seal is None:
            raise SettingsError("settings.invalid", "seal: a gateway that issues documents needs one")
        sealer = DocumentSealer(
            _load_key(seal),
            self.trust_lists,
            OnlineRevocation(),
            seal.time_stamp_urls,
            notice=seal.notice,
            clock=self._clock,
        )
        self._sealers.append(sealer)
        return lambda data: sealer.seal(typeset_proof(data, notice=seal.notice))

    def _proof_adapter(self, entry: ServiceEntry) -> Adapter:
        parts = ProofParts(
            ask=self.client_for(subsystem_of(entry.service)),
            own_service=lambda service: self._services[service].adapter,
            contracts=self._contracts,
            issue=self._issuer(),
            clock=self._clock,
        )
        return ProofAdapter(entry, parts)


def build_gateway_app(process: GatewayProcess) -> Starlette:
    """Return the gateway's HTTP application: `POST /messages`, `GET /healthz` and `GET /readyz`."""
    limits = Limits()
    large = LargeDoor(process.gateway, process.desk)

    async def receive(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limits.container_bytes:
                break
        try:
            receipt = base64.b64decode(request.headers.get(RECEIPT_HEADER, ""), validate=True)
        except binascii.Error:
            receipt = b""  # Refused as an unreadable receipt, with its own code.
        if request.headers.get("content-type") == ANNOUNCEMENT_MEDIA_TYPE:
            return await large.announce(bytes(body), receipt)
        raw = bytes(body)
        answer = await run_in_threadpool(process.gateway.answer, raw, receipt)
        if is_announcement(answer):
            return await run_in_threadpool(large.answer, answer, hashlib.sha256(raw).hexdigest())
        return Response(answer, media_type=CONTAINER_MEDIA_TYPE)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        process.start()
        yield
        process.close()

    app = Starlette(
        routes=[
            Route(_MESSAGES_AT, receive, methods=["POST"]),
            *large.routes(),
            *process.soap.routes(),
            *status_routes(process.readiness),
        ],
        middleware=[Middleware(Watched)],
        lifespan=lifespan,
    )
    if process.connections is not None:
        app.add_middleware(
            ClientsByCertificate,
            judge=process.connections.client_judge,
            clients=process.connections.clients,
            messages_at=(_MESSAGES_AT,),
            only=process.hub_member,
        )
    return app


def _open_connections(
    settings: GatewaySettings, trust_lists: TrustListArchive, validator: Validator, clock: Clock
) -> Connections | None:
    tls = settings.tls
    if tls is None:
        return None
    return Connections(
        TlsKey(tls.key, tls.chain, tls.passphrase),
        trust_lists=trust_lists,
        validator=validator,
        clock=clock,
        clients=tls.client_certificates,
        asks=MemberId(settings.hub_member) if settings.hub_url.startswith("https:") else None,
    )


def _load_trust_lists(settings: GatewaySettings, clock: Clock) -> TrustListArchive:
    return TrustListArchive(
        FolderStore(settings.data_folder / "trust-lists"),
        read_pinned(settings.trust_list_signer),
        seeds=read_containers(settings.trust_list),
        now=clock.now(),
    )


def _load_key(settings: KeySettings) -> SigningKey:
    return open_key(settings.key, settings.chain, settings.passphrase, module=settings.module)
