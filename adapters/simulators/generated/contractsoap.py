# SPDX-License-Identifier: Apache-2.0
"""A stand-in that answers a contract's questions over SOAP, with a UsernameToken and a WSDL of its own."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from lxml import etree
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from adapters.simulators.generated.contractxml import FAULT, OPERATION, RESPONSE, ContractXml, answer_members
from adapters.simulators.generated.envelopes import (
    SOAP_11,
    Refusal,
    fault,
    read_envelope,
    reply,
    require_token,
    spoiled,
)
from adapters.simulators.generated.misconduct import Misbehaviour
from adapters.simulators.generated.offer import Offer, same_members
from adapters.simulators.generated.respondent import Outcome
from adapters.simulators.generated.soap import PATH

if TYPE_CHECKING:
    from starlette.requests import Request

    from adapters.simulators.generated.misconduct import Misconduct
    from adapters.simulators.generated.respondent import Respondent

_USERNAME, _PASSWORD_FILE, _WSDL_FILE = "qzj", "password", "service.wsdl"


class ContractSoap:
    """The service.

    Args:
        respondent: knows the answers.
        misconduct: what goes wrong.

    Raises:
        AdapterError: `adapter.configuration_invalid`, the contract cannot be written in XML this way.
    """

    def __init__(self, respondent: Respondent, misconduct: Misconduct) -> None:
        self._respondent = respondent
        self._misconduct = misconduct
        self._xml = ContractXml(respondent.contract)
        self._password = secrets.token_urlsafe(24)

    def app(self) -> Starlette:
        """Return the HTTP application."""
        return Starlette(
            routes=[Route(PATH, self._describe, methods=["GET"]), Route(PATH, self._serve, methods=["POST"])]
        )

    def offer(self, port: int) -> Offer:
        """Return how an adapter reaches it."""
        address = f"http://127.0.0.1:{port}{PATH}"
        xml = self._xml
        return Offer(
            kind="soap",
            port=port,
            connection={
                "wsdl": _WSDL_FILE,
                "address": address,
                "operation": OPERATION,
                "username_token": {"username": _USERNAME, "password": f"file:{_PASSWORD_FILE}"},
                "fault_code_element": "code",
                "fault_codes": {Outcome.NOT_FOUND.value: "record_not_found"},
            },
            request=same_members(xml.request, "request"),
            response=answer_members(xml.response) if xml.response else None,
            secrets={_PASSWORD_FILE: self._password, _WSDL_FILE: xml.wsdl(address).decode("utf-8")},
        )

    async def _describe(self, request: Request) -> Response:
        return Response(self._xml.wsdl(str(request.url.replace(query=""))), media_type="text/xml")

    async def _serve(self, request: Request) -> Response:
        how = self._misconduct.of_next_call()
        if how is Misbehaviour.SLOW:
            await asyncio.sleep(self._misconduct.slow_seconds)
        return await run_in_threadpool(self.respond, await request.body(), how)

    def respond(self, content: bytes, how: Misbehaviour | None = None) -> Response:
        """Answer one envelope."""
        namespace = SOAP_11
        try:
            envelope = read_envelope(content)
            namespace = str(etree.QName(envelope).namespace)
            require_token(envelope, _USERNAME, self._password)
            body = next(iter(envelope.iterfind(f"{{{namespace}}}Body/*")), None)
            answer = self._answer(body, how)
        except Refusal as refusal:
            return reply(namespace, [fault(namespace, refusal)], status=500)
        return spoiled(reply(namespace, [answer]), how)

    def _answer(self, body: etree._Element | None, how: Misbehaviour | None) -> etree._Element:
        if how is Misbehaviour.FAULT:
            raise self._refusal("busy", "系统繁忙 / the system is busy")
        if body is None:
            raise self._refusal(Outcome.INVALID.value, "the body is empty")
        said = self._respondent.answer(self._xml.read(body))
        if said.outcome is not Outcome.ANSWERED:
            raise self._refusal(said.outcome.value, said.reason or "查无记录 / no record")
        if how is Misbehaviour.BREAKS_CONTRACT:
            return self._xml.write(RESPONSE, {"unexpected": "true"})
        return self._xml.write(RESPONSE, said.data)

    def _refusal(self, code: str, text: str) -> Refusal:
        is_senders = code == Outcome.INVALID.value
        return Refusal(is_senders=is_senders, text=text, detail=self._xml.write(FAULT, {"code": code}))
