# SPDX-License-Identifier: Apache-2.0
"""SOAP envelopes as a server reads and writes them: strict about XML, and faults with a stable code.

Source: W3C Note SOAP 1.1 sections 4 and 4.4; W3C SOAP 1.2 Part 1 sections 5 and 5.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

from adapters.soap.wsdl.names import is_element
from hub.errors import AdapterError, Culprit, Language

if TYPE_CHECKING:
    from hub.errors import HubError

SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
FAULT = "urn:heliograph:fault"
_UNDERSTOOD = frozenset({"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"})
_DEEPEST = 100
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True)
class Asked:
    """A request as it came.

    Attributes:
        space: the envelope's namespace, which says the version of SOAP.
        header: None where there is none.
        content: the body's one element.
    """

    space: str
    header: etree._Element | None
    content: etree._Element


def read_envelope(content: bytes) -> Asked:
    """Read a request.

    Raises:
        AdapterError: `adapter.request_unreadable`, naming the rule and no content.
    """
    if b"<!DOCTYPE" in content or b"<\x00!\x00D\x00" in content or b"\x00<\x00!\x00D" in content:
        raise unreadable("a document type")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root: etree._Element = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise unreadable("not XML") from exc
    if root.getroottree().docinfo.internalDTD is not None:
        raise unreadable("a document type")
    _require_flat(root)
    space = etree.QName(root).namespace or ""
    if space not in {SOAP_11, SOAP_12} or etree.QName(root).localname != "Envelope":
        raise unreadable("not a SOAP envelope")
    bodies, headers = root.findall(f"{{{space}}}Body"), root.findall(f"{{{space}}}Header")
    if len(bodies) != 1 or len(headers) > 1:
        raise unreadable("not one body")
    contents = [child for child in bodies[0] if is_element(child)]
    if len(contents) != 1:
        raise unreadable("not one element in the body")
    header = headers[0] if headers else None
    _require_understood(header, space)
    return Asked(space, header, contents[0])


def write_envelope(space: str, content: etree._Element) -> bytes:
    """Return an answer."""
    root = etree.Element(f"{{{space}}}Envelope", nsmap={"soap": space})
    etree.SubElement(root, f"{{{space}}}Body").append(content)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8"))


def write_fault(space: str, error: HubError) -> bytes:
    """Return a fault.

    Args:
        space: the version of SOAP the caller speaks.
        error: what went wrong; its detail stays here, since it may say more than the caller may know.
    """
    is_callers = error.culprit is Culprit.SENDER
    text = error.kind.message
    detail = etree.Element(f"{{{FAULT}}}problem", nsmap={"h": FAULT})
    etree.SubElement(detail, f"{{{FAULT}}}code").text = error.code
    etree.SubElement(detail, f"{{{FAULT}}}retryable").text = "true" if error.is_retryable else "false"
    for language, cure in error.kind.cure.items():
        node = etree.SubElement(detail, f"{{{FAULT}}}cure")
        node.set(_XML_LANG, language.value)
        node.text = cure
    fault = etree.Element(f"{{{space}}}Fault", nsmap={"soap": space})
    if space == SOAP_12:
        value = etree.SubElement(etree.SubElement(fault, f"{{{space}}}Code"), f"{{{space}}}Value")
        value.text = "soap:Sender" if is_callers else "soap:Receiver"
        reason = etree.SubElement(fault, f"{{{space}}}Reason")
        for language, words in text.items():
            node = etree.SubElement(reason, f"{{{space}}}Text")
            node.set(_XML_LANG, language.value)
            node.text = words
        etree.SubElement(fault, f"{{{space}}}Detail").append(detail)
    else:
        etree.SubElement(fault, "faultcode").text = "soap:Client" if is_callers else "soap:Server"
        etree.SubElement(fault, "faultstring").text = f"{text[Language.ZH]} {text[Language.EN]}"
        etree.SubElement(fault, "detail").append(detail)
    return write_envelope(space, fault)


def unreadable(reason: str) -> AdapterError:
    """Say that a request cannot be read."""
    return AdapterError("adapter.request_unreadable", reason)


def _require_flat(root: etree._Element) -> None:
    depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > _DEEPEST:
            raise unreadable(f"nested deeper than {_DEEPEST}")


def _require_understood(header: etree._Element | None, space: str) -> None:
    """Refuse headers that have to be understood and are not (SOAP 1.1 section 4.2.3)."""
    for child in header if header is not None else ():
        must = is_element(child) and child.get(f"{{{space}}}mustUnderstand") in {"1", "true"}
        if must and etree.QName(child).namespace not in _UNDERSTOOD:
            raise unreadable("a header that must be understood and is not known")
