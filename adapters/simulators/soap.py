# SPDX-License-Identifier: Apache-2.0
"""The labour bureau's employment file: an old system with pinyin field names behind a SOAP endpoint.

`GET /ygba?wsdl` is its WSDL, `POST /ygba` its one operation, in SOAP 1.1 and 1.2. It asks for a WS-Security
UsernameToken and refuses XML with a document type.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING

from lxml import etree
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from adapters.simulators import misbehaviour
from adapters.simulators.misbehaviour import SLOW_SECONDS, Misbehaviour, StandIn
from adapters.simulators.population import EMPLOYERS, Population, months_until, population

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from starlette.requests import Request

    from hub.clock import Clock

USERNAME = "qzj"
"""The name the front-end node (前置机) signs in with."""

_SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
_SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
_OWN = "urn:chenghua:rsj:ygba"
_WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_MAX_REQUEST_BYTES = 1_000_000


class _Refusal(Exception):  # noqa: N818 - it is the system's own answer, not a program's error
    """A fault with the system's own code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code)
        self.code = code
        self.text = text


@dataclass(frozen=True)
class EmploymentFile:
    """The stand-in.

    Args:
        folder: where it is told to misbehave.
        password: of the UsernameToken; digest or text.
        clock: says which months have begun.
    """

    folder: Path
    password: str
    clock: Clock

    def app(self) -> Starlette:
        """Return the endpoint."""
        return Starlette(
            routes=[
                Route("/ygba", self._wsdl, methods=["GET"]),
                Route("/ygba", self._operation, methods=["POST"]),
            ]
        )

    async def _wsdl(self, request: Request) -> Response:
        text = resources.files("adapters.simulators").joinpath("soap.wsdl").read_text(encoding="utf-8")
        return Response(
            text.replace("http://127.0.0.1/ygba", str(request.url.replace(query=""))), media_type="text/xml"
        )

    async def _operation(self, request: Request) -> Response:
        how = misbehaviour.current(self.folder, StandIn.SOAP)
        if how is Misbehaviour.SLOW:
            await asyncio.sleep(SLOW_SECONDS)
        if how is Misbehaviour.REDIRECT:
            return Response(status_code=307, headers={"location": "http://198.51.100.7/ygba"})
        namespace = _SOAP_11
        try:
            body = await request.body()
            envelope = _parse(body)
            namespace = etree.QName(envelope).namespace or ""
            _check_token(envelope, self.password)
            answer = self._answer(envelope, how)
        except _Refusal as exc:
            return _response(_fault(namespace, exc), namespace, status_code=500)
        response = _response(answer, namespace)
        return _spoil(response, how)

    def _answer(self, envelope: etree._Element, how: Misbehaviour | None) -> etree._Element:
        if how is Misbehaviour.FAULT:
            raise _Refusal("E9001", "系统内部错误")
        question = envelope.find(f"{{*}}Body/{{{_OWN}}}CXYGBA")
        if question is None:
            raise _Refusal("E0001", "请求报文格式错误")
        employer = question.findtext(f"{{{_OWN}}}DWDM") or ""
        year = question.findtext(f"{{{_OWN}}}ND") or ""
        if employer not in EMPLOYERS:
            raise _Refusal("E0404", "单位不存在")
        months = months_until(int(year), self.clock.now().date()) if year.isascii() and year.isdigit() else ()
        if not months:
            raise _Refusal("E0404", "该年度无用工备案")
        return _record(population(int(year)), employer, int(year), months, how)


def _record(
    people: Population, employer: str, year: int, months: tuple[str, ...], how: Misbehaviour | None
) -> etree._Element:
    staff = people.staff(employer, year)
    record = _own(
        "CXYGBAFH",
        _own("DWXX", _own("DWDM", employer), _own("DWMC", EMPLOYERS[employer])),
        _own("ND", str(year)),
    )
    for month in months:
        count = sum(one.covers(month) for one in staff)
        # A negative count is what this system's own faulty recount once wrote.
        wrong = how is Misbehaviour.BREAKS_CONTRACT and month == months[0]
        record.append(
            _own("YRSQK", _own("YF", month.replace("-", "")), _own("ZGRS", str(-1 if wrong else count)))
        )
    for one in staff:
        row = _own(
            "RYXX",
            _own("GRSFZH", one.person.person_id),
            _own("XM", one.person.name),
            _own("YGKSRQ", _compact(one.first_day)),
            _own("YGJSRQ", _compact(one.last_day) if one.last_day else ""),
            _own("YGFS", "9" if how is Misbehaviour.UNKNOWN_CODE else "2" if one.is_dispatched else "1"),
        )
        if one.counted_by:
            row.append(_own("JRDW", one.counted_by))
        record.append(row)
    return record


def _parse(body: bytes) -> etree._Element:
    if len(body) > _MAX_REQUEST_BYTES:
        raise _Refusal("E0002", "请求报文过大")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        envelope: etree._Element = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as exc:
        raise _Refusal("E0001", "请求报文格式错误") from exc
    if envelope.getroottree().docinfo.internalDTD is not None:
        raise _Refusal("E0003", "不接受含文档类型声明的报文")
    if envelope.tag not in {f"{{{_SOAP_11}}}Envelope", f"{{{_SOAP_12}}}Envelope"}:
        raise _Refusal("E0001", "请求报文格式错误")
    return envelope


def _check_token(envelope: etree._Element, password: str) -> None:
    """Check the UsernameToken.

    Source: OASIS WSS UsernameToken Profile 1.1.1 section 3.1: Base64(SHA-1(nonce + created + password)).
    """
    token = envelope.find(f"{{*}}Header/{{{_WSSE}}}Security/{{{_WSSE}}}UsernameToken")
    if token is None or token.findtext(f"{{{_WSSE}}}Username") != USERNAME:
        raise _Refusal("E0401", "未授权")
    given = token.find(f"{{{_WSSE}}}Password")
    expected = password
    if given is not None and str(given.get("Type", "")).endswith("#PasswordDigest"):
        nonce = base64.b64decode(token.findtext(f"{{{_WSSE}}}Nonce") or "")
        created = (token.findtext(f"{{{_WSU}}}Created") or "").encode()
        digest = hashlib.sha1(nonce + created + password.encode()).digest()  # noqa: S324 - the profile's algorithm
        expected = base64.b64encode(digest).decode()
    if given is None or not hmac.compare_digest((given.text or "").encode(), expected.encode()):
        raise _Refusal("E0401", "未授权")


def _fault(namespace: str, refusal: _Refusal) -> etree._Element:
    soap = partial(_element, namespace)
    plain = partial(_element, "")
    detail = _own("CWXX", _own("CWDM", refusal.code), _own("CWMS", refusal.text))
    if namespace == _SOAP_12:
        reason = soap("Text", refusal.text)
        reason.set("{http://www.w3.org/XML/1998/namespace}lang", "zh-CN")
        code = soap("Code", soap("Value", "soap:Receiver"))
        return soap("Fault", code, soap("Reason", reason), soap("Detail", detail))
    texts = plain("faultcode", "soap:Server"), plain("faultstring", refusal.text)
    return soap("Fault", *texts, plain("detail", detail))


def _response(content: etree._Element, namespace: str, *, status_code: int = 200) -> Response:
    soap = partial(_element, namespace)
    text = etree.tostring(soap("Envelope", soap("Body", content)), xml_declaration=True, encoding="utf-8")
    media_type = "application/soap+xml" if namespace == _SOAP_12 else "text/xml"
    return Response(text, status_code=status_code, media_type=media_type)


def _spoil(response: Response, how: Misbehaviour | None) -> Response:
    """Return the answer as a hostile or broken system would send it."""
    body = bytes(response.body)
    start = body.index(b"<soap:Envelope")
    if how is Misbehaviour.ENTITY_BOMB:
        levels = "".join(f'<!ENTITY b{n} "{f"&b{n - 1};" * 10}">' for n in range(1, 10))
        bomb = f'<!DOCTYPE x [<!ENTITY b0 "lol">{levels}]>'.encode()
        body = bomb + body[start:].replace(b"</yg:DWMC>", b"&b9;</yg:DWMC>", 1)
    if how is Misbehaviour.EXTERNAL_ENTITY:
        doctype = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
        body = doctype + body[start:].replace(b"</yg:DWMC>", b"&e;</yg:DWMC>", 1)
    if how is Misbehaviour.OVERSIZED:
        body = body.replace(b"</yg:DWMC>", b"x" * 20_000_000 + b"</yg:DWMC>", 1)
    return Response(body, media_type=response.media_type)


def _element(namespace: str, name: str, *content: str | etree._Element) -> etree._Element:
    prefixes = {_OWN: "yg", _SOAP_11: "soap", _SOAP_12: "soap"}
    nsmap: dict[str, str] | None = {prefixes[namespace]: namespace} if namespace else None
    element = etree.Element(f"{{{namespace}}}{name}" if namespace else name, nsmap=nsmap)
    for part in content:
        if isinstance(part, str):
            element.text = part
        else:
            element.append(part)
    return element


_own = partial(_element, _OWN)


def _compact(day: date) -> str:
    return f"{day:%Y%m%d}"
