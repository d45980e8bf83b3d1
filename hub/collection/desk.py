# SPDX-License-Identifier: Apache-2.0
"""Hands messages out to gateways that come for them, and takes their answers, each by its signature.

A poll is a signed container, good once and for a few minutes: whoever saw one go by can fetch nothing with
it. It is not logged: it is no message, and the log says of each message when it was taken and answered.

Source: docs/protocols/exchange.md sections 16.1 and 16.2.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from hub.collection import store
from hub.collection.model import COLLECTIONS_PURPOSE, CollectionNumber, Handed, Poll
from hub.collection.waking import woken
from hub.envelope import Kind, LargeEnvelope, open_envelope
from hub.errors import AccessError, EnvelopeError, ExchangeError
from hub.exchange import Arrived, Identified, Opened, Signed
from hub.identifiers import ContractId, ServiceId, SubsystemId, member_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy import Connection, Engine

    from hub.clock import Clock
    from hub.collection.model import Laid
    from hub.collection.waking import Waking
    from hub.database import Writer
    from hub.envelope import Envelope
    from hub.exchange import Pipeline, Tickets
    from hub.identifiers import MemberId
    from hub.outbox import Outbox
    from hub.vault import Vault

CONTRACT = ContractId("message-collection/v1")
POLL_LIFETIME = timedelta(minutes=5)
"""How old a poll may be, and how long it may be good for."""

ABSENT_AFTER = timedelta(seconds=15)
"""How long after the end of a poll its gateway still counts as there: it works, or is on its way back."""

_LOOK_SECONDS = 0.25
_LOOK_ALONE_SECONDS = 1.0
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class CollectionDesk:
    """Where gateways come for their messages.

    Attributes:
        pipeline: identifies who comes, as it does who sends.
        outbox: what waits for a gateway that was away is tried at once when it is back.
        tickets: let a gateway fetch a large message.
        hub: the hub's own subsystem, to which polls are addressed.
    """

    engine: Engine
    writer: Writer
    vault: Vault
    waking: Waking
    clock: Clock
    pipeline: Pipeline
    outbox: Outbox
    tickets: Tickets
    hub: SubsystemId

    @property
    def service(self) -> ServiceId:
        """What a poll names; nothing is sent to it."""
        return ServiceId(f"{self.hub}/collections")

    async def read_poll(self, raw: bytes, *, connected_as: MemberId | None) -> Poll:
        """Believe a poll by its signature, and read what it asks for.

        Args:
            raw: the container.
            connected_as: the member that the connection's certificate speaks for, where it showed one.

        Raises:
            HubError: as for a message, steps 1 to 4 of section 3; `contract.request_invalid`;
                `exchange.poll_unusable`; `access.service_not_owned`: it asks for another member's messages.
        """
        pipeline = self.pipeline
        steps = (
            pipeline.open_request,
            pipeline.check_times,
            pipeline.verify_request,
            pipeline.identify_sender,
        )
        arrived = Arrived(raw=raw, received_at=self.clock.now(), connected_as=connected_as)
        stage, error = await pipeline.walk(steps, arrived)
        if error is not None or not isinstance(stage, Identified):
            raise error or ExchangeError("exchange.internal")
        header = stage.request.header
        self._require_for_us(stage)
        contract = pipeline.contracts.get(CONTRACT)
        if contract is None or header.contract != CONTRACT:
            raise ExchangeError("exchange.contract_mismatch", str(header.contract))
        contract.check_request(stage.request.payloads)
        asked = json.loads(stage.request.payloads["request.json"])
        subsystems = tuple(SubsystemId(each) for each in asked["subsystems"])
        for each in subsystems:
            if member_of(each) != member_of(header.sender):
                raise AccessError("access.service_not_owned", f"{each} is not a subsystem of {header.sender}")
            pipeline.registry.require_subsystem(each)
        return Poll(
            message_id=header.id,
            subsystems=subsystems,
            held=frozenset(CollectionNumber(each) for each in asked["held"]),
            wait_seconds=asked["wait_seconds"],
            expires_at=header.expires_at,
        )

    def _require_for_us(self, stage: Identified) -> None:
        header = stage.request.header
        if header.kind is not Kind.REQUEST or header.service != self.service:
            raise ExchangeError("exchange.not_for_us", f"a {header.kind} for {header.service}")
        if header.purpose is None or header.purpose.item != COLLECTIONS_PURPOSE:
            raise ExchangeError("exchange.poll_unusable", f"its purpose is not {COLLECTIONS_PURPOSE}")
        # What was used is remembered until it expires, so that must be soon.
        if max(stage.received_at - header.sent_at, header.expires_at - header.sent_at) > POLL_LIFETIME:
            raise ExchangeError("exchange.poll_unusable", f"it is good for more than {POLL_LIFETIME}")

    async def collect(self, poll: Poll, *, is_gone: Callable[[], Awaitable[bool]]) -> Handed | None:
        """Hand out the oldest message that lies ready, or wait for one; None when none has come.

        Args:
            poll: as `read_poll` read it.
            is_gone: tells whether the gateway has given up waiting.

        Raises:
            ExchangeError: `exchange.poll_unusable`: it was used before.
        """
        await self._enter(poll)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + poll.wait_seconds
        is_alone = self.engine.dialect.name != "postgresql"
        with self.waking.waiting(poll.subsystems) as event:
            while True:
                handed = await self._hand_out(poll)
                left = deadline - loop.time()
                if handed is not None or left <= 0 or await is_gone():
                    return handed
                await woken(event, min(_LOOK_ALONE_SECONDS if is_alone else _LOOK_SECONDS, left))

    async def _enter(self, poll: Poll) -> None:
        """Use the poll up; what was given up because nobody came is tried again at once."""
        now = self.clock.now()
        until = now + timedelta(seconds=poll.wait_seconds) + ABSENT_AFTER

        def work(connection: Connection) -> bool:
            is_new, returned = store.come(connection, poll, until, now)
            if returned:
                self.outbox.hasten(connection, returned)
            if not is_new:
                raise ExchangeError("exchange.poll_unusable", f"{poll.message_id} was used before")
            return bool(returned)

        if await self.writer.run_async(work):
            _logger.info("collection.gateway_is_back", subsystems=poll.subsystems)
            self.outbox.announce()

    async def _hand_out(self, poll: Poll) -> Handed | None:
        if await asyncio.to_thread(self._look, poll) is None:
            return None

        def work(connection: Connection) -> Laid | None:
            now = self.clock.now()
            # Looked at again: another poll may have been handed it meanwhile.
            laid = store.next_for(connection, poll.subsystems, poll.held, now)
            if laid is not None:
                store.hand_out(connection, laid.number, now)
            return laid

        laid = await self.writer.run_async(work)
        return None if laid is None else await asyncio.to_thread(self._handed, laid)

    def _look(self, poll: Poll) -> Laid | None:
        with self.engine.connect() as connection:
            return store.next_for(connection, poll.subsystems, poll.held, self.clock.now())

    def _handed(self, laid: Laid) -> Handed:
        request = self.vault.envelope(laid.request_sha256)
        is_large = isinstance(request, LargeEnvelope)
        return Handed(
            number=laid.number,
            request=request,
            receipt=laid.receipt,
            ticket=self.tickets.issue(laid.request_sha256) if is_large else None,
        )

    async def take_answer(
        self, number: CollectionNumber, raw: bytes, *, connected_as: MemberId | None
    ) -> None:
        """Take a gateway's answer to what it was handed, when the recipient's member has signed it.

        Whether it answers that message, and well, is found out by who waits for it.

        Args:
            number: of the attempt.
            raw: the answer's container.
            connected_as: as for `read_poll`.

        Raises:
            HubError: it does not open, its signature or certificate does not hold, or it is another member's;
                `exchange.answer_not_awaited`: nobody waits for it any more.
        """
        laid = await asyncio.to_thread(self._require, number)
        try:
            answer = open_envelope(raw, self.pipeline.limits)
        except EnvelopeError as error:
            raise ExchangeError("exchange.answer_unreadable", str(error)) from error
        await self.require_answerer(laid, answer, connected_as=connected_as)
        await self.enter_answer(laid, answer)

    async def require_answerer(self, laid: Laid, answer: Envelope, *, connected_as: MemberId | None) -> None:
        """Hold an answer to a signature of the member whose message it answers; raises as `take_answer`."""
        arrived = Opened(
            raw=answer.raw, received_at=self.clock.now(), connected_as=connected_as, request=answer
        )
        signed: Signed = self.pipeline.verify_request(arrived)
        identified = await self.pipeline.identify_sender(signed)
        if identified.path.member_id != member_of(laid.recipient):
            raise ExchangeError(
                "exchange.answer_not_awaited", f"it is {member_of(laid.recipient)}'s to answer"
            )

    async def enter_answer(self, laid: Laid, answer: Envelope) -> None:
        """Keep an answer, and let who waits have it; raises as `take_answer`."""

        def work(connection: Connection) -> None:
            self.vault.keep(connection, answer)
            if not store.answer(connection, laid.number, answer.container_sha256):
                raise ExchangeError("exchange.answer_not_awaited", str(laid.number))

        await self.writer.run_async(work)
        self.waking.wake(f"answer {laid.number}")

    def _require(self, number: CollectionNumber) -> Laid:
        with self.engine.connect() as connection:
            laid = store.find(connection, number)
        if laid is None or laid.answer_sha256 is not None:
            raise ExchangeError("exchange.answer_not_awaited", str(number))
        return laid


def read_number(text: str) -> CollectionNumber:
    """Read an attempt's number out of a path.

    Raises:
        ExchangeError: `exchange.answer_not_awaited`: it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ExchangeError("exchange.answer_not_awaited", text[:20])
    return CollectionNumber(int(text))
