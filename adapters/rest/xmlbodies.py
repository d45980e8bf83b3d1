# SPDX-License-Identifier: Apache-2.0
"""XML bodies of services that speak HTTP without SOAP, as values a mapping can be written for.

An element with neither attributes nor children is its text; any other is an object with `@name` for
attributes, `#text` for text beside them, and its children by local name, several of one name as an array.
No DTD is read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from lxml import etree

from hub.errors import AdapterError

if TYPE_CHECKING:
    from adapters.ports import JsonValue

_MOST_DEPTH = 100
_NAME = re.compile(r"[^\W\d][\w.-]*")


def read_xml(content: bytes) -> JsonValue:
    """Return what an XML body says: its root element under its name.

    Raises:
        AdapterError: `adapter.answer_unreadable`, not well-formed, with a DTD, or nested too deep.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        # The parser's message may quote the text, which may be a person's; it stays in the cause.
        raise AdapterError("adapter.answer_unreadable", "the answer is not XML") from exc
    if root.getroottree().docinfo.internalDTD is not None:
        raise AdapterError("adapter.answer_unreadable", "the answer has a DTD")
    return {etree.QName(root).localname: _value(root, 0)}


def _value(element: etree._Element, depth: int) -> JsonValue:
    if depth > _MOST_DEPTH:
        raise AdapterError("adapter.answer_unreadable", "the answer is nested too deep")
    members: dict[str, JsonValue] = {
        f"@{etree.QName(name).localname}": str(value) for name, value in element.attrib.items()
    }
    repeated: dict[str, list[JsonValue]] = {}
    for child in element:
        if isinstance(child.tag, str):
            repeated.setdefault(etree.QName(child).localname, []).append(_value(child, depth + 1))
    members |= {name: each[0] if len(each) == 1 else each for name, each in repeated.items()}
    text = "".join([element.text or "", *(child.tail or "" for child in element)])
    if not members:
        return text
    return {**members, "#text": text} if text.strip() else members


def write_xml(body: JsonValue) -> bytes:
    """Return an object with one member, the root element, as XML in UTF-8; `@xmlns` names its namespace.

    Raises:
        AdapterError: `adapter.mapping_failed`, it cannot be written so.
    """
    if not isinstance(body, dict) or len(body) != 1:
        raise AdapterError("adapter.mapping_failed", "/body: XML has exactly one root element")
    [(name, value)] = body.items()
    root = _element(name, value, "", "/body")
    content: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return content


def _element(name: str, value: JsonValue, namespace: str, at: str) -> etree._Element:
    at = f"{at}/{name}"
    members = value if isinstance(value, dict) else {"#text": value}
    declared = members.get("@xmlns", namespace)
    namespace = declared if isinstance(declared, str) else namespace
    if not _NAME.fullmatch(name):
        raise AdapterError("adapter.mapping_failed", f"{at}: is no name of an element")
    # The declared type of a map of prefixes knows no default namespace; lxml does.
    nsmap = cast("dict[str, str]", {None: namespace}) if namespace else None
    try:
        element = etree.Element(etree.QName(namespace or None, name), nsmap=nsmap)
        for key, each in members.items():
            if key == "#text":
                element.text = _text(each, at)
            elif key.startswith("@") and key != "@xmlns":
                element.set(key[1:], _text(each, at))
            elif not key.startswith("@"):
                for one in each if isinstance(each, list) else [each]:
                    element.append(_element(key, one, namespace, at))
    except ValueError as exc:
        raise AdapterError("adapter.mapping_failed", f"{at}: cannot be written as XML") from exc
    return element


def _text(value: JsonValue, at: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, str | int):
        return "" if value is None else str(value)
    raise AdapterError("adapter.mapping_failed", f"{at}: is neither text nor a whole number")
