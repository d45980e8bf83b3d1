# SPDX-License-Identifier: Apache-2.0
"""A stand-in of a SOAP service, from its WSDL: every operation answers a sample of what its schema says.

`GET` with `?wsdl` is the WSDL in one document with this address; `POST` is SOAP 1.1 or 1.2, document or rpc.
The answer to one question is always the same for the same seed, and says again what was asked.

Source: SOAP 1.1 sections 4 and 7; SOAP 1.2 Part 1 section 5, Part 2 section 4.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from lxml import etree
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from adapters.invention import asked, is_nobody
from adapters.simulators.generated.envelopes import (
    SOAP_11,
    Refusal,
    action_of,
    fault,
    read_envelope,
    reply,
    spoiled,
)
from adapters.simulators.generated.instances import Sampler
from adapters.simulators.generated.misconduct import Misbehaviour
from hub.contracts import FORMATS

if TYPE_CHECKING:
    from starlette.requests import Request

    from adapters.invention import Asked
    from adapters.ports import JsonValue
    from adapters.simulators.generated.misconduct import Misconduct
    from adapters.simulators.generated.wsdl import ServedOperation, ServedWsdl
    from hub.clock import Clock

PATH = "/service"


@dataclass(frozen=True, kw_only=True)
class SoapStandIn:
    """The service.

    Args:
        wsdl: what it promises.
        misconduct: what goes wrong.
        seed: decides its answers.
        clock: says what its instants say.
    """

    wsdl: ServedWsdl
    misconduct: Misconduct
    seed: str
    clock: Clock

    def app(self) -> Starlette:
        """Return the HTTP application."""
        return Starlette(
            routes=[Route(PATH, self._describe, methods=["GET"]), Route(PATH, self._serve, methods=["POST"])]
        )

    async def _describe(self, request: Request) -> Response:
        return Response(self.wsdl.at_address(str(request.url.replace(query=""))), media_type="text/xml")

    async def _serve(self, request: Request) -> Response:
        how = self.misconduct.of_next_call()
        if how is Misbehaviour.SLOW:
            await asyncio.sleep(self.misconduct.slow_seconds)
        content = await request.body()
        action = request.headers.get("soapaction", "") or action_of(request.headers.get("content-type", ""))
        return await run_in_threadpool(self.respond, content, action, how)

    def respond(self, content: bytes, action: str, how: Misbehaviour | None = None) -> Response:
        """Answer one envelope."""
        namespace = SOAP_11
        try:
            envelope = read_envelope(content)
            namespace = str(etree.QName(envelope).namespace)
            body = next(iter(envelope.iterfind(f"{{{namespace}}}Body/*")), None)
            answer = self.answer(self._operation(body, action), body, how)
        except Refusal as refusal:
            return reply(namespace, [fault(namespace, refusal)], status=500)
        if answer is None:
            return Response(status_code=202)
        return spoiled(reply(namespace, answer), how)

    def _operation(self, body: etree._Element | None, action: str) -> ServedOperation:
        operation = self.wsdl.find(body, action)
        if operation is None:
            raise Refusal(is_senders=True, text="no operation is asked for")
        return operation

    def answer(
        self, operation: ServedOperation, body: etree._Element | None, how: Misbehaviour | None = None
    ) -> list[etree._Element] | None:
        """Return the body of the answer to a request's body; None for an operation without an answer."""
        question = b"" if body is None else etree.tostring(body, method="c14n2")
        said = asked(_words(body), FORMATS)
        digest = hashlib.sha256(question).hexdigest()
        chance = Random(f"{self.seed}/{operation.name}/{digest}")  # noqa: S311 - reproducible, not a secret
        sampler = Sampler(self.wsdl.schemas, chance, self.clock.now(), said)
        if how is Misbehaviour.FAULT or _is_about_nobody(said):
            detail = sampler.of_element(operation.fault) if operation.fault else None
            text = "查无记录 / no record" if how is None else "系统内部错误 / the system failed"
            raise Refusal(is_senders=False, text=text, detail=detail)
        if operation.answers is None:
            return None
        if how is Misbehaviour.BREAKS_CONTRACT:
            return [etree.Element("unexpected")]
        if not operation.is_rpc:
            elements = [sampler.of_element(part.element) for part in operation.answers if part.element]
            return [each for each in elements if each is not None]
        wrapper = etree.Element(f"{{{operation.answer_space or operation.space}}}{operation.name}Response")
        for part in operation.answers:
            if part.type_name:
                wrapper.append(sampler.of_type(part.name, part.type_name))
        return [wrapper]


def _words(element: etree._Element | None) -> JsonValue:
    """Return what a request says, by the local names of its elements."""
    if element is None:
        return None
    children = list(element.iterchildren("*"))
    if not children:
        return (element.text or "").strip() or None
    words: dict[str, list[JsonValue]] = {}
    for child in children:
        words.setdefault(etree.QName(child).localname, []).append(_words(child))
    return dict(words)


def _is_about_nobody(said: Asked) -> bool:
    named = [*said.by_format.get("resident-id", ()), *said.by_format.get("uscc", ())]
    return bool(named) and all(is_nobody(each) for each in named)
