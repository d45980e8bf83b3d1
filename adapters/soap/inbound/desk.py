# SPDX-License-Identifier: Apache-2.0
"""The gateway's SOAP endpoint: a department that can only speak SOAP asks other departments through the hub.

`GET /soap/<service>?wsdl` is the contract as a WSDL; `POST /soap/<service>` asks: the envelope becomes a
signed message, and the hub's verified answer becomes the envelope that is answered.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import structlog
from lxml import etree
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from adapters.hubclient import Question
from adapters.soap.inbound.callers import Callers, NonceMemory, require_caller
from adapters.soap.inbound.contractwsdl import PURPOSE_FIELDS, contract_form, contract_wsdl
from adapters.soap.inbound.envelopes import (
    SOAP_11,
    SOAP_12,
    read_envelope,
    unreadable,
    write_envelope,
    write_fault,
)
from adapters.soap.inbound.form import FormError, fill, read
from adapters.soap.wsdl.names import is_element
from hub.contracts import Pattern
from hub.envelope import Purpose
from hub.errors import AdapterError, HubError, SettingsError
from hub.findings import logged
from hub.identifiers import ContractId, ServiceId, SubsystemId, new_message_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from starlette.requests import Request

    from adapters.hubclient import HubClient, VerifiedAnswer
    from adapters.intakes import Outgoing
    from adapters.soap.inbound.contractwsdl import ContractForm
    from adapters.soap.inbound.envelopes import Asked
    from adapters.soap.inbound.settings import SoapServiceSettings
    from hub.clock import Clock
    from hub.contracts import Contract, JsonValue

AT = "/soap/"
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Service:
    settings: SoapServiceSettings
    contract: Contract
    form: ContractForm
    callers: Callers


class SoapDesk:
    """Answers SOAP requests of this department's own systems.

    Args:
        services: as configured.
        contracts: by id.
        client_for: what signs and sends for a subsystem.
        outgoing: takes what nobody waits for.
        clock: for times of tokens and ids.

    Raises:
        SettingsError: `settings.invalid`, a service names an unknown contract or is there twice.
        AdapterError: `adapter.configuration_invalid`, a contract cannot be asked over SOAP.
    """

    def __init__(
        self,
        services: Iterable[SoapServiceSettings],
        *,
        contracts: Mapping[ContractId, Contract],
        client_for: Callable[[SubsystemId], HubClient],
        outgoing: Outgoing,
        clock: Clock,
    ) -> None:
        self._client_for = client_for
        self._outgoing = outgoing
        self._clock = clock
        self._nonces = NonceMemory(clock)
        self._services: dict[str, _Service] = {}
        for settings in services:
            contract = contracts.get(ContractId(settings.contract))
            if contract is None or settings.service in self._services:
                raise SettingsError("settings.invalid", f"soap: {settings.service}: contract, or there twice")
            callers = Callers(
                {
                    one.username: one.password
                    for one in settings.callers
                    if one.username is not None and one.password is not None
                },
                frozenset(one.certificate for one in settings.callers if one.certificate is not None),
            )
            self._services[settings.service] = _Service(settings, contract, contract_form(contract), callers)

    def routes(self) -> list[Route]:
        """Return the endpoint's routes; none without services."""
        if not self._services:
            return []
        path = f"{AT}{{service:path}}"
        return [
            Route(path, self._describe, methods=["GET"]),
            Route(path, self._receive, methods=["POST"]),
        ]

    async def _describe(self, request: Request) -> Response:
        service = self._services.get(request.path_params["service"])
        if service is None or "wsdl" not in {name.lower() for name in request.query_params}:
            return Response("Not found", status_code=404, media_type="text/plain")
        address = str(request.url.replace(query=""))
        return Response(contract_wsdl(service.contract, address), media_type="text/xml")

    async def _receive(self, request: Request) -> Response:
        service = self._services.get(request.path_params["service"])
        # The version is not known before the envelope is read; the content type says it as well.
        is_12 = "application/soap+xml" in request.headers.get("content-type", "")
        space = SOAP_12 if is_12 else SOAP_11
        try:
            if service is None:
                raise AdapterError("adapter.service_unknown", "no such service over SOAP")
            content = bytearray()
            async for chunk in request.stream():
                content += chunk
                if len(content) > service.settings.max_request_bytes:
                    raise unreadable(f"more than {service.settings.max_request_bytes} bytes")
            asked = read_envelope(bytes(content))
            space = asked.space
            tls = request.scope.get("extensions", {}).get("tls") or {}
            chain: Sequence[str] = tls.get("client_cert_chain") or ()
            answer = await run_in_threadpool(self._answer, service, asked, chain)
            return _response(write_envelope(space, answer), space)
        except HubError as error:
            _logger.info("gateway.soap_refused", code=error.code, detail=error.detail, **logged(error))
            return _response(write_fault(space, error), space, status_code=500)

    def _answer(self, service: _Service, asked: Asked, chain: Sequence[str]) -> etree._Element:
        require_caller(asked.header, chain, service.callers, self._nonces)
        settings, form = service.settings, service.form
        if asked.content.tag != form.request_tag:
            raise unreadable(f"the body is no {form.name}Request")
        purpose = _purpose(asked.content, form, settings.purpose)
        try:
            data = read(asked.content, form.request)
        except FormError as exc:
            raise unreadable(str(exc)) from exc
        if not isinstance(data, dict):
            raise unreadable("the request is nil")
        question = Question(
            service=ServiceId(settings.service),
            contract=ContractId(settings.contract),
            data=data,
            purpose=purpose,
            timeout_seconds=settings.timeout_seconds,
        )
        node = etree.Element(form.answer_tag, nsmap={"t": form.space})
        subsystem = SubsystemId(settings.subsystem)
        if service.contract.pattern is not Pattern.REQUEST or form.answer is None:
            key = f"soap-{new_message_id(self._clock.now())}"
            sent = self._outgoing.put(key, question, origin="soap", sender=subsystem)
            etree.SubElement(node, f"{{{form.space}}}messageId").text = sent
            return node
        answer = self._client_for(subsystem).ask(question)
        fill(node, cast("JsonValue", dict(answer.data)), form.answer, form.space)
        _add_documents(node, answer, service, form.space)
        return node


def _purpose(content: etree._Element, form: ContractForm, given: Mapping[str, str]) -> Purpose:
    """Take the purpose out of a request; what the settings say need not be there, and is not overruled."""
    values: dict[str, str] = {}
    node = content.find(f"{{{form.space}}}purpose")
    is_own = any(name == "purpose" for name, _, _ in form.request.fields)
    if node is not None and not is_own:
        for child in node:
            if is_element(child):
                values[etree.QName(child).localname] = (child.text or "").strip()
        content.remove(node)
    values.update(given)
    missing = [name for name in PURPOSE_FIELDS if not values.get(name)]
    if missing or set(values) - set(PURPOSE_FIELDS):
        raise unreadable(f"purpose: {', '.join(missing) or 'unknown elements'}")
    try:
        return Purpose(
            item=values["item"],
            case=values["case"],
            legal_basis=values["legal_basis"],
            official=values["official"],
            post=values["post"],
        )
    except ValueError as exc:
        raise unreadable("purpose: a text that is too long or has control characters") from exc


def _add_documents(node: etree._Element, answer: VerifiedAnswer, service: _Service, space: str) -> None:
    for part in service.contract.response:
        content = answer.payloads.get(part.file_name)
        if part.schema is None and content is not None:
            document = etree.SubElement(node, f"{{{space}}}document")
            document.set("name", part.file_name)
            document.set("mediaType", part.media_type)
            document.text = base64.b64encode(content).decode("ascii")


def _response(content: bytes, space: str, *, status_code: int = 200) -> Response:
    media_type = "application/soap+xml" if space == SOAP_12 else "text/xml"
    return Response(content, status_code=status_code, media_type=media_type)
