# SPDX-License-Identifier: Apache-2.0
"""Services the hub itself answers, as its own subsystem `hub`.

They are asked like any other service: by a signed request that is checked, logged and receipted, with an
answer that is signed, logged and receipted too. They stand in no registry, and nobody grants a right to them:
each service says here whom it answers.

Source: docs/protocols/registration.md section 1.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Protocol

import structlog

from hub.canonical import encode_canonical
from hub.envelope import Kind, Payload, describe_fault, reply_to, write_fault
from hub.errors import HubError
from hub.identifiers import ContractId, ServiceId
from hub.registry import AccessRight, AccessRightId, Service

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from hub.clock import Clock
    from hub.envelope import Envelope, LargeEnvelope, Party
    from hub.exchange.ports import Courier
    from hub.identifiers import SubsystemId
    from hub.registry import Title

_logger = structlog.get_logger(__name__)


# A service has an address; that of the hub itself is never called (RFC 2606 section 2).
_NOWHERE = "http://hub.invalid/"
_SECONDS = 60


def own_service(hub: SubsystemId, name: str, contract: str, titles: Title) -> Service:
    """Describe a service of the hub, as the registry describes those of others."""
    return Service(
        id=ServiceId(f"{hub}/{name}"),
        contract=ContractId(contract),
        gateway_url=_NOWHERE,
        timeout_seconds=_SECONDS,
        titles=titles,
    )


def own_right(service: ServiceId, consumer: SubsystemId, purpose: str, legal_basis: str) -> AccessRight:
    """Return the right to a service of the hub that nobody has to grant."""
    return AccessRight(
        id=AccessRightId(purpose),
        consumer=consumer,
        service=service,
        purposes=(purpose,),
        legal_basis=legal_basis,
        valid_from=date(2026, 1, 1),
    )


@dataclass(frozen=True)
class OwnAnswer:
    """`response.json`, and the payloads beside it."""

    data: Mapping[str, Any]
    payloads: tuple[Payload, ...]


class OwnService(Protocol):
    """Something the hub answers by itself."""

    @property
    def service(self) -> Service:
        """What it is called, and its contract."""
        ...

    def right_of(self, consumer: SubsystemId) -> AccessRight:
        """Return the right that every registered subsystem of an active member has."""
        ...

    def answer(self, request: Envelope) -> Mapping[str, Any] | OwnAnswer:
        """Return `response.json`, or that and further payloads, for a request that has passed every check.

        It may be asked twice with one request, when the hub was stopped in between.

        Raises:
            HubError: becomes a signed fault.
        """
        ...


@dataclass(frozen=True)
class OwnCourier:
    """Answers the hub's own services, and hands all other requests on.

    Attributes:
        services: by their ids.
        party: the hub, which signs the answers.
        beyond: carries what is for the departments.
    """

    services: Mapping[ServiceId, OwnService]
    party: Party
    clock: Clock
    beyond: Courier

    async def deliver(self, request: Envelope, receipt: Envelope, service: Service) -> bytes | LargeEnvelope:
        """Answer a request, or have it answered."""
        own = self.services.get(service.id)
        if own is None:
            return await self.beyond.deliver(request, receipt, service)
        # It may ask the network about a certificate, and waits for the database.
        return await asyncio.to_thread(self._answer, own, request)

    def _answer(self, own: OwnService, request: Envelope) -> bytes:
        try:
            answer = own.answer(request)
            if not isinstance(answer, OwnAnswer):
                answer = OwnAnswer(answer, ())
            data = Payload("response.json", "application/json", encode_canonical(dict(answer.data)))
            payloads: tuple[Payload, ...] = (data, *answer.payloads)
            kind = Kind.RESPONSE
        except HubError as error:
            _logger.info("exchange.own_service_refused", service=own.service.id, code=error.code)
            payloads, kind = (write_fault(describe_fault(error)),), Kind.FAULT
        return reply_to(request, kind, payloads, party=self.party, now=self.clock.now()).raw
