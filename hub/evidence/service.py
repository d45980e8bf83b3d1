# SPDX-License-Identifier: Apache-2.0
"""Asking for evidence: a caseworker's draft, the gateway that claims it, and where it stands."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import rfc8785

from hub.clock import day_in_china
from hub.envelope import Purpose
from hub.errors import ContractError, ExchangeError, VaultError
from hub.evidence import store
from hub.evidence.model import Draft, EvidenceRequest, RequestState
from hub.exchange import ExchangeState
from hub.identifiers import new_message_id
from hub.telemetry import message_span

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from hub.accounts import Principal
    from hub.clock import Clock
    from hub.contracts import Contract
    from hub.database import Writer
    from hub.exchange import Archive, ExchangeRecord
    from hub.identifiers import ContractId, MessageId, ServiceId, SubsystemId
    from hub.registry import Registry
    from hub.vault import Vault

CLAIM_LIFETIME = timedelta(minutes=15)
"""After this a draft whose gateway fell silent is handed out again; a second message is refused."""

_POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class EvidenceDesk:
    """Keeps caseworkers' requests and hands them to their departments' gateways."""

    engine: Engine
    writer: Writer
    registry: Registry
    contracts: Mapping[ContractId, Contract]
    archive: Archive
    vault: Vault
    clock: Clock
    _arrivals: dict[SubsystemId, asyncio.Event] = field(default_factory=dict)

    async def draft(
        self, requester: Principal, service_id: ServiceId, data: Mapping[str, Any], purpose: Purpose
    ) -> EvidenceRequest:
        """Keep a caseworker's request for the department's gateway.

        What can be refused already is refused now, before anybody signs anything.

        Raises:
            RegistryError: there is no such service.
            AccessError: the caseworker's subsystem has not the right, or not for this purpose.
            ContractError: the question does not keep to the service's contract.
            ExchangeError: `exchange.secrecy_unavailable`: the hub must not read what would be asked.
        """
        if requester.subsystem is None:
            raise ExchangeError("exchange.request_invalid", "the account is bound to no subsystem")
        now = self.clock.now()
        service = self.registry.require_service(service_id)
        self.registry.authorise(
            consumer=requester.subsystem, service=service_id, purpose_item=purpose.item, on=day_in_china(now)
        )
        contract = self.contracts.get(service.contract)
        if contract is None:
            raise ContractError("contract.unknown", service.contract)
        if contract.is_end_to_end:
            raise ExchangeError("exchange.secrecy_unavailable", f"{service.contract} and a draft at the hub")
        contract.check_request({"request.json": rfc8785.dumps(dict(data))})
        request = EvidenceRequest(
            id=new_message_id(now),
            requester=requester.subject,
            subsystem=requester.subsystem,
            service=service_id,
            contract=service.contract,
            created_at=now,
            claimed_at=None,
            state=RequestState.DRAFT,
        )
        draft = Draft(request, data, purpose)

        def work(connection: Connection) -> None:
            retention = contract.retention.period.text if contract.retention else None
            sealed = self.vault.seal(connection, _subject(request.id), _written(draft), retention=retention)
            store.enter(connection, request, store.Sealed(*sealed))

        with message_span("draft", request.id, is_beginning=True, service=service_id):
            await self.writer.run_async(work)
        self._arrival(requester.subsystem).set()
        return request

    async def claim(
        self, subsystem: SubsystemId, *, wait_seconds: float, is_gone: Callable[[], Awaitable[bool]]
    ) -> Draft | None:
        """Hand the subsystem's oldest draft to its gateway, waiting for one if there is none.

        Args:
            subsystem: whose drafts.
            wait_seconds: how long to wait.
            is_gone: tells whether the gateway has hung up; nobody claims for it then.
        """

        def take(connection: Connection) -> Draft | None:
            now = self.clock.now()
            taken = store.claim(connection, subsystem, now, stale_before=now - CLAIM_LIFETIME)
            return None if taken is None else self._opened(connection, *taken)

        deadline = asyncio.get_running_loop().time() + wait_seconds
        while True:
            arrival = self._arrival(subsystem)
            arrival.clear()
            if await is_gone():
                return None
            claimed = await self.writer.run_async(take)
            remaining = deadline - asyncio.get_running_loop().time()
            if claimed is not None or remaining <= 0:
                return claimed
            try:
                await asyncio.wait_for(arrival.wait(), min(remaining, _POLL_SECONDS))
            except TimeoutError:
                continue  # Another hub process may have taken the draft in.

    async def settle(self, request_id: MessageId, subsystem: SubsystemId) -> None:
        """Note that the gateway has sent the message a draft asked for."""
        self.require(request_id, subsystem)
        await self.writer.run_async(lambda connection: store.settle(connection, request_id))

    async def report_failure(
        self, request_id: MessageId, subsystem: SubsystemId, code: str, detail: str
    ) -> None:
        """Note why the gateway could not make an answered message of a draft."""
        self.require(request_id, subsystem)
        await self.writer.run_async(lambda connection: store.fail(connection, request_id, code, detail))

    def require(self, request_id: MessageId, subsystem: SubsystemId | None) -> EvidenceRequest:
        """Return a subsystem's own request with its present state.

        Raises:
            ExchangeError: `message_unknown`, also when it is another subsystem's.
        """
        with self.engine.connect() as connection:
            request = store.find(connection, request_id)
        if request is None or request.subsystem != subsystem:
            raise ExchangeError("exchange.message_unknown", request_id)
        return self._with_state(request)

    def latest(self, subsystem: SubsystemId, most: int) -> Sequence[EvidenceRequest]:
        """Return a subsystem's latest requests with their present states."""
        with self.engine.connect() as connection:
            found = store.list_latest(connection, subsystem, most)
        return [self._with_state(request) for request in found]

    def exchange_of(self, request: EvidenceRequest) -> ExchangeRecord | None:
        """Return the exchange a request led to."""
        return self.archive.find(request.id)

    def _with_state(self, request: EvidenceRequest) -> EvidenceRequest:
        record = self.exchange_of(request)
        if record is None:
            return request
        if record.state is ExchangeState.PROCESSED:
            return replace(
                request, state=RequestState.DELIVERED, code=None, detail=None, message_id=record.message_id
            )
        if record.state is ExchangeState.REFUSED:
            return replace(
                request,
                state=RequestState.FAILED,
                code=record.code or request.code,
                message_id=record.message_id,
            )
        return replace(request, state=RequestState.SENT, message_id=record.message_id)

    def _opened(self, connection: Connection, request: EvidenceRequest, sealed: store.Sealed) -> Draft | None:
        try:
            plain = self.vault.unseal(connection, _subject(request.id), sealed.key_id, sealed.content)
        except VaultError as exc:
            if exc.code != "vault.erased":
                raise
            # Nobody fetched it for as long as it was kept.
            store.fail(connection, request.id, exc.code, exc.detail)
            return None
        fields = json.loads(plain)
        return Draft(request, fields["data"], Purpose(**fields["purpose"]))

    def _arrival(self, subsystem: SubsystemId) -> asyncio.Event:
        return self._arrivals.setdefault(subsystem, asyncio.Event())


def _subject(request_id: MessageId) -> str:
    return f"draft:{request_id}"


def _written(draft: Draft) -> bytes:
    fields = {"data": draft.data, "purpose": asdict(draft.purpose)}
    return json.dumps(fields, ensure_ascii=False).encode("utf-8")
