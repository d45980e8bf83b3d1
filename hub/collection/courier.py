# SPDX-License-Identifier: Apache-2.0
"""Delivery to a gateway that nobody can call: the message is laid out until the gateway comes for it.

The process that waits for the answer need not be the one the gateway came to: they meet in the database.

Source: docs/protocols/exchange.md section 16.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from hub.collection import store
from hub.collection.model import CollectionState
from hub.collection.waking import woken
from hub.envelope import Kind, LargeEnvelope
from hub.errors import ExchangeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

    from hub.clock import Clock
    from hub.collection.model import CollectionNumber, Laid
    from hub.collection.waking import Waking
    from hub.database import Writer
    from hub.envelope import Envelope
    from hub.exchange import Courier
    from hub.identifiers import SubsystemId
    from hub.registry import Service
    from hub.vault import Vault

GRACE_SECONDS = 5.0
"""How long a message waits for a gateway that does not come just now: it may be between two polls."""

_FIRST_LOOK_SECONDS = 0.05
_LONGEST_LOOK_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class CollectionCourier:
    """Lays out what is for services without an address, and hands all else on.

    Attributes:
        retention_of: how long the hub keeps what is sent to a service.
        beyond: carries what goes to an address.
        grace_seconds: how long a message waits when no gateway comes.
    """

    engine: Engine
    writer: Writer
    vault: Vault
    waking: Waking
    clock: Clock
    retention_of: Callable[[Service], str | None]
    beyond: Courier
    grace_seconds: float = GRACE_SECONDS

    async def deliver(self, request: Envelope, receipt: Envelope, service: Service) -> bytes | LargeEnvelope:
        """Lay a message out and return what the gateway answers that comes for it.

        Raises:
            ExchangeError: `exchange.not_collected`: no gateway has come for it; `exchange.delivery_timeout`:
                one has, and has not answered in time; as the courier beyond for services with an address.
        """
        if service.gateway_url is not None:
            return await self.beyond.deliver(request, receipt, service)
        is_event = request.header.kind is Kind.EVENT
        recipient = receipt.header.recipient if is_event else request.header.recipient
        number = await self._lay_out(recipient, request, receipt, service)
        missed: SubsystemId | None = None
        try:
            return await self._await(number, recipient, service)
        except ExchangeError as error:
            missed = recipient if error.code == "exchange.not_collected" else None
            raise
        finally:
            # Also for who was cancelled: what nobody waits for must not be handed out any more.
            await asyncio.shield(self._clear_away(number, missed))

    async def _lay_out(
        self, recipient: SubsystemId, request: Envelope, receipt: Envelope, service: Service
    ) -> CollectionNumber:
        retention = self.retention_of(service)
        now = self.clock.now()
        until = now + timedelta(seconds=service.timeout_seconds)

        def work(connection: Connection) -> CollectionNumber:
            if not isinstance(request, LargeEnvelope):
                # A large one came by the outbox and is there; for others nobody may have kept it yet.
                self.vault.keep(connection, request, retention=retention)
            return store.lay_out(connection, recipient, request, receipt.raw, now=now, until=until)

        number = await self.writer.run_async(work)
        self.waking.wake(recipient)
        return number

    async def _await(
        self, number: CollectionNumber, recipient: SubsystemId, service: Service
    ) -> bytes | LargeEnvelope:
        loop = asyncio.get_running_loop()
        began = loop.time()
        pause = _FIRST_LOOK_SECONDS
        with self.waking.waiting([f"answer {number}"]) as event:
            while True:
                laid = await asyncio.to_thread(self._find, number)
                if laid is not None and laid.answer_sha256 is not None:
                    return await asyncio.to_thread(self._read, laid.answer_sha256)
                waited = loop.time() - began
                await self._require_patience(laid, recipient, service, waited)
                await woken(event, min(pause, max(service.timeout_seconds - waited, 0.01)))
                pause = min(2 * pause, _LONGEST_LOOK_SECONDS)

    async def _require_patience(
        self, laid: Laid | None, recipient: SubsystemId, service: Service, waited: float
    ) -> None:
        """Give up when it took too long, or when nobody comes."""
        is_handed_out = laid is not None and laid.state is CollectionState.HANDED_OUT
        if waited >= service.timeout_seconds:
            code = "exchange.delivery_timeout" if is_handed_out else "exchange.not_collected"
            raise ExchangeError(code, f"{service.timeout_seconds} s")
        if is_handed_out or waited < self.grace_seconds:
            return
        if not await asyncio.to_thread(self._is_present, recipient):
            raise ExchangeError("exchange.not_collected", f"no gateway comes for {recipient}")

    async def _clear_away(self, number: CollectionNumber, missed: SubsystemId | None) -> None:
        now = self.clock.now()

        def work(connection: Connection) -> None:
            store.clear_away(connection, number, now)
            if missed is not None:
                store.miss(connection, missed, now)

        await self.writer.run_async(work)

    def _find(self, number: CollectionNumber) -> Laid | None:
        with self.engine.connect() as connection:
            return store.find(connection, number)

    def _is_present(self, recipient: SubsystemId) -> bool:
        with self.engine.connect() as connection:
            return bool(store.present(connection, [recipient], self.clock.now()))

    def _read(self, sha256: str) -> bytes | LargeEnvelope:
        answer = self.vault.envelope(sha256)
        return answer if isinstance(answer, LargeEnvelope) else answer.raw
