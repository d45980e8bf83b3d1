# SPDX-License-Identifier: Apache-2.0
"""A contract in XML: its WSDL, its content as elements and back, and the mapping between the two.

Members of an object are elements of the same name in the contract's order; an array is its element repeated;
null is `xsi:nil`. Texts stay texts, whatever their format, so that nothing is changed on the way.

Source: XML Schema Part 1 section 3.3 (nillable); WS-I Basic Profile 1.1 section 4.4 (document/literal).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lxml import etree

from adapters.invention.schemas import resolve
from hub.errors import AdapterError

if TYPE_CHECKING:
    from adapters.ports import JsonObject, JsonValue
    from hub.contracts import Contract

XS = "http://www.w3.org/2001/XMLSchema"
_XSI_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_WSDL = "http://schemas.xmlsoap.org/wsdl/"
_SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"
OPERATION, REQUEST, RESPONSE, FAULT = "ask", "request", "response", "fault"
_TYPES = {"integer": "long", "number": "decimal", "boolean": "boolean"}
_FIELD_TYPES = {"integer": "integer", "boolean": "boolean", "string": "text"}


class ContractXml:
    """One contract's requests and answers as XML.

    Args:
        contract: its JSON parts have objects, arrays of scalars or objects, and scalars.

    Raises:
        AdapterError: `adapter.configuration_invalid`, it has content that is not written this way.
    """

    def __init__(self, contract: Contract) -> None:
        self.space = f"urn:heliograph:contract:{contract.id.replace('/', ':')}"
        self.request = _schema_of(contract, contract.request)
        self.response = _schema_of(contract, contract.response) if contract.response else {}

    def wsdl(self, address: str) -> bytes:
        """Return the contract's WSDL, document/literal over SOAP 1.1."""
        root = etree.Element(
            f"{{{_WSDL}}}definitions", nsmap={"wsdl": _WSDL, "soap": _SOAP, "xs": XS, "c": self.space}
        )
        root.set("targetNamespace", self.space)
        root.set("name", "StandIn")
        schema = etree.SubElement(etree.SubElement(root, f"{{{_WSDL}}}types"), f"{{{XS}}}schema")
        schema.set("targetNamespace", self.space)
        schema.set("elementFormDefault", "qualified")
        for name, content in ((REQUEST, self.request), (RESPONSE, self.response), (FAULT, _FAULT)):
            self._declare(schema, name, content, content)
        for name in (REQUEST, RESPONSE, FAULT):
            message = etree.SubElement(root, f"{{{_WSDL}}}message", name=name)
            etree.SubElement(message, f"{{{_WSDL}}}part", name="body", element=f"c:{name}")
        _add_service(root, address)
        return etree.tostring(root, xml_declaration=True, encoding="utf-8", pretty_print=True)

    def _declare(
        self,
        parent: etree._Element,
        name: str,
        schema: Any,
        root: Any,
        *,
        is_required: bool = True,
    ) -> None:
        told = _followed(schema, root)
        element = etree.SubElement(parent, f"{{{XS}}}element", name=name)
        if not is_required:
            element.set("minOccurs", "0")
        if _type_of(told) == "array":
            element.set("minOccurs", "0")
            element.set("maxOccurs", "unbounded")
            told = _followed(told.get("items", {}), root)
        if _may_be_null(told):
            element.set("nillable", "true")
        if _type_of(told) == "object":
            sequence = etree.SubElement(
                etree.SubElement(element, f"{{{XS}}}complexType"), f"{{{XS}}}sequence"
            )
            required = told.get("required", [])
            for member, rule in told.get("properties", {}).items():
                self._declare(sequence, member, rule, root, is_required=member in required)
        else:
            element.set("type", f"xs:{_TYPES.get(_type_of(told), 'string')}")

    def write(self, name: str, data: JsonObject) -> etree._Element:
        """Return content as an element, `REQUEST` or `RESPONSE` or `FAULT`."""
        element = etree.Element(f"{{{self.space}}}{name}", nsmap={"c": self.space})
        self._fill(element, data)
        return element

    def _fill(self, element: etree._Element, value: JsonValue) -> None:
        if value is None:
            element.set(_XSI_NIL, "true")
        elif isinstance(value, dict):
            for name, member in value.items():
                for each in member if isinstance(member, list) else [member]:
                    self._fill(etree.SubElement(element, f"{{{self.space}}}{name}"), each)
        elif isinstance(value, bool):
            element.text = "true" if value else "false"
        else:
            element.text = str(value)

    def read(self, element: etree._Element) -> JsonValue:
        """Return the request an element holds; what the contract does not know is refused later."""
        return self._read(element, self.request, self.request)

    def _read(self, element: etree._Element, schema: Any, root: Any) -> JsonValue:
        told = _followed(schema, root)
        if element.get(_XSI_NIL) in {"true", "1"}:
            return None
        kind = _type_of(told)
        if kind == "object":
            return self._members(element, told, root)
        text = element.text or ""
        if kind == "integer" and text.strip().lstrip("-").isdigit():
            return int(text)
        if kind == "boolean" and text.strip() in {"true", "false", "1", "0"}:
            return text.strip() in {"true", "1"}
        return text

    def _members(self, element: etree._Element, told: Any, root: Any) -> JsonObject:
        properties, required = told.get("properties", {}), told.get("required", [])
        members: dict[str, Any] = {
            name: []
            for name, rule in properties.items()
            if name in required and _type_of(_followed(rule, root)) == "array"
        }
        for child in element.iterchildren("*"):
            name = etree.QName(child).localname
            rule = _followed(properties.get(name, {}), root)
            if _type_of(rule) == "array":
                members.setdefault(name, []).append(self._read(child, rule.get("items", {}), root))
            else:
                members[name] = self._read(child, rule, root)
        return members


_FAULT: dict[str, Any] = {"type": "object", "required": ["code"], "properties": {"code": {"type": "string"}}}


def deep_members(schema: Any, source: str, root: Any) -> JsonObject:
    """Return the node that takes an object over member by member, for words in which absent and null are one.

    Args:
        schema: of the object.
        source: the expression it comes from.
        root: the document its references point into.
    """
    told = _followed(schema, root)
    required = told.get("required", [])
    nodes: dict[str, JsonValue] = {
        name: _node(_followed(rule, root), f"{source}.{name}", root, is_required=name in required)
        for name, rule in told.get("properties", {}).items()
    }
    return {"object": nodes}


def answer_members(schema: Any) -> JsonObject:
    """Return the node that takes a contract's answer over from what a SOAP client makes of its element.

    Clients unwrap an element with a single member: then the member itself is the answer.
    """
    properties = _followed(schema, schema).get("properties", {})
    if len(properties) != 1:
        return deep_members(schema, "answer", schema)
    [(name, rule)] = properties.items()
    return {"object": {name: _node(_followed(rule, schema), "answer", schema, is_required=True)}}


def _node(told: Any, source: str, root: Any, *, is_required: bool) -> JsonObject:
    kind = _type_of(told)
    if kind == "array":
        element = _followed(told.get("items", {}), root)
        each: dict[str, JsonValue] = {"each": source, "as": _item(element, root)}
        return each if is_required else {**each, "optional": True}
    if kind == "object" and is_required and not _may_be_null(told):
        return deep_members(told, source, root)
    node: dict[str, JsonValue] = {"from": source, "type": _FIELD_TYPES.get(kind, "any"), "absent": []}
    if not is_required:
        node["optional"] = True
    elif _may_be_null(told):
        node["nullable"] = True
    return node


def _item(told: Any, root: Any) -> JsonObject:
    return (
        deep_members(told, "item", root)
        if _type_of(told) == "object"
        else _node(told, "item", root, is_required=True)
    )


def _schema_of(contract: Contract, parts: Any) -> Any:
    found = next((part.schema for part in parts if part.schema is not None), None)
    if found is None:
        raise AdapterError("adapter.configuration_invalid", f"{contract.id} has no JSON content")
    _require_flat(contract, found, found, 0)
    return found


def _require_flat(contract: Contract, schema: Any, root: Any, depth: int) -> None:
    """Refuse what repeated elements cannot say: arrays in arrays, and objects that contain themselves."""
    told = _followed(schema, root)
    element = _followed(told.get("items", {}), root) if _type_of(told) == "array" else told
    if depth > 12 or (element is not told and _type_of(element) == "array"):
        detail = f"{contract.id} has arrays in arrays, or objects in themselves: no stand-in over SOAP"
        raise AdapterError("adapter.configuration_invalid", detail)
    for rule in element.get("properties", {}).values():
        _require_flat(contract, rule, root, depth + 1)


def _followed(schema: Any, root: Any) -> Any:
    """Return a schema, or the one its reference names, or the one beside null in a choice."""
    told: Any = schema if isinstance(schema, dict) else {}
    for _ in range(20):
        if isinstance(told.get("$ref"), str):
            told = resolve(told["$ref"], root)
            continue
        branches = told.get("oneOf") or told.get("anyOf") or []
        telling = [each for each in branches if isinstance(each, dict) and each.get("type") != "null"]
        if "type" not in told and "properties" not in told and len(telling) == 1:
            told = {**telling[0], "nullable": len(branches) > 1}
            continue
        break
    return told


def _type_of(told: Any) -> str:
    named = told.get("type")
    types = [named] if isinstance(named, str) else [each for each in named or [] if each != "null"]
    if types:
        return str(types[0])
    values = [each for each in told.get("enum", [told.get("const")]) if each is not None]
    if values and all(isinstance(each, bool) for each in values):
        return "boolean"
    if values and all(isinstance(each, int) for each in values):
        return "integer"
    return "object" if "properties" in told else "string"


def _may_be_null(told: Any) -> bool:
    named = told.get("type")
    return (
        told.get("nullable") is True
        or (isinstance(named, list) and "null" in named)
        or None in told.get("enum", ())
    )


def _add_service(root: etree._Element, address: str) -> None:
    port_type = etree.SubElement(root, f"{{{_WSDL}}}portType", name="StandIn")
    operation = etree.SubElement(port_type, f"{{{_WSDL}}}operation", name=OPERATION)
    etree.SubElement(operation, f"{{{_WSDL}}}input", message=f"c:{REQUEST}")
    etree.SubElement(operation, f"{{{_WSDL}}}output", message=f"c:{RESPONSE}")
    etree.SubElement(operation, f"{{{_WSDL}}}fault", name=FAULT, message=f"c:{FAULT}")
    binding = etree.SubElement(root, f"{{{_WSDL}}}binding", name="StandIn", type="c:StandIn")
    etree.SubElement(
        binding, f"{{{_SOAP}}}binding", style="document", transport="http://schemas.xmlsoap.org/soap/http"
    )
    bound = etree.SubElement(binding, f"{{{_WSDL}}}operation", name=OPERATION)
    etree.SubElement(bound, f"{{{_SOAP}}}operation", soapAction=OPERATION)
    for way in ("input", "output"):
        etree.SubElement(etree.SubElement(bound, f"{{{_WSDL}}}{way}"), f"{{{_SOAP}}}body", use="literal")
    fault = etree.SubElement(bound, f"{{{_WSDL}}}fault", name=FAULT)
    etree.SubElement(fault, f"{{{_SOAP}}}fault", name=FAULT, use="literal")
    service = etree.SubElement(root, f"{{{_WSDL}}}service", name="StandIn")
    port = etree.SubElement(service, f"{{{_WSDL}}}port", name="StandIn", binding="c:StandIn")
    etree.SubElement(port, f"{{{_SOAP}}}address", location=address)
