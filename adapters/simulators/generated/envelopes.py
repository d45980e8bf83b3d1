# SPDX-License-Identifier: Apache-2.0
"""SOAP envelopes as a stand-in reads and writes them: 1.1 and 1.2, faults, a UsernameToken.

Source: SOAP 1.1 sections 4 and 7; SOAP 1.2 Part 1 section 5, Part 2 section 7; OASIS WSS UsernameToken
Profile 1.1.1 section 3.1.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING

from lxml import etree
from starlette.responses import Response

from adapters.simulators.generated.misconduct import Misbehaviour

if TYPE_CHECKING:
    from collections.abc import Sequence

SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
_WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_MAX_REQUEST_BYTES = 20_000_000
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)


class Refusal(Exception):  # noqa: N818 - it is the service's own answer, not a program's error
    """A fault: who is to blame, what happened, and the detail's element."""

    def __init__(self, *, is_senders: bool, text: str, detail: etree._Element | None = None) -> None:
        super().__init__(text)
        self.is_senders = is_senders
        self.text = text
        self.detail = detail


def read_envelope(content: bytes) -> etree._Element:
    """Return a request's envelope, or refuse what is none."""
    if len(content) > _MAX_REQUEST_BYTES:
        raise Refusal(is_senders=True, text="the request is too large")
    try:
        envelope: etree._Element = etree.fromstring(content, _PARSER)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise Refusal(is_senders=True, text="the request is no XML") from exc
    if envelope.getroottree().docinfo.internalDTD is not None:
        raise Refusal(is_senders=True, text="a document type is not accepted")
    if envelope.tag not in {f"{{{SOAP_11}}}Envelope", f"{{{SOAP_12}}}Envelope"}:
        raise Refusal(is_senders=True, text="the request is no SOAP envelope")
    return envelope


def require_token(envelope: etree._Element, username: str, password: str) -> None:
    """Refuse a request without the right UsernameToken, in either of its two forms."""
    token = envelope.find(f"{{*}}Header/{{{_WSSE}}}Security/{{{_WSSE}}}UsernameToken")
    given = None if token is None else token.find(f"{{{_WSSE}}}Password")
    if token is None or given is None or token.findtext(f"{{{_WSSE}}}Username") != username:
        raise Refusal(is_senders=True, text="未授权 / not authorised")
    expected = password
    if str(given.get("Type", "")).endswith("#PasswordDigest"):
        try:
            nonce = base64.b64decode(token.findtext(f"{{{_WSSE}}}Nonce") or "", validate=True)
        except binascii.Error as exc:
            raise Refusal(is_senders=True, text="未授权 / not authorised") from exc
        created = (token.findtext(f"{{{_WSU}}}Created") or "").encode()
        digest = hashlib.sha1(nonce + created + password.encode()).digest()  # noqa: S324 - the profile's algorithm
        expected = base64.b64encode(digest).decode()
    if not hmac.compare_digest((given.text or "").encode(), expected.encode()):
        raise Refusal(is_senders=True, text="未授权 / not authorised")


def fault(namespace: str, refusal: Refusal) -> etree._Element:
    """Return a refusal as the SOAP version of the request writes it."""
    element = etree.Element(f"{{{namespace}}}Fault", nsmap={"soap": namespace})
    if namespace == SOAP_12:
        code = etree.SubElement(element, f"{{{namespace}}}Code")
        value = etree.SubElement(code, f"{{{namespace}}}Value")
        value.text = "soap:Sender" if refusal.is_senders else "soap:Receiver"
        reason = etree.SubElement(etree.SubElement(element, f"{{{namespace}}}Reason"), f"{{{namespace}}}Text")
        reason.set("{http://www.w3.org/XML/1998/namespace}lang", "zh-CN")
        reason.text = refusal.text
        place = f"{{{namespace}}}Detail"
    else:
        etree.SubElement(element, "faultcode").text = "soap:Client" if refusal.is_senders else "soap:Server"
        etree.SubElement(element, "faultstring").text = refusal.text
        place = "detail"
    if refusal.detail is not None:
        etree.SubElement(element, place).append(refusal.detail)
    return element


def reply(namespace: str, content: Sequence[etree._Element], *, status: int = 200) -> Response:
    """Return an envelope around a body."""
    envelope = etree.Element(f"{{{namespace}}}Envelope", nsmap={"soap": namespace})
    body = etree.SubElement(envelope, f"{{{namespace}}}Body")
    body.extend(content)
    media_type = "application/soap+xml" if namespace == SOAP_12 else "text/xml"
    text = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
    return Response(text, status_code=status, media_type=media_type)


def spoiled(response: Response, how: Misbehaviour | None) -> Response:
    """Return an answer as it breaks off, or has no end."""
    body = bytes(response.body)
    if how is Misbehaviour.HALF_WRITTEN:
        return Response(body[: len(body) // 2], media_type=response.media_type)
    if how is Misbehaviour.OVERSIZED:
        return Response(body + b" " * 200_000_001, media_type=response.media_type)
    return response


def action_of(content_type: str) -> str:
    """Return the action parameter of SOAP 1.2's media type (RFC 3902)."""
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "action":
            return value
    return ""
