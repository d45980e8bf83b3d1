# SPDX-License-Identifier: Apache-2.0
"""The department's side of a request: believe it, ask the legacy system, sign what it answered.

A gateway answers only what the hub has accepted and logged: the hub's signed receipt must come along.

Source: docs/protocols/exchange.md section 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import rfc8785
import structlog

from adapters.acceptance import UsedReceipts
from adapters.peers import require_signed_by
from adapters.ports import Call
from adapters.watching import answering, asking_legacy
from hub.envelope import (
    Kind,
    Party,
    Payload,
    ReceiptStatus,
    describe_fault,
    fault_about_unreadable,
    open_envelope,
    read_receipt,
    refer_to,
    reply_to,
    write_fault,
)
from hub.errors import AdapterError, EnvelopeError, ExchangeError, HubError, TrustError
from hub.findings import logged
from hub.identifiers import member_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography import x509

    from adapters.configuration import ConfiguredAdapter
    from adapters.secrecy import Secrecy
    from hub.clock import Clock
    from hub.contracts import Contract
    from hub.envelope import Envelope
    from hub.identifiers import ContractId, MemberId, ServiceId, SubsystemId
    from hub.trust import SigningKey, Validator

_logger = structlog.get_logger(__name__)


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
    used_receipts: UsedReceipts = field(default_factory=UsedReceipts)

    def answer(self, raw: bytes, receipt_raw: bytes) -> bytes:
        """Answer a request with a signed response, or with a signed fault that says why not.

        Args:
            raw: the request's container.
            receipt_raw: the hub's receipt for it, a container too.
        """
        request: Envelope | None = None
        with answering(self.services) as watched:
            try:
                request = open_envelope(raw)
                watched.opened(request.header)
                self._check_request(request)
                self._check_receipt(receipt_raw, request)
                return self._respond(request).raw
            except HubError as error:
                _logger.info("gateway.refused", code=error.code, detail=error.detail, **logged(error))
                watched.failed(error.code)
                return self._fault(request, error).raw
            except Exception:
                _logger.exception("gateway.failed")
                watched.failed("adapter.system_fault")
                return self._fault(request, AdapterError("adapter.system_fault", "the gateway failed")).raw

    def _check_request(self, request: Envelope) -> None:
        header = request.header
        if header.kind is not Kind.REQUEST or header.recipient not in self.subsystems:
            raise ExchangeError("exchange.not_for_us", f"{header.kind} for {header.recipient}")
        if header.expires_at <= self.clock.now():
            raise ExchangeError("exchange.expired", f"expires_at {header.expires_at:%Y-%m-%dT%H:%M:%SZ}")
        require_signed_by(member_of(header.sender), request, validator=self.validator, at=self.clock.now())

    def _check_receipt(self, raw: bytes, request: Envelope) -> None:
        """Hold the request to having passed the hub."""
        try:
            envelope = open_envelope(raw)
            require_signed_by(self.hub_member, envelope, validator=self.validator, at=self.clock.now())
            receipt = read_receipt(envelope)
        except (EnvelopeError, TrustError) as error:
            raise ExchangeError("exchange.not_accepted_by_hub", str(error)) from error
        if receipt.status is not ReceiptStatus.ACCEPTED or receipt.message != refer_to(request):
            raise ExchangeError("exchange.not_accepted_by_hub", "the receipt is for another message")
        if not self.used_receipts.use(envelope.header.id, issued_at=receipt.at, now=self.clock.now()):
            raise ExchangeError("exchange.not_accepted_by_hub", "the receipt is not fresh or was used before")

    def _respond(self, request: Envelope) -> Envelope:
        header = request.header
        if header.service is None or header.purpose is None:
            raise TypeError("an opened request has a service and a purpose")
        configured = self.services.get(header.service)
        if configured is None:
            raise AdapterError("adapter.service_unknown", header.service)
        if configured.contract != header.contract:
            raise ExchangeError("exchange.contract_mismatch", f"the service keeps to {configured.contract}")
        contract = self.contracts[configured.contract]
        asker, questions = self._read(request, contract)
        data = contract.check_request(questions)["request.json"]
        if not isinstance(data, dict):
            raise TypeError("a contract's request.json is an object")
        call = Call(
            message_id=header.id,
            conversation=header.conversation,
            service=header.service,
            sender=header.sender,
            purpose=header.purpose,
            timeout_seconds=configured.timeout_seconds,
        )
        with asking_legacy(header.service):
            answer = configured.adapter.answer(data, call)
        payloads = (
            Payload("response.json", "application/json", rfc8785.dumps(dict(answer.data))),
            *(Payload(d.name, d.media_type, d.content) for d in answer.documents),
        )
        contract.check_response(
            {p.name: p.content for p in payloads}, {p.name: p.media_type for p in payloads}
        )
        party = Party(header.recipient, self.key)
        now = self.clock.now()
        return reply_to(request, Kind.RESPONSE, payloads, party=party, now=now, encrypted_to=asker)

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

    def _fault(self, request: Envelope | None, error: HubError) -> Envelope:
        payloads, now = (write_fault(describe_fault(error)),), self.clock.now()
        if request is not None and request.header.recipient in self.subsystems:
            party = Party(request.header.recipient, self.key)
            return reply_to(request, Kind.FAULT, payloads, party=party, now=now)
        return fault_about_unreadable(payloads, party=Party(min(self.subsystems), self.key), now=now)
