# SPDX-License-Identifier: Apache-2.0
"""What the hub writes down and signs about a message: log entry, state and receipt, in one transaction.

A receipt names its place in the log, so it is signed inside the transaction that takes that place. Nothing is
said to anybody before the transaction is durable.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
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
    refer_to,
    reply_to,
    write_fault,
    write_receipt,
)
from hub.errors import HubError, ReportedFaultError, VaultError
from hub.exchange import store
from hub.exchange.model import (
    Accepted,
    Answered,
    Arrived,
    Checked,
    Concluded,
    ExchangeState,
    Identified,
    Opened,
    Outcome,
    advance,
)
from hub.exchange.search_store import keep_keys
from hub.exchange.searchkeys import purpose_keys
from hub.findings import logged
from hub.tlog import Entry, EntryEvent

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
    from hub.messagelog import EvidenceRecords, MessageLog
    from hub.tlog import LogPosition
    from hub.vault import Vault

EARLIER_RECEIPT_NAME = "receipt.asice"
_REPLAYS = {"exchange.duplicate_message", "exchange.id_reused", "exchange.in_progress"}
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
    search_keys: SearchKeys | None = None

    async def accept(self, stage: Checked) -> Accepted:
        """Log a request before it is delivered, and sign the receipt that goes with it.

        Raises:
            ExchangeError: the message was here before: `id_reused`, `duplicate_message` or `in_progress`.
        """

        def work(connection: Connection) -> Envelope:
            now = self.clock.now()
            self._begin(connection, stage)
            position = self._append(connection, EntryEvent.ACCEPTED, stage.request, now)
            return self._receipt(stage.request, ReceiptStatus.ACCEPTED, position, now)

        # A row that is there although the write seemed to fail is found by whoever looks for such.
        self.interruptions.begin(stage.request.header.id)
        return advance(stage, Accepted, accepted_receipt=await self.writer.run_async(work))

    async def conclude(self, stage: Answered) -> Concluded:
        """Log the answer, keep it, and sign the final receipt."""
        keys = self._search_keys(stage.answer_keys)

        def work(connection: Connection) -> Envelope:
            now = self.clock.now()
            position = self._append(connection, EntryEvent.ANSWERED, stage.answer, now)
            receipt = self._receipt(
                stage.request, ReceiptStatus.PROCESSED, position, now, answer=stage.answer
            )
            self._keep(connection, stage, stage.answer, receipt)
            keep_keys(connection, stage.request.header.id, keys)
            store.conclude(
                connection,
                stage.request.header.id,
                worker=self.interruptions.worker,
                state=ExchangeState.PROCESSED,
                at=now,
                code=None,
                answer=stage.answer,
                receipt=receipt,
            )
            return receipt

        return advance(stage, Concluded, receipt=await self.writer.run_async(work))

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

    def _refuse_identified(
        self, connection: Connection, stage: Identified, error: HubError, now: datetime
    ) -> Outcome:
        request = stage.request
        # Once delivered it was no replay, whatever code a department's fault carries.
        if error.code in _REPLAYS and not isinstance(stage, Accepted):
            return self._refuse_replay(connection, stage, error, now)
        event = EntryEvent.FAILED if isinstance(stage, Accepted) else EntryEvent.REFUSED
        if event is EntryEvent.REFUSED and not self._enter_refused(connection, stage):
            # The id belongs to an exchange that went well; this copy changes nothing of it.
            return self._refuse_replay(connection, stage, error, now)
        position = self._append(connection, event, request, now, code=error.code)
        if isinstance(error, ReportedFaultError) and isinstance(stage, Answered):
            fault = stage.answer
        else:
            fault = self._fault(stage, error, now)
        receipt = self._receipt(request, ReceiptStatus.REFUSED, position, now, answer=fault, code=error.code)
        self._keep(connection, stage, fault, receipt)
        store.conclude(
            connection,
            request.header.id,
            worker=self.interruptions.worker,
            state=ExchangeState.REFUSED,
            at=now,
            code=error.code,
            answer=fault,
            receipt=receipt,
        )
        return Outcome(container=fault.raw, receipt=receipt.raw, code=error.code)

    def _enter_refused(self, connection: Connection, stage: Identified) -> bool:
        known = store.find(connection, stage.request.header.id)
        is_same = known is not None and known.request_sha256 == stage.request.container_sha256
        if known is not None and not (is_same and known.state is ExchangeState.REFUSED):
            return False
        self._begin(connection, stage)
        return True

    def _begin(self, connection: Connection, stage: Identified) -> None:
        is_first = store.begin(connection, stage.request, stage.received_at, self.interruptions.worker)
        # A second try may have come further, so that its contract says how long it is kept.
        if is_first or isinstance(stage, Checked):
            self._keep(connection, stage, stage.request)
            agreed = stage.request_keys if isinstance(stage, Checked) else ()
            keys = self._search_keys((*purpose_keys(stage.request.header), *agreed))
            keep_keys(connection, stage.request.header.id, keys)

    def _search_keys(self, keys: Iterable[BusinessKey]) -> tuple[StoredKey, ...]:
        return self.search_keys.store(keys) if self.search_keys is not None else ()

    def _keep(self, connection: Connection, stage: Identified, *envelopes: Envelope) -> None:
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
        )
        return reply_to(request, Kind.RECEIPT, (write_receipt(receipt),), party=self.party, now=now)

    def _fault(self, stage: Arrived, error: HubError, now: datetime) -> Envelope:
        payloads = (write_fault(describe_fault(error)),)
        if isinstance(stage, Opened):
            return reply_to(stage.request, Kind.FAULT, payloads, party=self.party, now=now)
        return fault_about_unreadable(payloads, party=self.party, now=now)
