# SPDX-License-Identifier: Apache-2.0
"""A contract as a WSDL, for systems that speak nothing but SOAP: document/literal, SOAP 1.1 and 1.2.

Source: W3C Note WSDL 1.1; WS-I Basic Profile 1.1 (document/literal, one part a message); WSDL 1.1 Binding
Extension for SOAP 1.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from lxml import etree

from adapters.soap.inbound.form import Form, Kind, element_name, form_of
from adapters.soap.wsdl.names import SOAP_11, SOAP_12, WSDL, XSD
from hub.contracts import Pattern
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.contracts import Contract, JsonValue, Part

_HTTP = "http://schemas.xmlsoap.org/soap/http"
PURPOSE_FIELDS = ("item", "case", "legal_basis", "official", "post")
"""Why personal data is asked for; see `hub.envelope.Purpose`."""


@dataclass(frozen=True)
class ContractForm:
    """How a contract looks in SOAP.

    Attributes:
        name: of its operation, such as `EmploymentRecord`; requests are `<name>Request`, answers
            `<name>Response`.
        space: its namespace.
        answer: None where nothing but a receipt follows.
    """

    name: str
    space: str
    request: Form
    answer: Form | None

    @property
    def request_tag(self) -> str:
        """The element of a request."""
        return f"{{{self.space}}}{self.name}Request"

    @property
    def answer_tag(self) -> str:
        """The element of an answer."""
        return f"{{{self.space}}}{self.name}Response"


def contract_form(contract: Contract) -> ContractForm:
    """Return how a contract looks in SOAP.

    Raises:
        AdapterError: `adapter.configuration_invalid`, it needs documents beside its request, or is secret.
    """
    name, _, version = contract.id.partition("/")
    needed = [part for part in contract.request if part.is_required]
    if contract.is_end_to_end or contract.pattern is Pattern.EVENT or len(needed) != 1:
        raise AdapterError(
            "adapter.configuration_invalid", f"{contract.id} cannot be asked over SOAP: only one JSON request"
        )
    answer = None
    if contract.pattern is Pattern.REQUEST:
        answer = _json_form(next(part for part in contract.response if part.schema is not None))
    return ContractForm(
        name="".join(word.capitalize() for word in name.split("-")),
        space=f"urn:heliograph:contract:{name}:{version}",
        request=_json_form(needed[0]),
        answer=answer,
    )


def contract_wsdl(contract: Contract, address: str, *, asks_purpose: bool = True) -> bytes:
    """Return a contract as a WSDL.

    Args:
        contract: whose request and answer are described.
        address: where it is asked.
        asks_purpose: whether the request says why it asks, which the hub needs; a stand-in of a department's
            own system is asked without.

    Raises:
        AdapterError: `adapter.configuration_invalid`, see `contract_form`.
    """
    form = contract_form(contract)
    nsmap = {"wsdl": WSDL, "soap": SOAP_11, "soap12": SOAP_12, "xs": XSD, "t": form.space}
    root = etree.Element(f"{{{WSDL}}}definitions", nsmap=nsmap, name=form.name, targetNamespace=form.space)
    types = etree.SubElement(root, f"{{{WSDL}}}types")
    schema = etree.SubElement(
        types, f"{{{XSD}}}schema", targetNamespace=form.space, elementFormDefault="qualified"
    )
    _request(schema, form, asks_purpose=asks_purpose)
    _answer(schema, form, has_documents=any(part.schema is None for part in contract.response))
    for direction in ("Request", "Response"):
        message = etree.SubElement(root, f"{{{WSDL}}}message", name=f"{form.name}{direction}")
        etree.SubElement(message, f"{{{WSDL}}}part", name="body", element=f"t:{form.name}{direction}")
    port_type = etree.SubElement(root, f"{{{WSDL}}}portType", name=form.name)
    operation = etree.SubElement(port_type, f"{{{WSDL}}}operation", name=form.name)
    etree.SubElement(operation, f"{{{WSDL}}}documentation").text = " / ".join(contract.titles.values())
    etree.SubElement(operation, f"{{{WSDL}}}input", message=f"t:{form.name}Request")
    etree.SubElement(operation, f"{{{WSDL}}}output", message=f"t:{form.name}Response")
    for space, suffix in ((SOAP_11, "Soap11"), (SOAP_12, "Soap12")):
        _binding(root, form, space, suffix)
    service = etree.SubElement(root, f"{{{WSDL}}}service", name=form.name)
    for space, suffix in ((SOAP_11, "Soap11"), (SOAP_12, "Soap12")):
        name = f"{form.name}{suffix}"
        port = etree.SubElement(service, f"{{{WSDL}}}port", name=name, binding=f"t:{name}")
        etree.SubElement(port, f"{{{space}}}address", location=address)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8", pretty_print=True))


def _json_form(part: Part) -> Form:
    form = form_of(cast("Mapping[str, JsonValue]", part.schema or {}))
    if form.kind is not Kind.OBJECT:
        raise AdapterError("adapter.configuration_invalid", f"{part.file_name} is no object")
    return form


def _request(schema: etree._Element, form: ContractForm, *, asks_purpose: bool) -> None:
    sequence = _element_with_sequence(schema, f"{form.name}Request")
    if asks_purpose:
        # What the gateway's settings say already may be left out.
        purpose = etree.SubElement(sequence, f"{{{XSD}}}element", name="purpose", minOccurs="0")
        inner = _sequence(purpose)
        for name in PURPOSE_FIELDS:
            etree.SubElement(inner, f"{{{XSD}}}element", name=name, type="xs:string", minOccurs="0")
    _fields(sequence, form.request)


def _answer(schema: etree._Element, form: ContractForm, *, has_documents: bool) -> None:
    sequence = _element_with_sequence(schema, f"{form.name}Response")
    if form.answer is None:
        etree.SubElement(sequence, f"{{{XSD}}}element", name="messageId", type="xs:string")
        return
    _fields(sequence, form.answer)
    if has_documents:
        document = etree.SubElement(
            sequence, f"{{{XSD}}}element", name="document", minOccurs="0", maxOccurs="unbounded"
        )
        content = etree.SubElement(
            etree.SubElement(document, f"{{{XSD}}}complexType"), f"{{{XSD}}}simpleContent"
        )
        extension = etree.SubElement(content, f"{{{XSD}}}extension", base="xs:base64Binary")
        for name in ("name", "mediaType"):
            etree.SubElement(extension, f"{{{XSD}}}attribute", name=name, type="xs:string", use="required")


def _element_with_sequence(parent: etree._Element, name: str) -> etree._Element:
    return _sequence(etree.SubElement(parent, f"{{{XSD}}}element", name=name))


def _sequence(element: etree._Element) -> etree._Element:
    return etree.SubElement(etree.SubElement(element, f"{{{XSD}}}complexType"), f"{{{XSD}}}sequence")


def _fields(sequence: etree._Element, form: Form) -> None:
    for name, inner, is_required in form.fields:
        _element(sequence, element_name(name), inner, is_required=is_required)


def _element(parent: etree._Element, name: str, form: Form, *, is_required: bool) -> None:
    node = etree.SubElement(parent, f"{{{XSD}}}element", name=name)
    if form.about:
        annotation = etree.SubElement(node, f"{{{XSD}}}annotation")
        etree.SubElement(annotation, f"{{{XSD}}}documentation").text = form.about
    inner = form
    if form.kind is Kind.ARRAY and form.items is not None:
        node.set("minOccurs", "0")
        node.set("maxOccurs", "unbounded")
        inner = form.items
        if inner.kind is Kind.ARRAY:
            _element(_sequence(node), "item", inner, is_required=False)
            return
    elif not is_required:
        node.set("minOccurs", "0")
    if inner.is_nullable:
        node.set("nillable", "true")
    if inner.kind is Kind.OBJECT:
        _fields(_sequence(node), inner)
    elif inner.codes:
        simple = etree.SubElement(node, f"{{{XSD}}}simpleType")
        restriction = etree.SubElement(simple, f"{{{XSD}}}restriction", base="xs:string")
        for code in inner.codes:
            etree.SubElement(restriction, f"{{{XSD}}}enumeration", value=code)
    else:
        kind = "string" if inner.kind in {Kind.JSON, Kind.ARRAY} else inner.kind.value
        node.set("type", f"xs:{kind}")


def _binding(root: etree._Element, form: ContractForm, space: str, suffix: str) -> None:
    binding = etree.SubElement(root, f"{{{WSDL}}}binding", name=f"{form.name}{suffix}", type=f"t:{form.name}")
    etree.SubElement(binding, f"{{{space}}}binding", style="document", transport=_HTTP)
    operation = etree.SubElement(binding, f"{{{WSDL}}}operation", name=form.name)
    etree.SubElement(operation, f"{{{space}}}operation", soapAction=f"{form.space}:{form.name}")
    for direction in ("input", "output"):
        etree.SubElement(
            etree.SubElement(operation, f"{{{WSDL}}}{direction}"), f"{{{space}}}body", use="literal"
        )
