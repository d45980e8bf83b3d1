# SPDX-License-Identifier: Apache-2.0
"""The department's side of a message: believe it, ask the legacy system, sign what it answered.

A gateway answers only what the hub has accepted and logged: the hub's signed receipt must come along. A
message has its effect once: what was answered is written down (`adapters.inbox`) and answered again.

Source: docs/protocols/exchange.md sections 4 and 12.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import rfc8785
import structlog

from adapters.inbox import Arrival, Inbox, InboxState
from adapters.peers import require_signed_by
from adapters.ports import Call, DeferredError, NotAskedError
from adapters.reporting import Fortunes
from adapters.watching import answering, asking_legacy
from hub.clock import to_milliseconds
from hub.contracts import Pattern
from hub.envelope import (
    FilePayload,
    Kind,
    Party,
    Payload,
    Receipt,
    ReceiptStatus,
    describe_fault,
    fault_about_unreadable,
    is_announcement,
    open_announcement,
    open_envelope,
    read_receipt,
    refer_to,
    reply_to,
    write_fault,
    write_receipt,
)
from hub.errors import AdapterError, EnvelopeError, ExchangeError, HubError, TrustError
from hub.findings import logged
from hub.identifiers import member_of, subsystem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cryptography import x509

    from adapters.configuration import ConfiguredAdapter
    from adapters.inbox import Known
    from adapters.largedesk import LargeDesk
    from adapters.ports import Answer
    from adapters.secrecy import Secrecy
    from adapters.watching import Answering
    from hub.clock import Clock
    from hub.contracts import Contract
    from hub.envelope import Envelope, LargeEnvelope
    from hub.identifiers import ContractId, MemberId, ServiceId, SubsystemId
    from hub.trust import SigningKey, Validator

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Admitted:
    """A large message that may come: who sent it, the hub's receipt and its contract hold."""

    request: LargeEnvelope
    subsystem: SubsystemId


@dataclass
class _Case:
    """What is known of a message by the time something about it fails."""

    watched: Answering
    request: Envelope | None = None
    subsystem: SubsystemId | None = None

    def opened(self, request: Envelope) -> None:
        self.request = request
        self.watched.opened(request.header)


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """Answers for the subsystems of one member."""

    subsystems: frozenset[SubsystemId]
    key: SigningKey
    hub_member: MemberId
    services: Mapping[ServiceId, ConfiguredAdapter]
    contracts: Mapping[ContractId, Contract]
    validator: Validator
    clock: Clock
    secrecy: Secrecy | None = None
    inbox: Inbox = field(default_factory=Inbox)
    desk: LargeDesk | None = None
    fortunes: Fortunes = field(default_factory=Fortunes)

    def answer(self, raw: bytes, receipt_raw: bytes) -> bytes:
        """Answer a message with a signed response or receipt, or with a signed fault that says why not.

        Args:
            raw: the container of a request or an event.
            receipt_raw: the hub's receipt for it, a container too.
        """
        return self._told(lambda case: self._answer(case, open_envelope(raw), receipt_raw))

    def refuse(self, raw: bytes, error: HubError) -> bytes:
        """Sign a fault about a request that was admitted before, in the place of its answer."""
        request = open_announcement(raw) if is_announcement(raw) else open_envelope(raw)
        return self._fault(request, request.header.recipient, error).raw

    def admit(self, raw: bytes, receipt_raw: bytes) -> Admitted | bytes:
        """Check the announcement of a large message; return what is to be answered when it is there.

        What was answered already, or is refused, is answered at once.

        Args:
            raw: the announcement.
            receipt_raw: the hub's receipt for the message.
        """
        admitted: list[Admitted] = []

        def work(case: _Case) -> bytes:
            request = open_announcement(raw)
            arrival = self._arrive(case, request, receipt_raw)
            with self.inbox.in_hand(arrival.message_id, arrival.recipient):
                known = self._take(arrival)
            if known is None:
                self._check_announced(request)
                admitted.append(Admitted(request, arrival.recipient))
            return known or b""

        answer = self._told(work)
        return admitted[0] if admitted else answer

    def answer_admitted(self, admitted: Admitted, files: Mapping[str, Path]) -> bytes:
        """Answer a large message that is there, as `answer` does.

        Args:
            admitted: as `admit` returned it.
            files: its large payloads, by name; each is what was announced.
        """

        def work(case: _Case) -> bytes:
            request, subsystem = admitted.request, admitted.subsystem
            case.opened(request)
            case.subsystem = subsystem
            with self.inbox.in_hand(request.header.id, subsystem):
                known = self.inbox.known(request.header.id, subsystem)
                if known is not None and known.answer is not None and self._holds_still(known):
                    return known.answer
                if request.header.expires_at <= self.clock.now():
                    raise ExchangeError("exchange.expired", f"expires_at {request.header.expires_at}")
                return self._ask_and_record(request, subsystem, is_awaited=True, files=files)

        return self._told(work)

    def _answer(self, case: _Case, request: Envelope, receipt_raw: bytes) -> bytes:
        arrival = self._arrive(case, request, receipt_raw)
        with self.inbox.in_hand(arrival.message_id, arrival.recipient):
            known = self._take(arrival)
            if known is not None:
                return known
            return self._ask_and_record(request, arrival.recipient, is_awaited=True)

    def _arrive(self, case: _Case, request: Envelope, receipt_raw: bytes) -> Arrival:
        case.opened(request)
        case.subsystem = self._recipient(request, receipt_raw)
        return self._accept(request, receipt_raw, case.subsystem)

    def _take(self, arrival: Arrival) -> bytes | None:
        """Return what was answered to a message already, as far as that holds."""
        known = self.inbox.take(arrival, self.clock.now())
        return known.answer if known.answer is not None and self._holds_still(known) else None

    def _check_announced(self, request: LargeEnvelope) -> None:
        """Hold an announcement to the contract, as far as that goes without its large payloads."""
        contract = self.contracts[self._configured(request).contract]
        if contract.is_end_to_end:
            raise EnvelopeError("envelope.too_large", "what is encrypted to its recipient is not announced")
        media_types = {entry.name: entry.media_type for entry in request.header.payload}
        contract.check_request(request.payloads, media_types, request.absent_sizes)

    def _told(self, work: Callable[[_Case], bytes]) -> bytes:
        """Do something about a message, and say in a signed fault where that failed."""
        with answering(self.services) as watched:
            case = _Case(watched)
            try:
                answer = work(case)
            except HubError as error:
                _logger.info("gateway.refused", code=error.code, detail=error.detail, **logged(error))
                watched.failed(error.code)
                self.fortunes.note(watched.service, error.code, self.clock.now())
                return self._fault(case.request, case.subsystem, error).raw
            except Exception:
                _logger.exception("gateway.failed")
                watched.failed("adapter.system_fault")
                self.fortunes.note(watched.service, "adapter.system_fault", self.clock.now())
                fault = AdapterError("adapter.system_fault", "the gateway failed")
                return self._fault(case.request, case.subsystem, fault).raw
            self.fortunes.note(watched.service, None, self.clock.now())
            return answer

    def look_again(self, request: Envelope, subsystem: SubsystemId) -> bytes | None:
        """Ask the legacy system about a deferred message once more; None when it is not ready.

        Raises:
            AdapterError: it did not answer well; the hub asks again when the answer was expected.
            ExchangeError: the message is being asked about just now.
        """
        message_id = request.header.id
        with self.inbox.in_hand(message_id, subsystem):
            known = self.inbox.known(message_id, subsystem)
            if known is None or known.state is not InboxState.DEFERRED:
                return None
            answer = self._ask_and_record(request, subsystem, is_awaited=False)
            known = self.inbox.known(message_id, subsystem)
            return answer if known is not None and known.state is InboxState.ANSWERED else None

    def _holds_still(self, known: Known) -> bool:
        """Tell whether what was answered still holds: a promise does until its time has come."""
        return known.expected_by is None or self.clock.now() < known.expected_by

    def _recipient(self, request: Envelope, receipt_raw: bytes) -> SubsystemId:
        """Return whom a message is for; an event is for the subscriber that the hub's receipt names."""
        header = request.header
        recipient = header.recipient
        if header.kind is Kind.EVENT and member_of(recipient) == self.hub_member:
            try:
                recipient = open_envelope(receipt_raw).header.recipient
            except EnvelopeError as error:
                raise ExchangeError("exchange.not_accepted_by_hub", str(error)) from error
        elif header.kind is not Kind.REQUEST:
            raise ExchangeError("exchange.not_for_us", f"{header.kind} for {recipient}")
        if recipient not in self.subsystems:
            raise ExchangeError("exchange.not_for_us", f"{header.kind} for {recipient}")
        return recipient

    def _accept(self, request: Envelope, receipt_raw: bytes, subsystem: SubsystemId) -> Arrival:
        """Believe sender and hub, each by its signature; return what the inbox has to know."""
        header = request.header
        require_signed_by(member_of(header.sender), request, validator=self.validator, at=self.clock.now())
        if header.kind is Kind.EVENT and (
            header.service is None or subsystem_of(header.service) != header.sender
        ):
            raise ExchangeError("exchange.not_for_us", f"an event of {header.service} by {header.sender}")
        try:
            envelope = open_envelope(receipt_raw)
            require_signed_by(self.hub_member, envelope, validator=self.validator, at=self.clock.now())
            receipt = read_receipt(envelope)
        except (EnvelopeError, TrustError) as error:
            raise ExchangeError("exchange.not_accepted_by_hub", str(error)) from error
        if receipt.status is not ReceiptStatus.ACCEPTED or receipt.message != refer_to(request):
            raise ExchangeError("exchange.not_accepted_by_hub", "the receipt is for another message")
        return Arrival(
            message_id=header.id,
            recipient=subsystem,
            container_sha256=request.container_sha256,
            expires_at=header.expires_at,
            receipt_id=envelope.header.id,
            receipt_at=receipt.at,
        )

    def _ask_and_record(
        self,
        request: Envelope,
        subsystem: SubsystemId,
        *,
        is_awaited: bool,
        files: Mapping[str, Path] | None = None,
    ) -> bytes:
        """Ask the legacy system, and write its signed answer down before anybody hears of it."""
        message_id = request.header.id
        configured = self._configured(request)
        try:
            answer = self._respond(request, subsystem, configured, files or {})
        except DeferredError as deferred:
            if files:
                # Its payloads are not kept here; the hub has them, and comes again.
                raise AdapterError("adapter.system_timeout", "a large message is not put off") from deferred
            return self._promise(request, subsystem, deferred).raw
        except NotAskedError:
            if not configured.is_repeatable:
                self.inbox.give_up(message_id, subsystem)
            raise
        # A question may be asked twice after a power cut; what was done must not be done twice.
        is_question = self.contracts[configured.contract].pattern is Pattern.REQUEST
        is_durable = not (is_question and configured.is_repeatable and is_awaited)
        self.inbox.answer(message_id, subsystem, answer.raw, is_durable=is_durable, is_owed=not is_awaited)
        return answer.raw

    def _configured(self, request: Envelope) -> ConfiguredAdapter:
        header = request.header
        configured = None if header.service is None else self.services.get(header.service)
        if configured is None:
            raise AdapterError("adapter.service_unknown", str(header.service))
        if configured.contract != header.contract:
            raise ExchangeError("exchange.contract_mismatch", f"the service keeps to {configured.contract}")
        is_event = self.contracts[configured.contract].pattern is Pattern.EVENT
        if is_event != (header.kind is Kind.EVENT):
            raise ExchangeError("exchange.contract_mismatch", f"a {header.kind} under {configured.contract}")
        return configured

    def _respond(
        self,
        request: Envelope,
        subsystem: SubsystemId,
        configured: ConfiguredAdapter,
        files: Mapping[str, Path],
    ) -> Envelope:
        header = request.header
        if header.service is None or header.purpose is None:
            raise TypeError("an opened message has a service and a purpose")
        contract = self.contracts[configured.contract]
        asker, questions = self._read(request, contract)
        data = contract.check_request(questions, sizes=request.absent_sizes)["request.json"]
        if not isinstance(data, dict):
            raise TypeError("a contract's request.json is an object")
        call = Call(
            message_id=header.id,
            conversation=header.conversation,
            service=header.service,
            sender=header.sender,
            purpose=header.purpose,
            timeout_seconds=configured.timeout_seconds,
            topic=header.topic,
            files=files,
            container=request.raw,
        )
        if not configured.is_repeatable:
            self.inbox.begin(header.id, subsystem)
        with asking_legacy(header.service):
            answer = configured.adapter.answer(data, call)
        party, now = Party(subsystem, self.key), self.clock.now()
        if contract.pattern is not Pattern.REQUEST:
            receipt = Receipt(status=ReceiptStatus.PROCESSED, at=now, message=refer_to(request))
            return reply_to(request, Kind.RECEIPT, (write_receipt(receipt),), party=party, now=now)
        payloads = self._payloads(request, answer)
        contract.check_response(
            {p.name: p.content for p in payloads if isinstance(p, Payload)},
            {p.describe().name: p.describe().media_type for p in payloads},
            {p.entry.name: p.entry.bytes for p in payloads if isinstance(p, FilePayload)},
        )
        return reply_to(request, Kind.RESPONSE, payloads, party=party, now=now, encrypted_to=asker)

    def _payloads(self, request: Envelope, answer: Answer) -> list[Payload | FilePayload]:
        """Return an answer's payloads; its large files are taken over."""
        payloads: list[Payload | FilePayload] = [
            Payload("response.json", "application/json", rfc8785.dumps(dict(answer.data)))
        ]
        for document in answer.documents:
            if document.file is None:
                payloads.append(Payload(document.name, document.media_type, document.content))
                continue
            if self.desk is None:
                raise AdapterError("adapter.system_fault", "this gateway has no folder for large answers")
            file = self.desk.take_over(request.container_sha256, document.name, document.file)
            payloads.append(FilePayload.of(document.name, document.media_type, file))
        return payloads

    def _read(
        self, request: Envelope, contract: Contract
    ) -> tuple[x509.Certificate | None, Mapping[str, bytes]]:
        """Return whose certificate the answer is encrypted to, and the payloads as the contract has them.

        That certificate is found first: who cannot be answered is not looked up in the legacy system.
        """
        if not contract.is_end_to_end:
            return None, request.payloads
        if self.secrecy is None:
            raise ExchangeError("exchange.secrecy_unavailable", f"{contract.id}: no decryption key is set")
        payloads = self.secrecy.open(request)
        return self.secrecy.certificate_of(member_of(request.header.sender)), payloads

    def _promise(self, request: Envelope, subsystem: SubsystemId, deferred: DeferredError) -> Envelope:
        """Sign that the department has the message, and by when it will have answered."""
        now, header = self.clock.now(), request.header
        # Nobody waits for it longer than until the message expires.
        expected_by = min(to_milliseconds(now + deferred.expected_after), header.expires_at)
        receipt = Receipt(
            status=ReceiptStatus.DELIVERED,
            at=min(now, expected_by),
            message=refer_to(request),
            expected_by=expected_by,
        )
        party = Party(subsystem, self.key)
        promise = reply_to(request, Kind.RECEIPT, (write_receipt(receipt),), party=party, now=now)
        self.inbox.defer(
            header.id,
            subsystem,
            request=request.raw,
            promise=promise.raw,
            expected_by=expected_by,
            look_at=min(to_milliseconds(now + deferred.look_after), expected_by),
        )
        return promise

    def _fault(self, request: Envelope | None, subsystem: SubsystemId | None, error: HubError) -> Envelope:
        payloads, now = (write_fault(describe_fault(error)),), self.clock.now()
        if request is not None and subsystem is not None:
            party = Party(subsystem, self.key)
            return reply_to(request, Kind.FAULT, payloads, party=party, now=now)
        return fault_about_unreadable(payloads, party=Party(min(self.subsystems), self.key), now=now)
