# SPDX-License-Identifier: Apache-2.0
"""The whole path of a message, one step after the other.

Every step takes what is known so far, a frozen value, and returns it with what the step has learned, or
raises a coded error. Whatever is refused is logged before the sender hears of it, and the sender hears of it
in a fault envelope signed by the hub.

Source: docs/protocols/exchange.md section 3.
"""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from hub.clock import day_in_china
from hub.contracts import Pattern, Side
from hub.envelope import (
    Kind,
    LargeEnvelope,
    Limits,
    open_envelope,
    read_fault,
    require_binding,
    require_department_receipt,
    verify_signature,
)
from hub.errors import EnvelopeError, ExchangeError, HubError, RegistryError, TrustError
from hub.exchange.events import require_owner, subscription_for, subscriptions_of
from hub.exchange.model import (
    Accepted,
    Answered,
    Arrived,
    Authorised,
    Checked,
    Concluded,
    Deferred,
    Delivered,
    Identified,
    Opened,
    Outcome,
    Signed,
    advance,
)
from hub.exchange.pushed import find_pushed, take_pushed
from hub.exchange.secrecy import require_secret_answer, require_secret_request
from hub.exchange.watching import NoTraffic, Walk, watched_exchange
from hub.identifiers import member_of, subsystem_of
from hub.registry import authorise
from hub.trust import Use, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from cryptography import x509

    from hub.clock import Clock
    from hub.contracts import Contract
    from hub.envelope import Envelope, Header, Signature
    from hub.exchange.own import OwnService
    from hub.exchange.ports import Courier
    from hub.exchange.recorder import Recorder
    from hub.exchange.revocation import RevocationAnswers
    from hub.exchange.watching import Traffic
    from hub.identifiers import ContractId, MemberId, ServiceId, SubsystemId
    from hub.outbox import Pauses
    from hub.registry import Registry
    from hub.trust import ValidatedPath, Validator

    Step: TypeAlias = Callable[[Any], Any]

CLOCK_TOLERANCE = timedelta(minutes=5)
_CHECKS = 6
"""How many steps a message takes before it is accepted."""

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The steps, and what they need.

    Attributes:
        own_services: what the hub answers by itself, by id; the courier has to know them too.
        traffic: is told what passes.
    """

    registry: Registry
    contracts: Mapping[ContractId, Contract]
    validator: Validator
    courier: Courier
    recorder: Recorder
    revocation_answers: RevocationAnswers
    clock: Clock
    limits: Limits
    pauses: Pauses
    own_services: Mapping[ServiceId, OwnService] = field(default_factory=dict)
    traffic: Traffic = field(default_factory=NoTraffic)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step of a message whose sender waits, in order; each takes what the one before it returns."""
        return (
            self.open_request,
            self.check_times,
            self.verify_request,
            self.identify_sender,
            self.authorise,
            self.check_request,
            self.recorder.accept,  # Refuses replays; logged and receipted before delivery.
            self.deliver,
            self.verify_answer,
            self.identify_answerer,
            self.bind_answer,
            self.check_answer,
            self.recorder.conclude,  # Logged and receipted before the sender is answered.
        )

    @property
    def checks(self) -> tuple[Step, ...]:
        """What every message has to pass before it is accepted."""
        return self.steps[:_CHECKS]

    @property
    def enqueueing(self) -> tuple[Step, ...]:
        """What follows when nobody waits: it is logged, receipted and put into the outbox."""
        return (self.recorder.enqueue,)

    @property
    def delivering(self) -> tuple[Step, ...]:
        """One attempt to deliver what is in the outbox: from the start, by what holds now."""
        return (
            *self.checks,
            self.recorder.readmit,  # With a receipt of its own, and the place in the log it has.
            *self.steps[_CHECKS + 1 :],
        )

    def answering(self, hand_over: Step) -> tuple[Step, ...]:
        """As `delivering`, with an answer that is there already in place of the delivery."""
        return (*self.checks, self.recorder.readmit, hand_over, *self.steps[_CHECKS + 2 :])

    async def exchange(
        self,
        raw: bytes,
        *,
        received_at: datetime,
        is_awaited: bool = True,
        connected_as: MemberId | None = None,
        large: LargeEnvelope | None = None,
    ) -> Outcome:
        """Take a message through every step and return the answer, or the fault that says why there is none.

        What nobody waits for ends in the outbox, and the outcome is the hub's receipt.

        Args:
            raw: the container exactly as received.
            received_at: UTC, when the last byte arrived, by our clock and not the sender's.
            is_awaited: whether the sender waits for the answer, where its contract has one.
            connected_as: the member that the connection's certificate speaks for, where it showed one.
            large: what `raw` announces; its container is in the vault's hands and holds.
        """
        arrived = Arrived(raw=raw, received_at=received_at, connected_as=connected_as, large=large)
        with watched_exchange() as watch:
            outcome = await self._take_in(arrived, is_awaited=is_awaited)
            if not outcome.is_queued:
                watch.ended(outcome.code)
            return outcome

    async def _take_in(self, arrived: Arrived, *, is_awaited: bool) -> Outcome:
        checked, error = await self.walk(self.checks, arrived)
        if error is not None or not isinstance(checked, Checked):
            pushed = find_pushed(arrived.raw, error, self.limits)
            if pushed is not None:
                return await take_pushed(self, pushed, arrived)
            return await self.recorder.refuse(checked, error or ExchangeError("exchange.internal"))
        if not is_awaited or checked.contract.pattern is not Pattern.REQUEST:
            return await self._enqueue(checked)
        try:
            self.pauses.require_open(checked.service.id)
        except ExchangeError as refusal:
            return await self.recorder.refuse(checked, refusal)
        return await self._exchange(checked)

    async def take(
        self,
        raw: bytes,
        *,
        received_at: datetime,
        connected_as: MemberId | None = None,
        large: LargeEnvelope | None = None,
    ) -> Outcome:
        """Take a message into the outbox and return the receipt, or the fault that says why not."""
        return await self.exchange(
            raw, received_at=received_at, is_awaited=False, connected_as=connected_as, large=large
        )

    async def examine(
        self,
        raw: bytes,
        large: LargeEnvelope,
        *,
        received_at: datetime,
        connected_as: MemberId | None = None,
    ) -> tuple[Checked | None, Outcome | None]:
        """Take an announcement through the checks; return what was learned, or the fault that says why."""
        arrived = Arrived(raw=raw, received_at=received_at, connected_as=connected_as, large=large)
        stage, error = await self.walk(self.checks, arrived)
        if error is None and isinstance(stage, Checked):
            return stage, None
        return None, await self.recorder.refuse_announced(stage, error or ExchangeError("exchange.internal"))

    async def refuse_unopened(self, raw: bytes, error: EnvelopeError, *, received_at: datetime) -> Outcome:
        """Say why an announcement cannot be opened."""
        return await self.recorder.refuse(Arrived(raw=raw, received_at=received_at), error)

    async def _exchange(self, checked: Checked) -> Outcome:
        try:
            stage, error = await self.walk(self.steps[_CHECKS:], checked)
            if error is not None:
                return await self.recorder.refuse(stage, error)
        finally:
            self.recorder.interruptions.end(checked.request.header.id)
        if isinstance(stage, Deferred):
            return _queued(stage.receipt, stage)
        if not isinstance(stage, Concluded):
            raise TypeError("the last step concludes")
        large = stage.answer_large
        return Outcome(
            container=stage.answer_raw,
            receipt=stage.receipt.raw,
            code=None,
            large_sha256=large.container_sha256 if large else None,
        )

    async def _enqueue(self, checked: Checked) -> Outcome:
        stage, error = await self.walk(self.enqueueing, checked)
        if error is not None or not isinstance(stage, Accepted):
            return await self.recorder.refuse(stage, error or ExchangeError("exchange.internal"))
        return _queued(stage.accepted_receipt, stage)

    async def walk(self, steps: Iterable[Step], stage: Arrived) -> tuple[Arrived, HubError | None]:
        """Take steps until one refuses; return how far that came, and why it ended there."""
        walk, refusal = Walk(self.traffic, self.clock), None
        try:
            for step in steps:
                with walk.step(step.__name__):
                    result = step(stage)
                    stage = await result if inspect.isawaitable(result) else result
                walk.reached(stage)
        except HubError as error:
            refusal = error
        except Exception:
            _logger.exception("exchange.failed", reached=type(stage).__name__)
            refusal = ExchangeError("exchange.internal")
        walk.ended(stage, refusal)
        return stage, refusal

    def open_request(self, stage: Arrived) -> Opened:
        """Open the container: limits, ZIP form, header, digests."""
        request = stage.large or open_envelope(stage.raw, self.limits)
        if request.header.kind not in {Kind.REQUEST, Kind.EVENT}:
            raise ExchangeError("exchange.not_for_us", request.header.kind)
        return advance(stage, Opened, request=request)

    def check_times(self, stage: Opened) -> Opened:
        """Refuse what has expired or comes from the future."""
        header = stage.request.header
        if header.expires_at <= stage.received_at:
            raise ExchangeError("exchange.expired", f"expires_at {header.expires_at:%Y-%m-%dT%H:%M:%SZ}")
        if header.sent_at > stage.received_at + CLOCK_TOLERANCE:
            raise ExchangeError("exchange.from_the_future", f"sent_at {header.sent_at:%Y-%m-%dT%H:%M:%SZ}")
        return stage

    def verify_request(self, stage: Opened) -> Signed:
        """Check the sender's signature."""
        return advance(
            stage, Signed, signature=verify_signature(stage.request, self.validator.algorithms(Use.ENVELOPE))
        )

    async def identify_sender(self, stage: Signed) -> Identified:
        """Believe the signer's certificate and hold it to the member named as the sender."""
        path = await self._identify(stage.signature, stage.request.header, stage.received_at)
        if stage.connected_as not in {None, path.member_id}:
            # Signed by one and brought by another: a stolen key, or a connection used for others.
            detail = f"signed by {path.member_id}, sent over a connection of {stage.connected_as}"
            raise ExchangeError("exchange.client_certificate_mismatch", detail)
        return advance(stage, Identified, path=path)

    def authorise(self, stage: Identified) -> Authorised:
        """Let the sender ask this service for this purpose, or tell of its own, or not."""
        header = stage.request.header
        if header.kind is Kind.EVENT:
            return self._authorise_event(stage)
        if header.service is None or header.purpose is None:
            raise TypeError("an opened request has a service and a purpose")
        own = self.own_services.get(header.service)
        service = own.service if own else self.registry.require_service(header.service)
        if header.recipient != subsystem_of(header.service):
            raise ExchangeError("exchange.wrong_recipient", f"{header.recipient} for {header.service}")
        if header.contract != service.contract:
            raise ExchangeError("exchange.contract_mismatch", f"the service keeps to {service.contract}")
        asked = (header.sender, header.service, header.purpose.item, day_in_china(stage.received_at))
        if own:
            self.registry.require_subsystem(header.sender)
            right = authorise((own.right_of(header.sender),), *asked)
        else:
            right = self.registry.authorise(*asked)
        return advance(stage, Authorised, service=service, right=right)

    def _authorise_event(self, stage: Identified) -> Authorised:
        header, delivery = stage.request.header, stage.delivery
        service = require_owner(header, self.registry, self.recorder.party.subsystem)
        if header.contract != service.contract:
            raise ExchangeError("exchange.contract_mismatch", f"the service keeps to {service.contract}")
        if delivery is not None:
            at = stage.received_at
            subscription = subscription_for(header, delivery.recipient, self.registry, at)
            service = replace(service, gateway_url=subscription.gateway_url)
        return advance(stage, Authorised, service=service, right=None)

    async def check_request(self, stage: Authorised) -> Checked:
        """Hold the request to its contract; of what is encrypted, only the form can be."""
        contract = self.contracts.get(stage.service.contract)
        if contract is None:
            raise ExchangeError(
                "exchange.contract_mismatch", f"{stage.service.contract} is not published here"
            )
        request, header = stage.request, stage.request.header
        if (header.kind is Kind.EVENT) != (contract.pattern is Pattern.EVENT):
            raise ExchangeError("exchange.contract_mismatch", f"a {header.kind} under {contract.id}")
        if contract.is_end_to_end:
            _require_in_memory(request)
            at = stage.received_at
            # It may look into the database for what another process registered.
            await asyncio.to_thread(require_secret_request, request, contract, self.registry, at)
            return advance(
                stage,
                Checked,
                contract=contract,
                request_keys=(),
                recipients=self._recipients(header, at),
            )
        documents = contract.check_request(request.payloads, _media_types(header), request.absent_sizes)
        keys = contract.promote(Side.REQUEST, documents)
        recipients = self._recipients(header, stage.received_at)
        return advance(stage, Checked, contract=contract, request_keys=keys, recipients=recipients)

    def _recipients(self, header: Header, at: datetime) -> tuple[SubsystemId, ...]:
        """Return to whom a message is delivered."""
        if header.kind is not Kind.EVENT:
            return (header.recipient,)
        return tuple(each.subscriber for each in subscriptions_of(header, self.registry, at))

    async def deliver(self, stage: Accepted) -> Delivered:
        """Hand the request, unchanged, to the gateway that answers it."""
        answer = await self.courier.deliver(stage.request, stage.accepted_receipt, stage.service)
        if isinstance(answer, LargeEnvelope):
            return advance(stage, Delivered, answer_raw=answer.raw, answer_large=answer)
        return advance(stage, Delivered, answer_raw=answer)

    def verify_answer(self, stage: Delivered) -> Answered:
        """Open the answer and check its signature."""
        try:
            answer = stage.answer_large or open_envelope(stage.answer_raw, self.limits)
            signature = verify_signature(answer, self.validator.algorithms(Use.ENVELOPE))
        except EnvelopeError as error:
            raise ExchangeError("exchange.answer_unreadable", str(error)) from error
        # What has no answer ends with the recipient's receipt, and never with a response.
        ends = Kind.RESPONSE if stage.contract.pattern is Pattern.REQUEST else Kind.RECEIPT
        if answer.header.kind not in {ends, Kind.RECEIPT, Kind.FAULT}:
            raise ExchangeError("exchange.answer_unreadable", f"a {answer.header.kind} is no answer")
        return advance(stage, Answered, answer=answer, answer_signature=signature)

    async def identify_answerer(self, stage: Answered) -> Answered:
        """Believe the answer's certificate and hold it to the member named as its sender."""
        try:
            await self._identify(stage.answer_signature, stage.answer.header, self.clock.now())
        except (TrustError, RegistryError) as error:
            if error.is_retryable:
                raise
            raise ExchangeError("exchange.answer_untrusted", str(error)) from error
        return stage

    def bind_answer(self, stage: Answered) -> Answered:
        """Hold the answer to this very request; a fault from the department ends the exchange here."""
        answerer = stage.delivery.recipient if stage.delivery else None
        if stage.answer.header.kind is Kind.RECEIPT:
            receipt = require_department_receipt(stage.answer, stage.request, answerer=answerer)
            if receipt.expected_by is None and stage.contract.pattern is Pattern.REQUEST:
                raise ExchangeError("exchange.answer_unreadable", "a receipt is not the answer asked for")
            return replace(stage, expected_by=receipt.expected_by)
        require_binding(stage.answer, stage.request, answerer=answerer)
        if stage.answer.header.kind is not Kind.FAULT:
            return stage
        try:
            fault = read_fault(stage.answer)
        except EnvelopeError as error:
            raise ExchangeError("exchange.answer_unreadable", str(error)) from error
        raise fault.to_error()

    async def check_answer(self, stage: Answered) -> Answered:
        """Hold the answer to its contract; of what is encrypted only the form, and of a receipt nothing."""
        if stage.answer.header.kind is Kind.RECEIPT:
            return stage
        answer = stage.answer
        if stage.contract.is_end_to_end:
            _require_in_memory(answer)
            at = self.clock.now()
            await asyncio.to_thread(require_secret_answer, answer, stage.contract, self.registry, at)
            return stage
        documents = stage.contract.check_response(
            answer.payloads, _media_types(answer.header), answer.absent_sizes
        )
        return replace(stage, answer_keys=stage.contract.promote(Side.ANSWER, documents))

    async def _identify(self, signature: Signature, header: Header, at: datetime) -> ValidatedPath:
        path = self.validator.known(signature.chain, use=Use.ENVELOPE, at=at)
        if path is None:
            # Revocation is fetched over the network: the event loop must not wait for it.
            path = await asyncio.to_thread(self.validator.validate, signature.chain, use=Use.ENVELOPE, at=at)
        if path.member_id != member_of(header.sender):
            raise refusal(
                "signed_for_another", path.leaf, at, member=str(path.member_id), sender=header.sender
            )
        self.registry.require_active_member(path.member_id)
        await self._recognise(path.leaf, path.member_id, at)
        # Nothing waits for it: the writer commits it with, or before, what is logged of this message.
        self.revocation_answers.take(path)
        return path

    async def _recognise(self, certificate: x509.Certificate, member: MemberId, at: datetime) -> None:
        """Hold a believed certificate to those its member has registered."""
        try:
            self.registry.require_recognised(certificate, member, Use.ENVELOPE, at)
        except TrustError:
            # It may have been registered a moment ago, through another process.
            await asyncio.to_thread(self.registry.refresh)
            self.registry.require_recognised(certificate, member, Use.ENVELOPE, at)


def _queued(receipt: Envelope, stage: Opened) -> Outcome:
    return Outcome(
        container=receipt.raw,
        receipt=receipt.raw,
        code=None,
        is_queued=True,
        message_id=stage.request.header.id,
    )


def _require_in_memory(envelope: Envelope) -> None:
    """Refuse large payloads where all have to be encrypted to their recipient, which is done in memory."""
    if envelope.absent_sizes:
        raise EnvelopeError("envelope.too_large", "payloads encrypted to their recipient cannot be announced")


def _media_types(header: Header) -> dict[str, str]:
    return {entry.name: entry.media_type for entry in header.payload}
