# SPDX-License-Identifier: Apache-2.0
"""The service that issues disability-employment proofs: three sources asked, counted, typeset and sealed.

The employment record comes from the issuer's own system, the certificates and contributions from other
departments through the hub, like any other exchange, in the conversation of the request.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import rfc8785
from pydantic import AfterValidator

from adapters.entry import ConnectionSettings
from adapters.hubclient import Question
from adapters.ports import Answer, Document
from adapters.proof.composition import Party, SourceReference, compose
from adapters.proof.numbering import certificate_identifier
from adapters.proof.records import person_batches
from adapters.proof.rule import load_counting_rule
from adapters.references import ReferredPath
from hub.clock import day_in_china
from hub.errors import AdapterError
from hub.identifiers import ContractId, MemberId, ServiceId, is_service_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapters.entry import ServiceEntry
    from adapters.hubclient import HubClient, VerifiedAnswer
    from adapters.ports import Adapter, Call, JsonObject
    from adapters.sources import Probe
    from hub.clock import Clock
    from hub.contracts import Contract

_EMPLOYMENT = ContractId("employment-record/v1")
_CERTIFICATES = ContractId("disability-certificate/v1")
_CONTRIBUTIONS = ContractId("contribution-record/v1")
_PROOF_TYPE = "001"


def _service(text: str) -> str:
    if not is_service_id(text):
        raise ValueError("is not a service id of the form <USCC>/<subsystem>/<service>")
    return text


_Service = Annotated[str, AfterValidator(_service)]


class ProofSettings(ConnectionSettings):
    """Where a proof's data comes from and how it is counted.

    Attributes:
        employment: the issuer's own service, answered by this same gateway.
        certificates: the register of disability certificates.
        contributions: the social insurance's service.
        rule: the counting rule's file.
        required_ratio: of disabled staff to all staff, as the province sets it.
    """

    employment: _Service
    certificates: _Service
    contributions: _Service
    rule: ReferredPath
    required_ratio: str
    issuer_name: str


@dataclass(frozen=True, kw_only=True)
class ProofParts:
    """What the gateway lends this adapter.

    Attributes:
        ask: the hub, for this member's subsystem.
        own_service: finds an adapter of the same gateway; asked when the first request comes, since the
            adapters of a gateway are built one after the other.
        issue: typesets a proof's data and seals it.
    """

    ask: HubClient
    own_service: Callable[[ServiceId], Adapter]
    contracts: Mapping[ContractId, Contract]
    issue: Callable[[JsonObject], bytes]
    clock: Clock


class ProofAdapter:
    """Answers `disability-employment-proof/v1`."""

    def __init__(self, entry: ServiceEntry, parts: ProofParts) -> None:
        self._settings = entry.settings(ProofSettings)
        self._rule = load_counting_rule(self._settings.rule)
        self._ratio = Decimal(self._settings.required_ratio)
        self._parts = parts
        member = MemberId(entry.service[:18])
        self._issuer = Party(member, self._settings.issuer_name)

    def answer(self, request: JsonObject, call: Call) -> Answer:
        """Compose, typeset and seal a proof.

        Raises:
            AdapterError: the own system, or what the sources say together, cannot be used.
            ReportedFaultError: another department answered with a fault.
            DocumentError: the proof cannot be typeset or sealed.
        """
        deadline = time.monotonic() + call.timeout_seconds
        employment, own_source = self._own_record(request, call)
        contributions = self._ask(call, deadline, self._settings.contributions, _CONTRIBUTIONS, dict(request))
        certificates = self._ask_certificates(call, deadline, employment)
        asked = [contributions, *certificates]
        now = self._parts.clock.now()
        data = compose(
            employment,
            [answer.data for answer in certificates],
            contributions.data,
            rule=self._rule,
            issuer=self._issuer,
            sources=[own_source, *(_source(answer) for answer in asked)],
            proof_number=certificate_identifier(
                self._issuer.uscc + _PROOF_TYPE, self._issuer.uscc, _serial(call, day_in_china(now).year)
            ),
            issued_at=now,
            required_ratio=self._ratio,
        )
        proof = Document("proof.pdf", "application/pdf", self._parts.issue(data))
        return Answer(data, (proof,))

    def probe(self, seconds: float) -> Probe:
        """Try the own system; other departments are reached through the hub, whose health is shown apart."""
        return self._parts.own_service(ServiceId(self._settings.employment)).probe(seconds)

    def close(self) -> None:
        """Give back nothing: connections belong to the gateway."""

    def _own_record(self, request: JsonObject, call: Call) -> tuple[JsonObject, SourceReference]:
        service = ServiceId(self._settings.employment)
        data = self._parts.own_service(service).answer(request, call).data
        content = rfc8785.dumps(dict(data))
        self._parts.contracts[_EMPLOYMENT].check_response({"response.json": content})
        source = SourceReference(
            contract=_EMPLOYMENT,
            service=service,
            message_id=None,
            response_sha256=hashlib.sha256(content).hexdigest(),
            answered_at=self._parts.clock.now(),
        )
        return data, source

    def _ask_certificates(self, call: Call, deadline: float, employment: JsonObject) -> list[VerifiedAnswer]:
        return [
            self._ask(
                call, deadline, self._settings.certificates, _CERTIFICATES, {"person_ids": list(persons)}
            )
            for persons in person_batches(employment)
        ]

    def _ask(
        self, call: Call, deadline: float, service: str, contract: ContractId, data: Mapping[str, Any]
    ) -> VerifiedAnswer:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise AdapterError("adapter.system_timeout", f"no time was left to ask {service}")
        return self._parts.ask.ask(
            Question(
                service=ServiceId(service),
                contract=contract,
                data=data,
                purpose=call.purpose,
                conversation=call.conversation,
                timeout_seconds=remaining,
            )
        )


def _serial(call: Call, year: int) -> str:
    """Make a certificate's serial from the year and the request's 62 random bits: one request, one proof."""
    return f"{year}{call.message_id.replace('-', '')[-16:].upper()}"


def _source(answer: VerifiedAnswer) -> SourceReference:
    header = answer.response.header
    if header.service is None or header.contract is None:
        raise TypeError("a response names its service and contract")
    return SourceReference(
        contract=header.contract,
        service=header.service,
        message_id=header.id,
        response_sha256=hashlib.sha256(answer.response.payloads["response.json"]).hexdigest(),
        answered_at=answer.answered_at,
    )
