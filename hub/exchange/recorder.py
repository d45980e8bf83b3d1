# SPDX-License-Identifier: Apache-2.0
"""What the hub writes down and signs about a message: log entry, state and receipt, in one transaction.

A receipt names its place in the log, so it is signed inside the transaction that takes that place. Nothing is
said to anybody before the transaction is durable.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from hub.envelope import (
    CONTAINER_MEDIA_TYPE,
    Kind,
    LogReference,
    Payload,
    Receipt,
    ReceiptStatus,
    describe_fault,
    fault_about_unreadable,
    read_receipt,
    refer_to,
    reply_to,
    write_fault,
    write_receipt,
)
from hub.errors import ExchangeError, HubError, ReportedFaultError, VaultError
from hub.exchange import store
from hub.exchange.model import (
    Accepted,
    Answered,
    Arrived,
    Checked,
    Concluded,
    Deferred,
    ExchangeState,
    Identified,
    Opened,
    Outcome,
    advance,
)
from hub.exchange.search_store import keep_keys
from hub.exchange.searchkeys import purpose_keys
from hub.findings import logged
from hub.outbox import OPEN_STATES, Ending, NewDelivery
from hub.tlog import Entry, EntryEvent, LogPosition

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection

    from hub.clock import Clock
    from hub.contracts import BusinessKey
    from hub.database import Writer
    from hub.envelope import Envelope, Party
    from hub.exchange.interruptions import Interruptions
    from hub.exchange.searchkeys import SearchKeys, StoredKey
    from hub.identifiers import SubsystemId
    from hub.messagelog import EvidenceRecords, MessageLog
    from hub.outbox import Delivery, Outbox
    from hub.vault import Vault

EARLIER_RECEIPT_NAME = "receipt.asice"
_REPLAYS = {
    "exchange.duplicate_message",
    "exchange.id_reused",
    "exchange.in_progress",
    "exchange.queued",
}
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """Logs, keeps and signs for the hub."""

    log: MessageLog
    vault: Vault
    records: EvidenceRecords
    writer: Writer
    party: Party
    clock: Clock
    interruptions: Interruptions
    outbox: Outbox
    search_keys: SearchKeys | None = None

    async def accept(self, stage: Checked) -> Accepted:
        """Log a request before it is delivered, and sign the receipt that goes with it.

        Raises:
            ExchangeError: the message was here before: `id_reused`, `duplicate_message` or `in_progress`.
        """

        def work(connection: Connection) -> Envelope:
            now = self.clock.now()
            if not self._begin(connection, stage, keys=stage.request_keys):
                # What its sender sends once more and waits for is no operator's to replay.
                self.outbox.supersede(connection, stage.request.header.id)
            position = self._append(connection, EntryEvent.ACCEPTED, stage.request, now)
            return self._receipt(stage.request, ReceiptStatus.ACCEPTED, position, now)

        # A row that is there although the write seemed to fail is found by whoever looks for such.
        self.interruptions.begin(stage.request.header.id)
        return advance(stage, Accepted, accepted_receipt=await self.writer.run_async(work))

    async def enqueue(self, stage: Checked) -> Accepted:
        """Log a request nobody waits for, sign the receipt, and put it into the outbox.

        Raises:
            ExchangeError: the message was here before: `id_reused`, `duplicate_message`, `in_progress` or
                `queued`.
        """

        def work(connection: Connection) -> Envelope:
            now = self.clock.now()
            self._begin(connection, stage, keys=stage.request_keys, is_queued=True)
            position = self._append(connection, EntryEvent.ACCEPTED, stage.request, now)
            receipt = self._receipt(stage.request, ReceiptStatus.ACCEPTED, position, now)
            self._keep(connection, stage, receipt)
            store.note(connection, stage.request.header.id, ExchangeState.QUEUED, receipt)
            for recipient in stage.recipients:
                self.outbox.put(connection, _delivery_of(stage, recipient, position))
            if not stage.recipients:
                self._end_untold(connection, stage, position, now)
            return receipt

        receipt = await self.writer.run_async(work)
        self.outbox.announce()
        return advance(stage, Accepted, accepted_receipt=receipt)

    async def readmit(self, stage: Checked) -> Accepted:
        """Sign a fresh receipt for one more attempt: a gateway takes each only once, and for five minutes."""
        delivery = _delivery_in(stage)
        position = LogPosition(delivery.log_index, bytes.fromhex(delivery.log_leaf))
        receipt = self._receipt(
            stage.request, ReceiptStatus.ACCEPTED, position, self.clock.now(), subscriber=_subscriber(stage)
        )
        return advance(stage, Accepted, accepted_receipt=receipt)

    def _end_untold(
        self, connection: Connection, stage: Checked, position: LogPosition, now: datetime
    ) -> None:
        """End an event nobody is sent."""
        receipt = self._receipt(stage.request, ReceiptStatus.PROCESSED, position, now)
        self._keep(connection, stage, receipt)
        store.conclude(
            connection,
            stage.request.header.id,
            worker=None,
            state=ExchangeState.PROCESSED,
            at=now,
            code=None,
            answer=None,
            receipt=receipt,
        )

    def acknowledge(self, answer: Envelope, concluded: Concluded | Deferred) -> Envelope:
        """Sign that an answer which came unasked was accepted, and where the log says so."""
        return self._reply_receipt(
            answer,
            Receipt(
                status=ReceiptStatus.ACCEPTED,
                at=self.clock.now(),
                message=refer_to(answer),
                log=read_receipt(concluded.receipt).log,
            ),
        )

    async def conclude(self, stage: Answered) -> Concluded | Deferred:
        """Log the answer, keep it, and sign the final receipt; one that is only promised is waited for."""
        if stage.expected_by is not None:
            return await self._defer(stage, stage.expected_by)
        keys = self._search_keys(stage.answer_keys)

        def work(connection: Connection) -> Envelope:
            now = self.clock.now()
            is_receipt = stage.answer.header.kind is Kind.RECEIPT
            event = EntryEvent.DELIVERED if is_receipt else EntryEvent.ANSWERED
            position = self._append(connection, event, stage.answer, now)
            receipt = self._receipt(
                stage.request,
                ReceiptStatus.PROCESSED,
                position,
                now,
                answer=stage.answer,
            )
            self._keep(connection, stage, stage.answer, receipt)
            keep_keys(connection, stage.request.header.id, keys)
            self._end(
                connection, stage, ExchangeState.PROCESSED, at=now, answer=stage.answer, receipt=receipt
            )
            return receipt

        return advance(stage, Concluded, receipt=await self.writer.run_async(work))

    async def _defer(self, stage: Answered, expected_by: datetime) -> Deferred:
        """Enter the promise; a message whose sender waits goes into the outbox with it."""

        def work(connection: Connection) -> Envelope:
            now = self.clock.now()
            position = self._append(connection, EntryEvent.DELIVERED, stage.answer, now)
            receipt = self._receipt(
                stage.request,
                ReceiptStatus.DELIVERED,
                position,
                now,
                answer=stage.answer,
                expected_by=max(expected_by, now),
            )
            self._keep(connection, stage, stage.answer, receipt)
            if stage.request.header.kind is not Kind.EVENT:
                store.note(connection, stage.request.header.id, ExchangeState.DEFERRED, receipt)
            # Who promises what has passed must not be asked again and again without a pause.
            soonest = now + timedelta(seconds=stage.service.delivery.first_pause_seconds)
            expected = max(expected_by, soonest)
            if stage.delivery is not None:
                self.outbox.defer(connection, stage.delivery, at=now, expected_by=expected)
            else:
                new = _delivery_of(stage, stage.request.header.recipient, _place_of(stage.accepted_receipt))
                self.outbox.put(connection, new, expected_by=expected)
            return receipt

        return advance(stage, Deferred, receipt=await self.writer.run_async(work))

    async def give_up(self, delivery: Delivery, stage: Arrived, error: HubError, *, is_dead: bool) -> None:
        """Log that a message of the outbox came to nothing, and sign the final receipt that says why.

        Args:
            delivery: the row of the outbox.
            stage: how far the last attempt came.
            error: why it ended.
            is_dead: whether somebody has to look at it; otherwise its sender asked for what there is not.
        """

        def work(connection: Connection) -> None:
            now = self.clock.now()
            if isinstance(stage, Opened):
                self._end_refused(connection, stage, EntryEvent.FAILED, error, now, is_dead=is_dead)
            else:
                self._end_unread(connection, delivery, error, now)

        await self.writer.run_async(work)

    def replay(self, letter: Delivery, request: Envelope, *, retention: str | None, by: str) -> None:
        """Log that a dead letter is delivered once more, and put it into the outbox; not on an event loop.

        Args:
            letter: which.
            request: its container.
            retention: how long its contract says it is kept.
            by: the account that asks.

        Raises:
            ExchangeError: `not_dead`: it was replayed, closed or sent again meanwhile.
        """

        def work(connection: Connection) -> None:
            now = self.clock.now()
            position = self._append(connection, EntryEvent.REPLAYED, request, now)
            receipt = self._receipt(request, ReceiptStatus.ACCEPTED, position, now)
            self.vault.keep(connection, receipt, retention=retention)
            self.records.take(connection, receipt)
            is_dead = self.outbox.replay(connection, letter, by=by, position=position)
            if not is_dead or not store.reopen(connection, letter.message_id, receipt):
                raise ExchangeError("exchange.not_dead", str(letter.number))

        self.writer.run(work)

    def _end_unread(self, connection: Connection, delivery: Delivery, error: HubError, now: datetime) -> None:
        """End a message whose bytes are gone: no receipt can be bound to what nobody can read."""
        entry = Entry(
            event=EntryEvent.FAILED,
            at=now,
            container_sha256=delivery.request_sha256,
            message_id=delivery.message_id,
            sender=delivery.sender,
            recipient=delivery.recipient,
            service=delivery.service,
            code=error.code,
        )
        self.log.append(connection, entry)
        self.outbox.bury(connection, delivery, Ending(at=now, code=error.code, detail=error.detail))
        store.conclude(
            connection,
            delivery.message_id,
            worker=None,
            state=ExchangeState.REFUSED,
            at=now,
            code=error.code,
            answer=None,
            receipt=None,
        )

    async def refuse(self, stage: Arrived, error: HubError) -> Outcome:
        """Log a refusal at whatever stage it came, and sign the fault that says why."""
        _logger.info(
            "exchange.refused",
            code=error.code,
            detail=error.detail,
            message_id=stage.request.header.id if isinstance(stage, Opened) else None,
            **logged(error),
        )

        def work(connection: Connection) -> Outcome:
            now = self.clock.now()
            if isinstance(stage, Identified):
                return self._refuse_identified(connection, stage, error, now)
            self._log_unidentified(connection, stage, error, now)
            fault = self._fault(stage, error, now)
            return Outcome(container=fault.raw, receipt=None, code=error.code)

        return await self.writer.run_async(work)

    async def refuse_announced(self, stage: Arrived, error: HubError) -> Outcome:
        """Log that an announcement was refused, and sign the fault that says why.

        Nothing of the message was here but its announcement, so that is what the entry names, and there is no
        exchange and no receipt.
        """
        message_id = stage.large.header.id if stage.large else None
        _logger.info(
            "exchange.announcement_refused",
            code=error.code,
            detail=error.detail,
            message_id=message_id,
            **logged(error),
        )

        def work(connection: Connection) -> Outcome:
            now = self.clock.now()
            digest = hashlib.sha256(stage.raw).hexdigest()
            self.log.append(
                connection,
                Entry(event=EntryEvent.REFUSED, at=now, container_sha256=digest, code=error.code),
            )
            fault = self._fault(stage, error, now)
            return Outcome(container=fault.raw, receipt=None, code=error.code)

        return await self.writer.run_async(work)

    def _refuse_identified(
        self, connection: Connection, stage: Identified, error: HubError, now: datetime
    ) -> Outcome:
        # Once delivered it was no replay, whatever code a department's fault carries.
        if error.code in _REPLAYS and not isinstance(stage, Accepted):
            return self._refuse_replay(connection, stage, error, now)
        event = EntryEvent.FAILED if isinstance(stage, Accepted) else EntryEvent.REFUSED
        if event is EntryEvent.REFUSED and not self._enter_refused(connection, stage):
            # The id belongs to an exchange that went well; this copy changes nothing of it.
            return self._refuse_replay(connection, stage, error, now)
        fault, receipt = self._end_refused(connection, stage, event, error, now)
        return Outcome(container=fault.raw, receipt=receipt.raw, code=error.code)

    def _end_refused(  # noqa: PLR0913 - what happened, each by its name
        self,
        connection: Connection,
        stage: Opened,
        event: EntryEvent,
        error: HubError,
        now: datetime,
        *,
        is_dead: bool = False,
    ) -> tuple[Envelope, Envelope]:
        position = self._append(connection, event, stage.request, now, code=error.code)
        if isinstance(error, ReportedFaultError) and isinstance(stage, Answered):
            fault = stage.answer
        else:
            fault = self._fault(stage, error, now)
        receipt = self._receipt(
            stage.request, ReceiptStatus.REFUSED, position, now, answer=fault, code=error.code
        )
        self._keep(connection, stage, fault, receipt)
        self._end(
            connection,
            stage,
            ExchangeState.REFUSED,
            at=now,
            answer=fault,
            receipt=receipt,
            error=error,
            is_dead=is_dead,
        )
        return fault, receipt

    def _end(  # noqa: PLR0913 - a row's final fields, each by its name
        self,
        connection: Connection,
        stage: Opened,
        state: ExchangeState,
        *,
        at: datetime,
        answer: Envelope,
        receipt: Envelope,
        error: HubError | None = None,
        is_dead: bool = False,
    ) -> None:
        """Enter how an exchange ended, and in the outbox too when it comes from there."""
        code = error.code if error else None
        if stage.delivery is not None:
            ending = Ending(
                at=at,
                code=code,
                detail=error.detail if error else "",
                answer_sha256=answer.container_sha256,
                receipt_sha256=receipt.container_sha256,
            )
            leave = self.outbox.bury if is_dead else self.outbox.settle
            leave(connection, stage.delivery, ending)
            if stage.request.header.kind is Kind.EVENT:
                self._end_event(connection, stage.delivery, at)
                return
        store.conclude(
            connection,
            stage.request.header.id,
            worker=None if stage.delivery else self.interruptions.worker,
            state=state,
            at=at,
            code=code,
            answer=answer,
            receipt=receipt,
        )

    def _end_event(self, connection: Connection, ended: Delivery, at: datetime) -> None:
        """Enter how an event ended when its last delivery has; one that did not go well speaks for all."""
        rows = self.outbox.of_message(ended.message_id, connection)
        if any(row.state in OPEN_STATES for row in rows):
            return
        failed = [row for row in rows if row.code is not None]
        [deciding] = failed[:1] or [row for row in rows if row.number == ended.number]
        store.conclude_event(
            connection,
            ended.message_id,
            state=ExchangeState.REFUSED if failed else ExchangeState.PROCESSED,
            at=at,
            ended=deciding,
        )

    def _enter_refused(self, connection: Connection, stage: Identified) -> bool:
        known = store.find(connection, stage.request.header.id)
        is_same = known is not None and known.request_sha256 == stage.request.container_sha256
        if known is not None and not (is_same and known.state is ExchangeState.REFUSED):
            return False
        self._begin(connection, stage)
        return True

    def _begin(
        self,
        connection: Connection,
        stage: Identified,
        *,
        keys: Iterable[BusinessKey] = (),
        is_queued: bool = False,
    ) -> bool:
        """Enter a try; a message is found by its content (`keys`) from its acceptance on."""
        worker = None if is_queued else self.interruptions.worker
        is_first = store.begin(connection, stage.request, stage.received_at, worker)
        # A second try may have come further, so that its contract says how long it is kept.
        if is_first or isinstance(stage, Checked):
            self._keep(connection, stage, stage.request)
            found_by = self._search_keys((*purpose_keys(stage.request.header), *keys))
            keep_keys(connection, stage.request.header.id, found_by)
        return is_first

    def _search_keys(self, keys: Iterable[BusinessKey]) -> tuple[StoredKey, ...]:
        return self.search_keys.store(keys) if self.search_keys is not None else ()

    def _keep(self, connection: Connection, stage: Opened, *envelopes: Envelope) -> None:
        agreed = stage.contract.retention if isinstance(stage, Checked) else None
        for envelope in envelopes:
            self.vault.keep(connection, envelope, retention=agreed.period.text if agreed else None)
            self.records.take(connection, envelope)

    def _refuse_replay(
        self, connection: Connection, stage: Identified, error: HubError, now: datetime
    ) -> Outcome:
        """Deliver nothing; hand back the first try's receipt to whoever sends the very same message."""
        self._append(connection, EntryEvent.DUPLICATE, stage.request, now, code=error.code)
        known = store.find(connection, stage.request.header.id)
        earlier: bytes | None = None
        if (
            known is not None
            and known.receipt_sha256 is not None
            and known.request_sha256 == stage.request.container_sha256
        ):
            earlier = self._read_kept(connection, known.receipt_sha256)
        if error.code == "exchange.queued" and earlier is not None:
            # No error: whoever asks again, unsure whether it arrived, hears what the first one heard.
            return Outcome(
                container=earlier,
                receipt=earlier,
                code=None,
                is_queued=True,
                message_id=known.message_id if known else None,
            )
        attached = () if earlier is None else (Payload(EARLIER_RECEIPT_NAME, CONTAINER_MEDIA_TYPE, earlier),)
        fault = reply_to(
            stage.request,
            Kind.FAULT,
            (write_fault(describe_fault(error)), *attached),
            party=self.party,
            now=now,
        )
        return Outcome(container=fault.raw, receipt=earlier, code=error.code)

    def _read_kept(self, connection: Connection, sha256: str) -> bytes | None:
        try:
            return self.vault.read(sha256, connection)
        except VaultError as exc:
            if exc.code != "vault.erased":
                raise
            return None

    def _log_unidentified(
        self, connection: Connection, stage: Arrived, error: HubError, now: datetime
    ) -> None:
        if isinstance(stage, Opened):
            self._append(connection, EntryEvent.REFUSED, stage.request, now, code=error.code)
            return
        digest = hashlib.sha256(stage.raw).hexdigest()
        self.log.append(
            connection,
            Entry(event=EntryEvent.REFUSED, at=now, container_sha256=digest, code=error.code),
        )

    def _append(
        self,
        connection: Connection,
        event: EntryEvent,
        envelope: Envelope,
        now: datetime,
        *,
        code: str | None = None,
    ) -> LogPosition:
        header = envelope.header
        return self.log.append(
            connection,
            Entry(
                event=event,
                at=now,
                container_sha256=envelope.container_sha256,
                manifest_sha256=envelope.manifest_sha256,
                message_id=header.id,
                sender=header.sender,
                recipient=header.recipient,
                service=header.service,
                code=code,
            ),
        )

    def _receipt(  # noqa: PLR0913 - a receipt's fields, each by its name
        self,
        request: Envelope,
        status: ReceiptStatus,
        position: LogPosition,
        now: datetime,
        *,
        answer: Envelope | None = None,
        code: str | None = None,
        expected_by: datetime | None = None,
        subscriber: SubsystemId | None = None,
    ) -> Envelope:
        receipt = Receipt(
            status=status,
            at=now,
            message=refer_to(request),
            log=LogReference(
                origin=self.log.origin, index=position.index, leaf_sha256=position.leaf_hash.hex()
            ),
            answer=refer_to(answer) if answer is not None else None,
            code=code,
            expected_by=expected_by,
        )
        return self._reply_receipt(request, receipt, subscriber)

    def _reply_receipt(
        self, message: Envelope, receipt: Receipt, recipient: SubsystemId | None = None
    ) -> Envelope:
        return reply_to(
            message,
            Kind.RECEIPT,
            (write_receipt(receipt),),
            party=self.party,
            now=receipt.at,
            recipient=recipient,
        )

    def _fault(self, stage: Arrived, error: HubError, now: datetime) -> Envelope:
        payloads = (write_fault(describe_fault(error)),)
        if isinstance(stage, Opened):
            return reply_to(stage.request, Kind.FAULT, payloads, party=self.party, now=now)
        return fault_about_unreadable(payloads, party=self.party, now=now)


def _delivery_of(stage: Checked, recipient: SubsystemId, position: LogPosition) -> NewDelivery:
    header = stage.request.header
    return NewDelivery(
        message_id=header.id,
        conversation=header.conversation,
        sender=header.sender,
        recipient=recipient,
        service=stage.service.id,
        kind=stage.contract.pattern,
        is_ordered=stage.contract.is_ordered,
        expires_at=header.expires_at,
        log_index=position.index,
        log_leaf=position.leaf_hash.hex(),
        request_sha256=stage.request.container_sha256,
    )


def _place_of(receipt: Envelope) -> LogPosition:
    """Return where the log says what one of the hub's receipts says."""
    log = read_receipt(receipt).log
    if log is None:
        raise TypeError("the hub's receipt names its place in the log")
    return LogPosition(log.index, bytes.fromhex(log.leaf_sha256))


def _subscriber(stage: Opened) -> SubsystemId | None:
    """Return whom the receipts of an event's delivery are for; None leaves them to the sender."""
    is_event = stage.request.header.kind is Kind.EVENT
    return stage.delivery.recipient if is_event and stage.delivery else None


def _delivery_in(stage: Arrived) -> Delivery:
    if stage.delivery is None:
        raise TypeError("only what comes from the outbox is delivered once more")
    return stage.delivery
