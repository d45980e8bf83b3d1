# SPDX-License-Identifier: Apache-2.0
"""The hub as one application: every slice wired once, here."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import structlog
from fastapi import FastAPI

from hub.accounts import Accounts, authenticated
from hub.alarms import Alarms, alarm_routes
from hub.bundles import (
    ContainerRecords,
    EvidenceBundles,
    Gatherer,
    LogProofs,
    RegisteredNames,
    Selector,
    TrustSources,
    bundle_routes,
)
from hub.clock import Clock, SystemClock
from hub.collection import CollectionCourier, CollectionDesk, Waking, collection_routes
from hub.contracts import load_contracts
from hub.custody import Connections, KeyRing, open_key, open_wrapping_key
from hub.database import ServingClaim, Writer, open_database
from hub.envelope import Limits, Party
from hub.errors import HubError, LogError
from hub.evidence import EvidenceDesk, evidence_routes
from hub.exchange import (
    Archive,
    Courier,
    DeadLetters,
    DeliveryWorker,
    ErasedSearchKeys,
    HeldMessages,
    HttpCourier,
    HubAudit,
    Interruptions,
    LargeDelivery,
    OutcomeService,
    OwnAnswers,
    OwnCourier,
    OwnService,
    Pipeline,
    Readings,
    Recorder,
    RegistrationService,
    Reindexer,
    RevocationAnswers,
    SearchKeys,
    Tickets,
    WithdrawalService,
    dead_letter_routes,
    delivery_routes,
    exchange_routes,
    readings_routes,
)
from hub.identifiers import MemberId, ServiceId, SubsystemId
from hub.keystore import KeyFolder, key_routes
from hub.messagelog import (
    AuditNotes,
    CheckpointStamper,
    CheckpointStamps,
    EvidenceRecords,
    EvidenceRenewal,
    LogHealth,
    MessageLog,
    PublishedLog,
    PublishedTree,
    Witnessing,
    load_log_key,
    log_health_routes,
    published_log_routes,
    read_witness_policy,
    stamp_routes,
    tiled_log_routes,
)
from hub.operations import (
    Flows,
    Gateways,
    HubFigures,
    Operations,
    Shown,
    StatusService,
    Traffic,
    Watch,
    WeatherMap,
    hub_readiness,
    operation_routes,
)
from hub.outbox import Outbox, Pauses
from hub.portal import MOUNTED_AT, Portal, PortalParts, SessionLimits
from hub.preservation import DigestEnds
from hub.problems import install_problems
from hub.registry import (
    CertificateDesk,
    CertificateUpkeep,
    Registry,
    Service,
    certificate_routes,
    encryption_routes,
    load_registry_file,
    plan_own_roll_over,
    registry_routes,
)
from hub.telemetry import Watched, measure_commit
from hub.tlog import NoteSigner, VerifierKey
from hub.transfers import TransferLimits, Uploads, UploadUpkeep, upload_routes
from hub.trust import (
    OnlineRevocation,
    RevocationRefresher,
    TimeStampClient,
    Validator,
    algorithm_named,
    explanation_routes,
    listed_authorities,
    policies_allowing,
)
from hub.trustlist import TableStore, TrustListArchive, read_containers, read_pinned, trust_list_routes
from hub.vault import (
    ArchivePlaces,
    Archiver,
    Eraser,
    Holds,
    LargeFiles,
    S3Access,
    Vault,
    VaultUpkeep,
    vault_routes,
)
from hub.vault import KeyFolder as DataKeyFolder
from hub.wire import ClientsByCertificate
from hub.witness import Witness, load_witness_key, read_witnessed_logs, witness_routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from sqlalchemy import Engine

    from hub.contracts import Contract
    from hub.custody import KeyPlace
    from hub.identifiers import ContractId
    from hub.settings import Settings
    from hub.trust import SigningKey

VERSION = "0.1.0"
_REGISTRY_SECONDS = 1.0
_TRUST_LIST_SECONDS = 5.0
_CERTIFICATES_SECONDS = 2.0
_CLAIM_SECONDS = 1.0
_LOOKS_FOR_INTERRUPTED = 5  # One look in so many turns of the claim.
_OWN_ANSWERS_SECONDS = 20.0
_UPKEEP_ENDS_SECONDS = 5.0
_T = TypeVar("_T")
_MESSAGES_AT = ("/api/v1/messages", "/api/v1/uploads", "/api/v1/downloads", "/api/v1/collections")
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Hub:
    """The running parts, for whoever wires them further."""

    engine: Engine
    writer: Writer
    claim: ServingClaim
    interruptions: Interruptions
    outbox: Outbox
    pauses: Pauses
    worker: DeliveryWorker
    dead_letters: DeadLetters
    operations: Operations
    accounts: Accounts
    alarms: Alarms
    refresher: RevocationRefresher
    registry: Registry
    certificates: CertificateDesk
    trust_lists: TrustListArchive
    keys: KeyFolder
    upkeep: CertificateUpkeep
    own_answers: OwnAnswers
    log: MessageLog
    published: PublishedLog
    witnessing: Witnessing
    witness: Witness | None
    log_health: LogHealth
    audit: HubAudit
    audit_notes: AuditNotes
    stamps: CheckpointStamps
    records: EvidenceRecords
    renewal: EvidenceRenewal
    stamper: CheckpointStamper
    checkpoint_seconds: int
    pipeline: Pipeline
    desk: EvidenceDesk
    bundles: EvidenceBundles
    vault: Vault
    eraser: Eraser
    archiver: Archiver
    vault_upkeep: VaultUpkeep
    uploads: Uploads
    upload_upkeep: UploadUpkeep
    archive: Archive
    readings: Readings
    reindexer: Reindexer | None
    courier: Courier
    collections: CollectionDesk
    portal: Portal
    registry_file: Path | None
    connections: Connections | None
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Take up service: apply the registry file, and let messages that a crash cut off be tried again.

        Only for a process that serves. A command beside it must leave messages in progress alone, or they
        could be delivered twice.

        Raises:
            SettingsError: `settings.database_in_use`: another process serves from the same SQLite database.
            LogError: `log.rolled_back`, `log.forked`, `log.head_invalid`: the database is not the one whose
                log was published; a message taken into it would get a receipt that another one has.
            RegistryError: the registry file cannot be used.
        """
        self.claim.take()
        try:
            self.log.require_head()
        except LogError as exc:
            _raise_log_alarm(self, exc)
            raise
        if self.log.read_head() is None and self.log.last_checkpoint() is not None:
            # So it is on a machine that never served this log; elsewhere somebody has removed the file.
            _logger.warning("log.head_missing", origin=self.log.origin)
        if self.registry_file is not None:
            self.registry.apply(load_registry_file(self.registry_file), by="registry file")
        self.interruptions.start()
        self.vault.prepare(self.writer, self.vault_upkeep.retentions)
        self.eraser.resume()

    def begin_upkeep(self) -> None:
        """Start what goes on in threads of its own: who waits for an authority holds up nobody else."""
        self.refresher.start()
        self.witnessing.start()
        for name, run in (
            ("checkpoint-stamper", self.stamper.run),
            ("evidence-renewal", self.renewal.run),
            ("vault-upkeep", self.vault_upkeep.run),
            ("upload-upkeep", self.upload_upkeep.run),
        ):
            self.threads.append(threading.Thread(target=run, name=name, daemon=True))
            self.threads[-1].start()
        self.begin_connecting()

    def begin_connecting(self) -> None:
        """Keep this process's own TLS certificates fresh, where it has any."""
        if self.connections is not None:
            self.threads.append(threading.Thread(target=self.connections.run, name="tls", daemon=True))
            self.threads[-1].start()

    def end_upkeep(self) -> None:
        """End it, and wait a little: who still used the database would leave its connection open."""
        self.renewal.stop()
        self.vault_upkeep.stop()
        self.upload_upkeep.stop()
        self.stamper.stop()
        self.witnessing.stop()
        if self.connections is not None:
            self.connections.stop()
        self.refresher.close()
        deadline = time.monotonic() + _UPKEEP_ENDS_SECONDS
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    async def close(self) -> None:
        """Stop writing and give everything back."""
        await asyncio.to_thread(self.operations.stop)
        await asyncio.to_thread(self.end_upkeep)
        await asyncio.to_thread(self.portal.close)
        if isinstance(self.courier, HttpCourier):
            await self.courier.close()
        self.writer.close()
        self.claim.release()
        self.engine.dispose()


def build_hub(settings: Settings, *, clock: Clock | None = None, courier: Courier | None = None) -> Hub:
    """Wire the hub's parts; `Hub.start` takes up service.

    Raises:
        HubError: a key, list or contract cannot be used.
    """
    clock = clock or SystemClock()
    settings.data_folder.mkdir(parents=True, exist_ok=True)
    key = KeyRing([_open_key(settings, settings.signing_key, settings.signing_chain)], clock=clock)
    contracts = load_contracts(settings.contracts)
    engine = open_database(settings.database)
    writer = Writer(engine, measure_commit)
    claim = ServingClaim(engine)
    interruptions = Interruptions(engine, writer, claim)
    outbox, pauses = Outbox(engine, writer, clock, claim), Pauses(engine, writer, clock)
    alarms, accounts = Alarms(engine, writer, clock), Accounts(engine, writer, clock)
    registry = Registry(engine, writer, clock, contracts)
    log_key = load_log_key(settings.log_key, settings.log_passphrase.reveal().encode("utf-8"))
    trust_lists = _open_trust_lists(settings, TableStore(engine, writer), clock)
    vault = _open_vault(settings, engine, clock)
    signer = NoteSigner(settings.log_origin, log_key)
    log = MessageLog(
        engine,
        writer,
        signer,
        settings.log_origin,
        former_keys=[VerifierKey.decode(key) for key in settings.former_log_keys],
        head=settings.head,
        clock=clock,
    )
    policy = read_witness_policy(settings.witness_policy) if settings.witness_policy else None
    published = PublishedLog(engine, log, policy)
    audit_notes = AuditNotes(settings.data_folder / "log-audit.json")
    records = EvidenceRecords(engine, clock)
    search_keys = _open_search_keys(settings, contracts)
    archive = Archive(engine, vault, search_keys)
    reindexer = (
        Reindexer(
            engine=engine,
            writer=writer,
            vault=vault,
            log=log,
            contracts=contracts,
            search_keys=search_keys,
        )
        if search_keys is not None
        else None
    )
    revocation = OnlineRevocation()
    policies = policies_allowing(map(algorithm_named, settings.also_allowed_algorithms))
    validator = Validator(trust_lists, revocation, policies=policies, alarms=alarms)
    connections = _open_connections(settings, trust_lists, validator, clock)
    courier = courier or HttpCourier(
        connections=connections,
        allows_plain=settings.plain_http_beyond_loopback,
        large=_large_delivery(settings, vault, writer, contracts),
    )
    time_stamps = TimeStampClient(listed_authorities(trust_lists), validator, clock)
    stamper = CheckpointStamper(
        engine=engine,
        writer=writer,
        authorities=time_stamps,
        alarms=alarms,
        clock=clock,
        most_waiting=settings.most_stamps_waiting,
        longest_wait=timedelta(minutes=settings.stamp_alarm_minutes),
    )
    certificates = CertificateDesk(registry, validator, clock)
    roll_over = plan_own_roll_over(
        ring=key,
        open_next=lambda: _open_next_key(settings),
        next_chain=settings.next_signing_chain,
        note=settings.data_folder / "roll-over.json",
        desk=certificates,
        member=MemberId(settings.member),
    )
    roll_over.resume()
    party = Party(SubsystemId(settings.subsystem), key)
    traffic, waking, gateways = Traffic(), Waking(), Gateways(engine, writer, alarms, clock)
    own_services = _own_services(certificates, archive, party.subsystem, clock, gateways)
    answers = RevocationAnswers(engine, writer)
    pipeline = Pipeline(
        registry=registry,
        contracts=contracts,
        validator=validator,
        courier=OwnCourier(
            own_services,
            party,
            clock,
            beyond=CollectionCourier(
                engine=engine,
                writer=writer,
                vault=vault,
                waking=waking,
                clock=clock,
                retention_of=_retention_of(contracts),
                beyond=courier,
            ),
        ),
        recorder=Recorder(
            log=log,
            vault=vault,
            records=records,
            writer=writer,
            party=party,
            clock=clock,
            interruptions=interruptions,
            outbox=outbox,
            search_keys=search_keys,
        ),
        pauses=pauses,
        revocation_answers=answers,
        clock=clock,
        limits=Limits(),
        own_services=own_services,
        traffic=traffic,
    )
    worker = DeliveryWorker(pipeline=pipeline, outbox=outbox, pauses=pauses, vault=vault, clock=clock)
    desk = EvidenceDesk(
        engine=engine,
        writer=writer,
        registry=registry,
        contracts=contracts,
        archive=archive,
        vault=vault,
        clock=clock,
    )
    holds = Holds(engine, writer, vault, HeldMessages(engine, vault), clock)
    eraser = Eraser(engine, writer, vault, holds, log, clock, ErasedSearchKeys())
    archiver = Archiver(
        engine=engine,
        writer=writer,
        vault=vault,
        evidence=_LogEvidence(log, records),
        origin=settings.log_origin,
        signer=signer,
        verifiers=log.verifiers,
        clock=clock,
        work_folder=settings.data_folder / "archiving",
    )
    stamps, readings = CheckpointStamps(engine), Readings(engine, writer)
    health = LogHealth(engine, log, stamps, audit_notes, published.witnesses)
    bundles = EvidenceBundles(
        selector=Selector(archive),
        gatherer=Gatherer(archive, log, ContainerRecords(records)),
        proofs=LogProofs(log=log, published=published, stamps=stamps, records=records),
        trust=TrustSources(trust_lists=trust_lists, answers=answers, validator=validator, policies=policies),
        names=RegisteredNames(registry),
        hub=party.subsystem,
        clock=clock,
    )
    uploads = Uploads(
        engine=engine,
        writer=writer,
        vault=vault,
        pipeline=pipeline,
        archive=archive,
        clock=clock,
        limits=_transfer_limits(settings),
    )
    operations = _open_operations(
        settings,
        engine=engine,
        alarms=alarms,
        log=log,
        trust_lists=trust_lists,
        pipeline=pipeline,
        worker=worker,
        outbox=outbox,
        traffic=traffic,
        gateways=gateways,
    )
    dead_letters = DeadLetters(
        engine=engine,
        outbox=outbox,
        recorder=pipeline.recorder,
        vault=vault,
        contracts=contracts,
        clock=clock,
    )
    return Hub(
        uploads=uploads,
        upload_upkeep=UploadUpkeep(uploads, clock),
        engine=engine,
        writer=writer,
        claim=claim,
        interruptions=interruptions,
        outbox=outbox,
        pauses=pauses,
        worker=worker,
        dead_letters=dead_letters,
        operations=operations,
        accounts=accounts,
        alarms=alarms,
        refresher=RevocationRefresher(revocation, alarms, clock),
        registry=registry,
        certificates=certificates,
        trust_lists=trust_lists,
        keys=KeyFolder(
            settings.keys,
            settings.signing_passphrase,
            member=MemberId(settings.member),
            signing_key=settings.signing_key,
            module=settings.token_module,
            validator=validator,
        ),
        upkeep=CertificateUpkeep(
            desk=certificates,
            trust_lists=trust_lists,
            ring=key,
            roll_over=roll_over,
            alarms=alarms,
            clock=clock,
            connections=(lambda: connections.certificate) if connections is not None else None,
        ),
        own_answers=OwnAnswers(
            key=key,
            validator=validator,
            answers=answers,
            log_size=log.size,
            alarms=alarms,
            clock=clock,
        ),
        log=log,
        published=published,
        witnessing=Witnessing.of(policy, log=log, engine=engine, writer=writer, alarms=alarms),
        witness=_open_witness(settings, engine, writer, alarms=alarms, clock=clock, log=log),
        log_health=health,
        audit=HubAudit(engine=engine, log=log, vault=vault, hub=party.subsystem),
        audit_notes=audit_notes,
        stamps=stamps,
        records=records,
        renewal=EvidenceRenewal(
            engine=engine,
            writer=writer,
            records=records,
            vault=vault,
            authorities=time_stamps,
            alarms=alarms,
            clock=clock,
            lead=timedelta(days=settings.renewal_months * 365 / 12),
            ends=_digest_ends(settings),
        ),
        stamper=stamper,
        checkpoint_seconds=settings.checkpoint_seconds,
        pipeline=pipeline,
        desk=desk,
        bundles=bundles,
        vault=vault,
        eraser=eraser,
        archiver=archiver,
        vault_upkeep=VaultUpkeep(
            vault=vault,
            eraser=eraser,
            archiver=archiver,
            writer=writer,
            alarms=alarms,
            clock=clock,
            retentions=frozenset(each.retention.period.text for each in contracts.values() if each.retention),
            archives=settings.archives if settings.archive_when_over else None,
            erases=settings.erase_when_due,
        ),
        archive=archive,
        readings=readings,
        reindexer=reindexer,
        courier=courier,
        collections=CollectionDesk(
            engine=engine,
            writer=writer,
            vault=vault,
            waking=waking,
            clock=clock,
            pipeline=pipeline,
            outbox=outbox,
            tickets=Tickets(vault, clock),
            hub=party.subsystem,
        ),
        portal=Portal(
            PortalParts(
                engine=engine,
                writer=writer,
                clock=clock,
                accounts=accounts,
                alarms=alarms,
                registry=registry,
                archive=archive,
                log=log,
                published=published,
                health=health,
                stamps=stamps,
                trust_lists=trust_lists,
                answers=answers,
                policies=policies,
                bundles=bundles,
                readings=readings,
                outbox=outbox,
                pauses=pauses,
                dead_letters=dead_letters,
                weather=operations.weather,
                flows=operations.flows,
                gateways=operations.gateways,
                session_limits=_session_limits(settings),
                portal_url=settings.portal_url,
            )
        ),
        registry_file=settings.registry,
        connections=connections,
    )


def _digest_ends(settings: Settings) -> DigestEnds:
    ends: dict[str, datetime] = {
        name: datetime(day.year, day.month, day.day, tzinfo=UTC) for name, day in settings.digest_ends.items()
    }
    return DigestEnds(ends)


def _open_trust_lists(settings: Settings, store: TableStore, clock: Clock) -> TrustListArchive:
    pinned = read_pinned(settings.trust_list_signer)
    return TrustListArchive(store, pinned, seeds=read_containers(settings.trust_list), now=clock.now())


def _open_connections(
    settings: Settings, trust_lists: TrustListArchive, validator: Validator, clock: Clock
) -> Connections | None:
    if settings.tls is None:
        return None
    return Connections(
        settings.tls,
        trust_lists=trust_lists,
        validator=validator,
        clock=clock,
        clients=settings.client_certificates,
    )


@dataclass(frozen=True)
class _LogEvidence:
    """What the log contributes to archives."""

    log: MessageLog
    records: EvidenceRecords

    def checkpoint(self) -> str | None:
        last = self.log.last_checkpoint()
        return None if last is None else last.note

    def record_of(self, container_sha256: str) -> bytes | None:
        try:
            return self.records.of(container_sha256)
        except LogError as exc:
            if exc.code != "log.record_unknown":
                raise
            return None


def _open_vault(settings: Settings, engine: Engine, clock: Clock) -> Vault:
    masters = [
        open_wrapping_key(place, settings.vault_passphrase, module=settings.token_module)
        for place in (settings.next_vault_key, settings.vault_key)
        if place is not None
    ]
    folder = DataKeyFolder(settings.data_keys, masters)
    folder.prepare()
    access = S3Access(
        endpoint=settings.archive_endpoint,
        region=settings.archive_region,
        access_key=settings.archive_access_key,
        secret_key=settings.archive_secret_key,
    )
    retention = settings.default_retention
    files = LargeFiles(settings.large, spare_bytes=settings.spare_disk_bytes)
    places = ArchivePlaces(access)
    return Vault(engine, folder, clock, default_retention=retention, places=places, files=files)


def _large_delivery(
    settings: Settings, vault: Vault, writer: Writer, contracts: Mapping[ContractId, Contract]
) -> LargeDelivery:
    return LargeDelivery(
        vault=vault,
        writer=writer,
        retention_of=_retention_of(contracts),
        most_bytes=settings.largest_message_bytes,
    )


def _retention_of(contracts: Mapping[ContractId, Contract]) -> Callable[[Service], str | None]:
    def retention_of(service: Service) -> str | None:
        contract = contracts.get(service.contract)
        return contract.retention.period.text if contract and contract.retention else None

    return retention_of


def _transfer_limits(settings: Settings) -> TransferLimits:
    return TransferLimits(
        container_bytes=settings.largest_message_bytes,
        member_bytes=settings.member_upload_bytes,
        member_uploads=settings.member_uploads,
        idle=timedelta(hours=settings.upload_idle_hours),
    )


def _open_search_keys(settings: Settings, contracts: Mapping[ContractId, Contract]) -> SearchKeys | None:
    if settings.search_key is None:
        return None
    return SearchKeys(settings.search_key.reveal().encode("utf-8"), contracts.values())


def _open_witness(  # noqa: PLR0913 (its dependencies)
    settings: Settings, engine: Engine, writer: Writer, *, alarms: Alarms, clock: Clock, log: MessageLog
) -> Witness | None:
    key, name, logs = settings.witness_key, settings.witness_name, settings.witnessed_logs
    if key is None or name is None or logs is None or settings.witness_passphrase is None:
        return None
    passphrase = settings.witness_passphrase.reveal().encode("utf-8")
    return Witness(
        engine=engine,
        writer=writer,
        cosigner=load_witness_key(key, passphrase, name=name, log=log.verifier),
        logs=read_witnessed_logs(logs),
        alarms=alarms,
        clock=clock,
    )


def _open_operations(  # noqa: PLR0913 (its dependencies)
    settings: Settings,
    *,
    engine: Engine,
    alarms: Alarms,
    log: MessageLog,
    trust_lists: TrustListArchive,
    pipeline: Pipeline,
    worker: DeliveryWorker,
    outbox: Outbox,
    traffic: Traffic,
    gateways: Gateways,
) -> Operations:
    recorder, registry, pauses, clock = pipeline.recorder, pipeline.registry, pipeline.pauses, pipeline.clock
    flows = Flows(engine, recorder.writer, registry, alarms, clock)
    weather = WeatherMap(engine, registry, outbox, pauses, clock)
    readiness = hub_readiness(
        engine=engine,
        writer=recorder.writer,
        clock=clock,
        log=log,
        key=recorder.party.key,
        trust_lists=trust_lists,
        data_folder=settings.data_folder,
        disk_alarm_mebibytes=settings.disk_alarm_mebibytes,
        outbox=outbox,
    )
    return Operations(
        traffic=traffic,
        weather=weather,
        flows=flows,
        gateways=gateways,
        watch=Watch(
            engine=engine,
            writer=recorder.writer,
            clock=clock,
            alarms=alarms,
            traffic=traffic,
            flows=flows,
            outbox=outbox,
            pauses=pauses,
            deliverer=worker,
            data_folder=settings.data_folder,
            disk_alarm_mebibytes=settings.disk_alarm_mebibytes,
            outbox_alarm=timedelta(minutes=settings.outbox_alarm_minutes),
            gateways=gateways,
        ),
        readiness=readiness,
        figures=HubFigures(
            outbox=outbox,
            weather=weather,
            flows=flows,
            alarms=alarms,
            readiness=readiness,
            log_size=log.size,
            data_folder=settings.data_folder,
            version=VERSION,
        ),
        shown=Shown(
            host=settings.status_host,
            port=settings.status_port,
            trace_endpoint=settings.trace_endpoint,
            trace_ratio=settings.trace_ratio,
            instance=settings.member,
        ),
    )


def _open_key(settings: Settings, place: KeyPlace, chain: Path) -> SigningKey:
    return open_key(place, chain, settings.signing_passphrase, module=settings.token_module)


def _open_next_key(settings: Settings) -> SigningKey:
    if settings.next_signing_key is None or settings.next_signing_chain is None:
        raise TypeError("there is no next key")
    return _open_key(settings, settings.next_signing_key, settings.next_signing_chain)


def _session_limits(settings: Settings) -> SessionLimits:
    return SessionLimits(
        idle=timedelta(minutes=settings.portal_idle_minutes),
        longest=timedelta(hours=settings.portal_session_hours),
        most=settings.portal_most_sessions,
    )


def _own_services(
    desk: CertificateDesk, archive: Archive, hub: SubsystemId, clock: Clock, gateways: Gateways
) -> dict[ServiceId, OwnService]:
    services: tuple[OwnService, ...] = (
        RegistrationService(desk, hub, clock),
        WithdrawalService(desk, hub),
        OutcomeService(archive, hub, Tickets(archive.vault, clock)),
        StatusService(gateways, hub),
    )
    return {each.service.id: each for each in services}


async def deliver(hub: Hub) -> None:
    """Deliver what is in the outbox, and nothing else, until `hub.worker.stop`; then give everything back.

    The hub must have been started: a worker is a process that serves, though nobody can call it.
    """
    tasks = [
        asyncio.create_task(_follow_registry(hub.registry)),
        asyncio.create_task(_follow_trust_lists(hub)),
        asyncio.create_task(_keep_claim(hub)),
        asyncio.create_task(_look_after_certificates(hub.upkeep)),
    ]
    await asyncio.to_thread(hub.operations.start, "worker")
    hub.refresher.start()
    hub.begin_connecting()
    try:
        await hub.worker.run()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await hub.close()


def build_app(hub: Hub, *, delivers: bool = True) -> FastAPI:
    """Return the hub's HTTP application.

    Args:
        hub: its parts.
        delivers: whether this process delivers what is in the outbox too; other workers do it otherwise.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(_follow_registry(hub.registry)),
            asyncio.create_task(_follow_trust_lists(hub)),
            asyncio.create_task(_seal_log(hub)),
            asyncio.create_task(_keep_claim(hub)),
            asyncio.create_task(_look_after_certificates(hub.upkeep)),
            asyncio.create_task(_keep_own_answers(hub.own_answers)),
            asyncio.create_task(_follow_pauses(hub.pauses)),
        ]
        await asyncio.to_thread(hub.operations.start, "hub")
        hub.begin_upkeep()
        worker = asyncio.create_task(hub.worker.run()) if delivers else None
        yield
        if worker is not None:
            hub.worker.stop()
            await worker
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await hub.close()

    app = FastAPI(
        title="Heliograph",
        version=VERSION,
        description="Government data exchange: signed envelopes, a log nobody can rewrite.",
        lifespan=lifespan,
        # The pages FastAPI would serve load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    install_problems(app)
    app.add_middleware(Watched)
    authenticate = authenticated(hub.accounts)
    # Before the exchange's, which would take "evidence" and "deliveries" for parts of a message, and the
    # registry's, which would take "pause" for a part of a service's name.
    app.include_router(bundle_routes(hub.bundles, hub.readings, authenticate))
    app.include_router(dead_letter_routes(hub.dead_letters, authenticate))
    app.include_router(
        delivery_routes(
            outbox=hub.outbox,
            pauses=hub.pauses,
            archive=hub.archive,
            registry=hub.registry,
            authenticate=authenticate,
        )
    )
    app.include_router(
        exchange_routes(
            pipeline=hub.pipeline,
            archive=hub.archive,
            log=hub.log,
            clock=hub.pipeline.clock,
            readings=hub.readings,
            authenticate=authenticate,
        )
    )
    app.include_router(upload_routes(hub.uploads, hub.pipeline.clock))
    app.include_router(collection_routes(hub.collections))
    app.include_router(readings_routes(hub.readings, authenticate))
    app.include_router(explanation_routes(hub.pipeline.validator, hub.pipeline.clock, authenticate))
    app.include_router(evidence_routes(desk=hub.desk, archive=hub.archive, authenticate=authenticate))
    app.include_router(registry_routes(hub.registry, authenticate))
    app.include_router(certificate_routes(hub.certificates, authenticate))
    app.include_router(encryption_routes(hub.registry, hub.pipeline.clock))
    app.include_router(vault_routes(hub.eraser, authenticate))
    app.include_router(alarm_routes(hub.alarms, authenticate))
    app.include_router(trust_list_routes(hub.trust_lists, hub.pipeline.clock, authenticate))
    app.include_router(key_routes(hub.keys, clock=hub.pipeline.clock, authenticate=authenticate))
    app.include_router(stamp_routes(hub.stamps, hub.records))
    app.include_router(log_health_routes(hub.log_health, authenticate))
    app.include_router(tiled_log_routes(PublishedTree(hub.engine)))
    app.include_router(published_log_routes(hub.published))
    app.include_router(witness_routes(hub.witness))
    app.include_router(operation_routes(hub.operations, authenticate))
    app.mount(MOUNTED_AT, hub.portal.app)
    if hub.connections is not None:
        app.add_middleware(
            ClientsByCertificate,
            judge=hub.connections.client_judge,
            clients=hub.connections.clients,
            messages_at=_MESSAGES_AT,
        )

    return app


async def _to_the_end(work: Callable[..., _T], *arguments: object) -> _T:
    """Do work in a thread; who is cancelled meanwhile waits for its end.

    A thread that went on while the hub closes would give its database connection back to nobody.
    """
    thread = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.wait({thread})
        raise


async def _follow_registry(registry: Registry) -> None:
    """Take over what commands and other hub processes change in the registry, as long as the hub serves."""
    while True:
        await asyncio.sleep(_REGISTRY_SECONDS)
        try:
            await _to_the_end(registry.refresh)
        except Exception:
            # The registry in memory stays as it was; the next look may succeed.
            _logger.exception("registry.not_refreshed")


async def _follow_pauses(pauses: Pauses) -> None:
    """Take over what other hub processes say of services that are being maintained."""
    while True:
        try:
            await asyncio.to_thread(pauses.refresh)
        except Exception:
            # What was known stays so; the next look may succeed.
            _logger.exception("pauses.not_refreshed")
        await asyncio.sleep(_REGISTRY_SECONDS)


async def _follow_trust_lists(hub: Hub) -> None:
    """Take over versions that other hub processes were given, and watch whether the next one is due."""
    while True:
        try:
            await _to_the_end(hub.trust_lists.refresh)
            await _to_the_end(hub.trust_lists.watch, hub.pipeline.clock.now(), hub.alarms)
        except Exception:
            # The list in memory stays in force; the next look may succeed.
            _logger.exception("trust_list.not_refreshed")
        await asyncio.sleep(_TRUST_LIST_SECONDS)


async def _seal_log(hub: Hub) -> None:
    """Sign a checkpoint whenever the log has grown, so that it is time-stamped without anybody asking."""
    signed = -1
    while True:
        await asyncio.sleep(hub.checkpoint_seconds)
        try:
            if await _to_the_end(hub.log.size) > signed:
                signed = (await _to_the_end(hub.log.checkpoint)).checkpoint.size
            _clear_log_alarms(hub)
        except HubError as exc:
            _raise_log_alarm(hub, exc)
        except Exception:
            # The database may be busy or gone for a while; the next turn may succeed.
            _logger.exception("log.not_sealed")


async def _keep_claim(hub: Hub) -> None:
    """Stay known as a process that serves, and release what others left unfinished when they ended."""
    while True:
        try:
            for _ in range(_LOOKS_FOR_INTERRUPTED):
                await asyncio.sleep(_CLAIM_SECONDS)
                await _to_the_end(hub.claim.keep)
            await _to_the_end(hub.interruptions.look)
        except Exception:
            # The database may be gone for a while; claimed again before anything is released.
            _logger.exception("claim.not_kept")


def _raise_log_alarm(hub: Hub, error: HubError) -> None:
    detail = f"{error.code}: {error.detail}"
    match error.code:
        case "log.rolled_back":
            hub.alarms.raise_alarm("log.rolled_back", hub.log.origin, detail)
        case "log.forked":
            hub.alarms.raise_alarm("log.forked", hub.log.origin, detail)
        case _:
            hub.alarms.raise_alarm("log.not_sealed", hub.log.origin, detail)


def _clear_log_alarms(hub: Hub) -> None:
    hub.alarms.clear("log.not_sealed", hub.log.origin)
    hub.alarms.clear("log.rolled_back", hub.log.origin)
    hub.alarms.clear("log.forked", hub.log.origin)


async def _look_after_certificates(upkeep: CertificateUpkeep) -> None:
    while True:
        try:
            await _to_the_end(upkeep.look)
        except Exception:
            # What is in use stays so; the next look may succeed.
            _logger.exception("certificates.not_looked_after")
        await asyncio.sleep(_CERTIFICATES_SECONDS)


async def _keep_own_answers(own: OwnAnswers) -> None:
    while True:
        try:
            await _to_the_end(own.look)
        except Exception:
            # The database may be busy or gone for a while; the next look asks again.
            _logger.exception("revocation.own_answers_not_kept")
        await asyncio.sleep(_OWN_ANSWERS_SECONDS)
