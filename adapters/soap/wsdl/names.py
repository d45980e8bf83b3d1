# SPDX-License-Identifier: Apache-2.0
"""Namespaces, and names in them: what a prefix means where it is written, and where it was never declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Mapping

WSDL = "http://schemas.xmlsoap.org/wsdl/"
WSDL_20 = "http://www.w3.org/ns/wsdl"
XSD = "http://www.w3.org/2001/XMLSchema"
OLD_XSD = frozenset({"http://www.w3.org/1999/XMLSchema", "http://www.w3.org/2000/10/XMLSchema"})
SOAP_11 = "http://schemas.xmlsoap.org/wsdl/soap/"
SOAP_12 = "http://schemas.xmlsoap.org/wsdl/soap12/"
MIME = "http://schemas.xmlsoap.org/wsdl/mime/"
ENCODING_11 = "http://schemas.xmlsoap.org/soap/encoding/"
XML = "http://www.w3.org/XML/1998/namespace"

_WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"

USUAL_PREFIXES: Mapping[str, str] = {
    "xs": XSD,
    "xsd": XSD,
    "s": XSD,
    "schema": XSD,
    "wsdl": WSDL,
    "soap": SOAP_11,
    "wsdlsoap": SOAP_11,
    "soap11": SOAP_11,
    "soapbind": SOAP_11,
    "soap12": SOAP_12,
    "http": "http://schemas.xmlsoap.org/wsdl/http/",
    "mime": MIME,
    "soapenc": ENCODING_11,
    "SOAP-ENC": ENCODING_11,
    "enc": ENCODING_11,
    "SOAP-ENV": "http://schemas.xmlsoap.org/soap/envelope/",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "wsu": _WSU,
    "wsse": _WSSE,
    "wsp": "http://www.w3.org/ns/ws-policy",
    "wsa": "http://www.w3.org/2005/08/addressing",
    "wsaw": "http://www.w3.org/2006/05/addressing/wsdl",
    "wsam": "http://www.w3.org/2007/05/addressing/metadata",
    "xmime": "http://www.w3.org/2005/05/xmlmime",
    "xop": "http://www.w3.org/2004/08/xop/include",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "xlink": "http://www.w3.org/1999/xlink",
    "jaxb": "http://java.sun.com/xml/ns/jaxb",
    "jaxws": "http://java.sun.com/xml/ns/jaxws",
    "msdata": "urn:schemas-microsoft-com:xml-msdata",
    "xml": XML,
}
"""What tools everywhere call these namespaces; used only where a file forgot to say it."""


@dataclass(frozen=True, order=True)
class Name:
    """A qualified name; `space` is empty for names without a namespace."""

    space: str
    local: str

    def __str__(self) -> str:
        return f"{{{self.space}}}{self.local}" if self.space else self.local


def name_of(node: etree._Element) -> Name:
    """Return an element's own name."""
    qname = etree.QName(node)
    return Name(qname.namespace or "", qname.localname)


def is_element(node: object) -> bool:
    """Tell whether a node is an element, and no comment or processing instruction."""
    return isinstance(node, etree._Element) and isinstance(node.tag, str)  # noqa: SLF001 - lxml has no other name


@dataclass(frozen=True)
class Written:
    """A qualified name as it stands in an attribute.

    Attributes:
        name: what it means; None where its prefix is declared nowhere and usual for nothing.
        prefix: as written.
        is_declared: whether the prefix is declared.
    """

    name: Name | None
    local: str
    prefix: str
    is_declared: bool


def read_name(text: str, node: etree._Element, unprefixed: str = "") -> Written:
    """Read a qualified name.

    Args:
        text: as written, for example `tns:Person`.
        node: where it is written.
        unprefixed: the namespace of a name without prefix where no default namespace is declared: that of
            the including schema, for a schema without a namespace of its own.

    Source: W3C XML Schema 1.0 Part 1 section 3.15.3; Part 2 section 3.2.18 (QName).
    """
    prefix, colon, local = text.strip().rpartition(":")
    if not colon:
        return Written(Name(node.nsmap.get(None) or unprefixed, local), local, "", is_declared=True)
    if prefix == "xml":
        return Written(Name(XML, local), local, prefix, is_declared=True)
    space = node.nsmap.get(prefix)
    if space is not None:
        return Written(Name(space, local), local, prefix, is_declared=True)
    usual = USUAL_PREFIXES.get(prefix)
    name = Name(usual, local) if usual else None
    return Written(name, local, prefix, is_declared=False)


def place_of(document: str, node: etree._Element) -> str:
    """Return where a node stands, as `file:line`."""
    return f"{document}:{node.sourceline}"
