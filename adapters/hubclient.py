# SPDX-License-Identifier: Apache-2.0
"""Asking another department through the hub: sign, send, and believe the answer only when it holds.

Source: docs/protocols/exchange.md sections 2, 5 and 13.3.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx2
import rfc8785

from adapters.largereceiver import LargeReceiver, Place
from adapters.peers import require_signed_by
from hub.envelope import (
    ANNOUNCEMENT_MEDIA_TYPE,
    CONTAINER_MEDIA_TYPE,
    Header,
    Kind,
    Limits,
    Payload,
    ReceiptStatus,
    encrypt_payloads,
    open_announcement,
    open_envelope,
    read_fault,
    read_receipt,
    refer_to,
    require_binding,
    require_department_receipt,
    seal_envelope,
)
from hub.errors import EnvelopeError, ExchangeError, TrustError
from hub.identifiers import ContractId, ServiceId, SubsystemId, member_of, new_message_id, subsystem_of
from hub.telemetry import about_message, inject, message_span

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from adapters.secrecy import Secrecy
    from hub.clock import Clock
    from hub.contracts import Contract
    from hub.envelope import Envelope, Fault, LargeEnvelope, Party, Purpose, Receipt
    from hub.identifiers import MemberId, MessageId
    from hub.trust import Validator

RECEIPT_HEADER = "Heliograph-Receipt"
TICKET_HEADER = "Heliograph-Ticket"
_REQUEST_LIFETIME = timedelta(minutes=10)
_OUTCOME = ContractId("message-outcome/v1")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What to ask, of whom, why.

    Attributes:
        conversation: the conversation it belongs to; None begins one.
        message_id: the id the message shall have; None makes one.
        lifetime: until when the answer is of use; a message nobody waits for is delivered until then.
    """

    service: ServiceId
    contract: ContractId
    data: Mapping[str, Any]
    purpose: Purpose
    conversation: MessageId | None = None
    message_id: MessageId | None = None
    timeout_seconds: float = 60.0
    lifetime: timedelta = _REQUEST_LIFETIME


@dataclass(frozen=True)
class VerifiedAnswer:
    """An answer whose signature, certificate, binding, contract and receipt all hold.

    Attributes:
        data: `response.json`, read.
        receipt: the hub's final receipt.
        answered_at: when the answering department signed, UTC.
        payloads: the answer's, by the names its contract has; decrypted where they travelled encrypted.
        files: those too large for memory, by the same names; from now on the asker's own. `response.raw` is
            then the container's announcement.
    """

    request: Envelope
    response: Envelope
    receipt: Envelope
    data: Mapping[str, Any]
    answered_at: datetime
    payloads: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Sent:
    """A message nobody waits for, and the hub's word that it has it.

    Attributes:
        request: as signed; what `HubClient.outcome` asks about.
        receipt: the hub's latest receipt.
        expected_by: UTC; by when its recipient has promised an answer.
    """

    request: Envelope
    receipt: Envelope
    status: ReceiptStatus
    expected_by: datetime | None


@dataclass(frozen=True)
class MessageOutcome:
    """What has become of a message.

    Attributes:
        state: `in_progress`, `queued`, `deferred`, `processed` or `refused`.
        code: why it was refused.
        receipt: the hub's latest receipt; None where the hub has kept none.
        answer: the verified answer, where there is one.
    """

    state: str
    code: str | None
    expected_by: datetime | None
    receipt: Envelope | None
    answer: VerifiedAnswer | None


@dataclass(frozen=True)
class _Reply:
    content: bytes
    receipt: str
    announced: Place | None = None


@dataclass(frozen=True, kw_only=True)
class HubClient:
    """Sends requests for one subsystem.

    Attributes:
        large_answers: the folder that takes answers too large for memory; None refuses them.
    """

    url: str
    hub_member: MemberId
    party: Party
    validator: Validator
    contracts: Mapping[ContractId, Contract]
    clock: Clock
    http: httpx2.Client
    secrecy: Secrecy | None = None
    large_answers: Path | None = None

    @property
    def hub_subsystem(self) -> SubsystemId:
        """The hub as a party of its own: it answers services, and events are sent to it."""
        return SubsystemId(f"{self.hub_member}/hub")

    def sign_request(self, question: Question, *, topic: str | None = None) -> Envelope:
        """Turn a question into a signed request; where its contract is end-to-end, an encrypted one.

        Args:
            question: what to ask, or to tell.
            topic: what an event is about; None for a request.

        Raises:
            ContractError: the question does not keep to its contract.
            ExchangeError: `exchange.secrecy_unavailable`, this gateway could not read the answer;
                `exchange.encryption_certificate_missing`.
            TrustError: the recipient's certificate is not believed.
        """
        contract = self._contract(question.contract)
        now = self.clock.now()
        payloads: tuple[Payload, ...] = (
            Payload("request.json", "application/json", rfc8785.dumps(dict(question.data))),
        )
        contract.check_request({payload.name: payload.content for payload in payloads})
        message_id = question.message_id or new_message_id(now)
        header = Header(
            id=message_id,
            kind=Kind.REQUEST if topic is None else Kind.EVENT,
            sender=self.party.subsystem,
            recipient=subsystem_of(question.service) if topic is None else self.hub_subsystem,
            sent_at=now,
            expires_at=now + question.lifetime,
            conversation=question.conversation or message_id,
            service=question.service,
            contract=question.contract,
            purpose=question.purpose,
            topic=topic,
        )
        if contract.is_end_to_end:
            certificate = self._secrecy(contract.id).certificate_of(member_of(header.recipient))
            payloads = encrypt_payloads(header, payloads, certificate)
        header = replace(header, payload=tuple(payload.describe() for payload in payloads))
        return seal_envelope(header, payloads, self.party.key)

    def ask(self, question: Question) -> VerifiedAnswer:
        """Ask and wait for the verified answer.

        Raises:
            ReportedFaultError: the hub or the other department answered with a signed fault.
            ExchangeError: the hub cannot be reached, or what came back does not hold.
        """
        request = self.sign_request(question)
        return self.submit(request, timeout_seconds=question.timeout_seconds)

    def submit(self, request: Envelope, *, timeout_seconds: float) -> VerifiedAnswer:
        """Send a signed request and verify what comes back; raises as `ask` does."""
        message_id, service = request.header.id, request.header.service or ""
        with about_message(message_id), message_span("ask", message_id, kind="client", service=service):
            return self._submit(request, timeout_seconds)

    def _submit(self, request: Envelope, timeout_seconds: float) -> VerifiedAnswer:
        reply = self._post(request, timeout_seconds)
        if reply.announced is not None:
            announced = self._open_announced(reply.content)
            return self._fetched(announced, reply.announced, request, reply.receipt)
        answer = self._open(reply.content)
        if answer.header.kind is Kind.FAULT:
            self._require_faulter(answer, request)
            error = self._read_fault(answer).to_error()
            if error.code == "exchange.encrypted_for_another" and self.secrecy is not None:
                self.secrecy.forget(member_of(request.header.recipient))
            raise error
        if answer.header.kind is Kind.RECEIPT:
            receipt = self._read_receipt_about(answer, request)
            raise ExchangeError("exchange.answer_deferred", f"{receipt.status}, by {receipt.expected_by}")
        self._require_signer(answer, member_of(answer.header.sender))
        return self._verified(answer, request, reply.receipt)

    def _verified(self, answer: Envelope, request: Envelope, receipt_base64: str) -> VerifiedAnswer:
        require_binding(answer, request)
        data, payloads = self._read_answer(answer, request)
        receipt = self._receipt(receipt_base64, request, answer)
        return VerifiedAnswer(request, answer, receipt, data, answer.header.sent_at, payloads)

    def _fetched(
        self, announced: LargeEnvelope, place: Place, request: Envelope, receipt_base64: str
    ) -> VerifiedAnswer:
        """Verify all that an announcement shows, and only then fetch what it announces."""
        if self.large_answers is None:
            raise ExchangeError("exchange.answer_unreadable", "no folder is set for large answers")
        self._require_signer(announced, member_of(announced.header.sender))
        verified = self._verified(announced, request, receipt_base64)
        receiver = LargeReceiver(url=self.url, http=self.http, folder=self.large_answers)
        return replace(verified, files=receiver.fetch(announced, place))

    def _open_announced(self, raw: bytes) -> LargeEnvelope:
        try:
            return open_announcement(raw)
        except EnvelopeError as error:
            raise ExchangeError("exchange.answer_unreadable", str(error)) from error

    def send(self, question: Question) -> Sent:
        """Send a request, or a one-way message, without waiting for what comes of it.

        Raises:
            ReportedFaultError: the hub does not take it.
            ExchangeError: the hub cannot be reached, or its receipt does not hold. Send `Sent.request`'s
                container again then, by `send_again`: a message that arrives twice has its effect once.
        """
        return self.send_again(self.sign_request(question), timeout_seconds=question.timeout_seconds)

    def publish(self, question: Question, *, topic: str) -> Sent:
        """Tell all who have subscribed, of something of this subsystem's own service; raises as `send` does.

        Args:
            question: the service whose event it is, what to tell, and why it may be told.
            topic: what it is about, for example `proof.revoked`.
        """
        event = self.sign_request(question, topic=topic)
        return self.send_again(event, timeout_seconds=question.timeout_seconds)

    def send_again(self, message: Envelope, *, timeout_seconds: float = 60.0) -> Sent:
        """Send what is signed already, for the first time or once more; raises as `send` does."""
        said = self._open(self._post(message, timeout_seconds, is_async=True).content)
        if said.header.kind is Kind.FAULT:
            self._require_faulter(said, message)
            raise self._read_fault(said).to_error()
        receipt = self._read_receipt_about(said, message)
        return Sent(message, said, receipt.status, receipt.expected_by)

    def outcome(self, message: Envelope, purpose: Purpose) -> MessageOutcome:
        """Ask the hub what has become of a message, and verify what it hands over.

        Args:
            message: as it was sent.
            purpose: as whom and for which case it is asked; its item is set to the hub's own.

        Raises:
            ReportedFaultError: `exchange.message_unknown`, or the hub answered with another fault.
            ExchangeError: what the hub handed over does not hold.
        """
        asked = Question(
            service=ServiceId(f"{self.hub_subsystem}/message-outcome"),
            contract=_OUTCOME,
            data={"message_id": message.header.id},
            purpose=replace(purpose, item="own-messages"),
        )
        said = self.ask(asked)
        state, code = str(said.data["state"]), said.data.get("code")
        if "receipt.asice" not in said.payloads:
            return MessageOutcome(state, code, None, None, None)
        envelope = self._open(said.payloads["receipt.asice"])
        receipt = self._read_receipt_about(envelope, message)
        answer = None
        if receipt.status is ReceiptStatus.PROCESSED:
            answer = self._handed_over(said, message, envelope)
        return MessageOutcome(state, code, receipt.expected_by, envelope, answer)

    def _handed_over(
        self, said: VerifiedAnswer, message: Envelope, receipt: Envelope
    ) -> VerifiedAnswer | None:
        """Verify the answer that an outcome brings or says the place of; None for what has none."""
        encoded = base64.b64encode(receipt.raw).decode("ascii")
        place = Place(str(said.data.get("answer_at", "")), str(said.data.get("answer_ticket", "")))
        if "answer.announcement" in said.payloads:
            announced = self._open_announced(said.payloads["answer.announcement"])
            return self._fetched(announced, place, message, encoded)
        if "answer.asice" not in said.payloads and not place.location:
            return None
        raw = said.payloads.get("answer.asice") or self._fetch(place)
        response = self._open(raw)
        self._require_signer(response, member_of(response.header.sender))
        if response.header.kind is Kind.RESPONSE:
            return self._verified(response, message, encoded)
        is_event = message.header.kind is Kind.EVENT
        answerer = response.header.sender if is_event else None
        require_department_receipt(response, message, answerer=answerer)
        return None

    def push(self, answer: bytes, *, timeout_seconds: float = 60.0) -> str | None:
        """Hand the hub an answer that it was promised; return the code when the hub does not want it.

        Args:
            answer: the signed response or receipt, a container.
            timeout_seconds: how long the hub may take.

        Raises:
            ExchangeError: the hub cannot be reached, or does not say in its own signed words what became of
                it.
            ReportedFaultError: the hub asks for another try.
        """
        envelope = open_envelope(answer)
        said = self._open(self._post(envelope, timeout_seconds).content)
        self._require_signer(said, self.hub_member)
        if said.header.in_reply_to != envelope.as_in_reply_to():
            raise ExchangeError("exchange.answer_not_bound", "what the hub says is about another message")
        if said.header.kind is not Kind.FAULT:
            return None
        fault = self._read_fault(said)
        if fault.is_retryable:
            raise fault.to_error()
        return fault.code

    def _read_receipt_about(self, envelope: Envelope, message: Envelope) -> Receipt:
        """Return what the hub's receipt says, when it is the hub's and about this message."""
        self._require_signer(envelope, self.hub_member)
        try:
            receipt = read_receipt(envelope)
        except EnvelopeError as error:
            raise ExchangeError("exchange.answer_unreadable", str(error)) from error
        if receipt.message != refer_to(message) or receipt.log is None:
            raise ExchangeError("exchange.answer_not_bound", "the receipt is about another message")
        return receipt

    def _post(self, request: Envelope, timeout_seconds: float, *, is_async: bool = False) -> _Reply:
        headers = {"Content-Type": CONTAINER_MEDIA_TYPE, "Accept": CONTAINER_MEDIA_TYPE}
        if is_async:
            headers["Prefer"] = "respond-async"
        inject(headers)
        try:
            with self.http.stream(
                "POST",
                f"{self.url}/api/v1/messages",
                content=request.raw,
                headers=headers,
                timeout=httpx2.Timeout(timeout_seconds, connect=5.0),
            ) as response:
                media_type = response.headers.get("content-type")
                if media_type not in {CONTAINER_MEDIA_TYPE, ANNOUNCEMENT_MEDIA_TYPE}:
                    raise ExchangeError(
                        "exchange.undeliverable", f"the hub answered HTTP {response.status_code}"
                    )
                return _Reply(
                    _read_limited(response),
                    response.headers.get(RECEIPT_HEADER, ""),
                    _place(response) if media_type == ANNOUNCEMENT_MEDIA_TYPE else None,
                )
        except httpx2.TimeoutException as error:
            raise ExchangeError("exchange.delivery_timeout", "the hub did not answer in time") from error
        except httpx2.HTTPError as error:
            raise ExchangeError("exchange.undeliverable", f"the hub: {_reason(error)}") from error

    def _fetch(self, place: Place) -> bytes:
        """Fetch a container that fits into memory, but not into another one."""
        headers = {"Authorization": f"Bearer {place.ticket}"}
        try:
            with self.http.stream("GET", f"{self.url}{place.location}", headers=headers) as response:
                if response.headers.get("content-type") != CONTAINER_MEDIA_TYPE:
                    raise ExchangeError(
                        "exchange.undeliverable", f"the hub answered HTTP {response.status_code}"
                    )
                return _read_limited(response)
        except httpx2.HTTPError as error:
            raise ExchangeError("exchange.undeliverable", f"the hub: {_reason(error)}") from error

    def _open(self, raw: bytes) -> Envelope:
        try:
            return open_envelope(raw)
        except EnvelopeError as error:
            raise ExchangeError("exchange.answer_unreadable", str(error)) from error

    def _read_fault(self, answer: Envelope) -> Fault:
        try:
            return read_fault(answer)
        except EnvelopeError as error:
            raise ExchangeError("exchange.answer_unreadable", str(error)) from error

    def _require_signer(self, envelope: Envelope, member: MemberId) -> None:
        try:
            require_signed_by(member, envelope, validator=self.validator, at=self.clock.now())
        except EnvelopeError as error:
            raise ExchangeError("exchange.answer_unreadable", str(error)) from error
        except TrustError as error:
            raise ExchangeError("exchange.answer_untrusted", str(error)) from error

    def _require_faulter(self, fault: Envelope, request: Envelope) -> None:
        """A fault counts when the hub signed it, or the department that was asked."""
        if member_of(fault.header.sender) == self.hub_member:
            self._require_signer(fault, self.hub_member)
            if fault.header.in_reply_to != request.as_in_reply_to():
                raise ExchangeError("exchange.answer_not_bound", "a fault about another message")
            return
        self._require_signer(fault, member_of(request.header.recipient))
        require_binding(fault, request)

    def _read_answer(
        self, answer: Envelope, request: Envelope
    ) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
        if request.header.contract is None:
            raise TypeError("a request names its contract")
        contract = self._contract(request.header.contract)
        if contract.is_end_to_end:
            payloads = self._decrypt(answer, contract)
            parts = contract.check_response(payloads)
        else:
            payloads = answer.payloads
            media_types = {entry.name: entry.media_type for entry in answer.header.payload}
            sizes = answer.absent_sizes
            parts = contract.check_response(payloads, media_types, sizes)
        data = parts["response.json"]
        if not isinstance(data, dict):
            raise ExchangeError("exchange.answer_unreadable", "response.json is not an object")
        return data, payloads

    def _decrypt(self, answer: Envelope, contract: Contract) -> Mapping[str, bytes]:
        try:
            return self._secrecy(contract.id).open(answer)
        except EnvelopeError as error:
            raise ExchangeError("exchange.answer_not_secret", str(error)) from error

    def _secrecy(self, contract: ContractId) -> Secrecy:
        if self.secrecy is None:
            raise ExchangeError("exchange.secrecy_unavailable", f"{contract}: no decryption key is set")
        return self.secrecy

    def _receipt(self, encoded: str, request: Envelope, answer: Envelope) -> Envelope:
        try:
            raw = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise ExchangeError("exchange.answer_unreadable", RECEIPT_HEADER) from error
        envelope = self._open(raw)
        self._require_signer(envelope, self.hub_member)
        try:
            receipt = read_receipt(envelope)
        except EnvelopeError as error:
            raise ExchangeError("exchange.answer_unreadable", str(error)) from error
        is_ours = (
            receipt.status is ReceiptStatus.PROCESSED
            and receipt.message == refer_to(request)
            and receipt.answer == refer_to(answer)
        )
        if not is_ours:
            raise ExchangeError("exchange.answer_not_bound", "the receipt is for another exchange")
        return envelope

    def _contract(self, contract_id: ContractId) -> Contract:
        if contract_id not in self.contracts:
            raise ExchangeError("exchange.contract_mismatch", f"{contract_id} is not known here")
        return self.contracts[contract_id]


def _place(response: httpx2.Response) -> Place:
    return Place(response.headers.get("Location", ""), response.headers.get(TICKET_HEADER, ""))


def _read_limited(response: httpx2.Response) -> bytes:
    """Read an answer, but never more than an envelope may hold."""
    body, most = bytearray(), Limits().container_bytes
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > most:
            raise ExchangeError("exchange.answer_unreadable", "the hub's answer is larger than allowed")
    return bytes(body)


def _reason(error: httpx2.HTTPError) -> str:
    """Say what failed; of a certificate that was not believed, why."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return str(cause.args[-1])
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
