# SPDX-License-Identifier: Apache-2.0
"""Write gathered schemas so that every name in them is defined: right ones as they are, wrong ones mended.

A name that nothing defines is looked for elsewhere; where exactly one component is called so, that one is
meant. Otherwise anything is allowed in its place. Each such repair is found, with its line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lxml import etree
from zeep.xsd.types import builtins

from adapters.soap.wsdl.names import OLD_XSD, WSDL, XML, XSD, Name, is_element, name_of, place_of, read_name
from adapters.soap.wsdl.schemas import KINDS
from adapters.sources import Severity, SourceFinding, found

if TYPE_CHECKING:
    from adapters.soap.wsdl.names import Written
    from adapters.soap.wsdl.output import Output
    from adapters.soap.wsdl.schemas import Placed, SchemaSet

_KEPT = frozenset(
    {
        *KINDS,
        "sequence",
        "choice",
        "all",
        "any",
        "anyAttribute",
        "simpleContent",
        "complexContent",
        "restriction",
        "extension",
        "list",
        "union",
        "enumeration",
    }
)
_SILENTLY_LEFT_OUT = frozenset(
    {
        *("annotation", "import", "include", "key", "keyref", "unique", "notation", "pattern", "length"),
        *("minLength", "maxLength", "totalDigits", "fractionDigits", "whiteSpace", "minInclusive"),
        *("maxInclusive", "minExclusive", "maxExclusive", "documentation", "appinfo", "assert", "assertion"),
    }
)
_NAMES = ("type", "base", "itemType", "memberTypes")
_PLAIN = frozenset(
    {"name", "minOccurs", "maxOccurs", "form", "nillable", "default", "use", "abstract", "mixed", "value"}
)
_ARRAY_TYPE = f"{{{WSDL}}}arrayType"
_BUILT_IN = frozenset(cls._default_qname.localname for cls in builtins._types)  # noqa: SLF001 - zeep's own list
_NEW_TYPES = {"anyAtomicType": "anySimpleType", "dateTimeStamp": "dateTime", "untypedAtomic": "string"}
ANY_TYPE = Name(XSD, "anyType")
_STRING = Name(XSD, "string")
_ATTRIBUTES = frozenset({"attribute", "attributeGroup", "anyAttribute"})


class SchemaWriter:
    """Writes schemas into the output.

    Args:
        schemas: all of them.
        output: where they go.

    Attributes:
        findings: every repair.
        codes: the listed values of simple types, by the type's name.
    """

    def __init__(self, schemas: SchemaSet, output: Output) -> None:
        self._schemas = schemas
        self._output = output
        self.findings: list[SourceFinding] = []
        self.codes: dict[Name, tuple[str, ...]] = {}
        self._told: set[tuple[str, str, str]] = set()
        self._made_up: dict[tuple[str, Name], None] = {}
        self._counter = 0
        self._done = 0

    def write(self) -> None:
        """Write every schema not yet written, those that turn out to be needed on the way included."""
        while self._done < len(self._schemas.placed):
            self._done += 1
            self._schema(self._schemas.placed[self._done - 1])

    def write_made_up(self) -> None:
        """Write what was missing and is referred to, as anything."""
        for kind, name in self._made_up:
            schema = etree.SubElement(self._output.types, f"{{{XSD}}}schema", targetNamespace=name.space)
            if not name.space:
                del schema.attrib["targetNamespace"]
            node = etree.SubElement(schema, f"{{{XSD}}}{'complexType' if kind == 'type' else kind}")
            node.set("name", name.local)
            if kind != "type":
                self._output.name(node, "type", [ANY_TYPE if kind == "element" else _STRING])

    def resolve(self, kind: str, written: Written, at: str) -> Name | None:
        """Return the component that is meant, or None where there is none like it."""
        name = written.name
        if name is not None and self._is_defined(kind, name):
            if not written.is_declared:
                self._tell("soap.prefix_undeclared", at, prefix=written.prefix, used=name.space)
            return name
        alike = self._schemas.named_like(kind, written.local)
        if len(alike) == 1:
            [meant] = alike
            severity = Severity.INFO if not written.prefix else None
            self._tell("soap.found_elsewhere", at, severity, name=_shown(written), used=meant.space or "-")
            return meant
        return None

    def element(self, written: Written, at: str) -> Name:
        """Return the global element that is meant; a missing one is made up as anything."""
        name = self.resolve("element", written, at)
        return name if name is not None else self._make_up("element", written, at)

    def type(self, written: Written, at: str) -> Name:
        """Return the type that is meant; anything in place of a missing one."""
        name = self._built_in(written.name) or self.resolve("type", written, at)
        if name is None:
            self._tell("soap.undefined", at, kind="type", name=_shown(written))
            return ANY_TYPE
        return name

    def _is_defined(self, kind: str, name: Name) -> bool:
        if name in self._schemas.tables[kind]:
            return True
        if name.space == XSD:
            return kind != "type" and name.local in {"schema", "lang"}
        return self._schemas.add_well_known(name.space) and name in self._schemas.tables[kind]

    def _make_up(self, kind: str, written: Written, at: str) -> Name:
        self._tell("soap.undefined", at, kind=kind, name=_shown(written))
        name = written.name or Name("", written.local)
        self._made_up[kind, name] = None
        return name

    def _built_in(self, name: Name | None) -> Name | None:
        if name is None or name.space not in {XSD, *OLD_XSD}:
            return None
        local = {"timeInstant": "dateTime", "uriReference": "anyURI", "binary": "base64Binary"}.get(
            name.local, name.local
        )
        local = _NEW_TYPES.get(local, local)
        return Name(XSD, local) if local in _BUILT_IN else None

    def _schema(self, placed: Placed) -> None:
        schema = etree.SubElement(self._output.types, f"{{{XSD}}}schema")
        if placed.namespace:
            schema.set("targetNamespace", placed.namespace)
            # Tells zeep that a name without a namespace means just that.
            etree.SubElement(schema, f"{{{XSD}}}import")
        for attribute in ("elementFormDefault", "attributeFormDefault"):
            if placed.root.get(attribute) in {"qualified", "unqualified"}:
                schema.set(attribute, placed.root.get(attribute) or "")
        for kind, local, node in placed.components():
            at = place_of(placed.file.name, node)
            if not _is_name(local):
                self._tell("soap.name_missing", at, kind=kind)
                continue
            name = Name(placed.namespace, placed.own.get((kind, local), local))
            component = self._schemas.tables[kind].get(name)
            if component is not None and component.node is node:
                written = self._node(node, placed, schema)
                if written is not None:
                    written.set("name", name.local)
        self._note_unknown(placed)

    def _note_unknown(self, placed: Placed) -> None:
        for child in placed.root:
            if is_element(child) and name_of(child).space in {XSD, *OLD_XSD}:
                local = name_of(child).local
                if local not in _KEPT | _SILENTLY_LEFT_OUT | {"redefine", "override"}:
                    self._tell("soap.left_out", place_of(placed.file.name, child), name=local)

    def _node(self, node: etree._Element, placed: Placed, parent: etree._Element) -> etree._Element | None:
        tag = name_of(node)
        at = place_of(placed.file.name, node)
        if tag.space not in {XSD, *OLD_XSD}:
            return None
        if tag.local not in _KEPT:
            if tag.local not in _SILENTLY_LEFT_OUT:
                self._tell("soap.left_out", at, name=tag.local)
            return None
        if tag.local in {"element", "attribute"} and not (_is_name(node.get("name")) or node.get("ref")):
            self._tell("soap.name_missing", at, kind=tag.local)
            return None
        new = etree.SubElement(parent, f"{{{XSD}}}{tag.local}")
        self._attributes(node, new)
        if not self._references(node, new, placed, at):
            parent.remove(new)
            return None
        if tag.local == "simpleType" and not node.get("name") and self._hoist(node, placed, new, parent):
            return None
        for child in self._in_order(node, at):
            self._node(child, placed, new)
        if tag.local == "simpleType":
            self._note_codes(node, placed, new)
        return new

    def _in_order(self, node: etree._Element, at: str) -> list[etree._Element]:
        """Return a node's children with its attributes last, which some tools write first."""
        children = [child for child in node if is_element(child)]
        ordered = sorted(children, key=lambda child: name_of(child).local in _ATTRIBUTES)
        if name_of(node).local in {"complexType", "extension", "restriction"}:
            ordered = self._in_a_sequence(ordered, at)
            if [id(child) for child in ordered] != [id(child) for child in children]:
                self._tell("soap.order_wrong", at)
            return ordered
        return children

    def _in_a_sequence(self, children: list[etree._Element], at: str) -> list[etree._Element]:
        """Put elements that stand directly in a type into the sequence they lack."""
        loose = [child for child in children if name_of(child).local in {"element", "any"}]
        if not loose:
            return children
        self._tell("soap.sequence_missing", at)
        sequence = etree.Element(f"{{{XSD}}}sequence")
        loose[0].addprevious(sequence)
        sequence.extend(loose)
        return [sequence, *(child for child in children if name_of(child).local in _ATTRIBUTES)]

    def _attributes(self, node: etree._Element, new: etree._Element) -> None:
        for key, value in node.attrib.items():
            text = str(value).strip()
            if key not in _PLAIN:
                continue
            if key in {"minOccurs", "maxOccurs"} and not re.fullmatch(r"[0-9]{1,9}|unbounded", text):
                continue
            new.set(key, text)

    def _references(self, node: etree._Element, new: etree._Element, placed: Placed, at: str) -> bool:
        """Write what a node refers to; tell whether the node can stay."""
        tag = name_of(node).local
        ref = node.get("ref")
        if ref is not None and tag in KINDS:
            return self._ref(KINDS[tag], ref, node, new, placed, at)
        for attribute in _NAMES:
            text = node.get(attribute)
            if text is None:
                continue
            names = [self._type(word, node, placed, at) for word in text.split()] or [_STRING]
            if attribute != "memberTypes":
                names = names[:1]
            if attribute in {"memberTypes", "itemType"}:
                names = [self._simple(name) for name in names]
            self._output.name(new, attribute, names)
        if tag in {"restriction", "extension"} and node.get("base") is None:
            self._without_base(node, new, at)
        array = node.get(_ARRAY_TYPE)
        if array is not None:
            self._array_type(array, node, new, placed, at)
        return True

    def _simple(self, name: Name) -> Name:
        """Return a type that can be a list's or a union's member; text for one that has elements."""
        component = self._schemas.tables["type"].get(name)
        is_complex = component is not None and name_of(component.node).local == "complexType"
        return _STRING if is_complex or name == ANY_TYPE else name

    def _without_base(self, node: etree._Element, new: etree._Element, at: str) -> None:
        parent = node.getparent()
        if any(is_element(child) and name_of(child).local == "simpleType" for child in node):
            return
        is_complex = parent is not None and name_of(parent).local == "complexContent"
        self._tell("soap.base_missing", at)
        self._output.name(new, "base", [ANY_TYPE if is_complex else _STRING])

    def _array_type(
        self, text: str, node: etree._Element, new: etree._Element, placed: Placed, at: str
    ) -> None:
        match = re.match(r"([^\[]+)((?:\[[^\]]*\])*)", text)
        if match is None:
            return
        self._output.name(new, _ARRAY_TYPE, [self._type(match[1], node, placed, at)], match[2] or "[]")

    def _ref(  # noqa: PLR0913, PLR0917 - one reference in its place
        self, kind: str, text: str, node: etree._Element, new: etree._Element, placed: Placed, at: str
    ) -> bool:
        written = read_name(text, node, self._unprefixed(placed))
        name = self._redefined(kind, written.name, node) or self.resolve(kind, written, at)
        if name is None and kind in {"group", "attributeGroup"}:
            self._tell("soap.undefined", at, kind=kind, name=_shown(written))
            return False
        if name is None and kind == "attribute" and written.name and written.name.space in {XSD, XML}:
            return False
        new.attrib.pop("name", "")
        self._output.name(new, "ref", [name or self._make_up(kind, written, at)])
        return True

    def _type(self, text: str, node: etree._Element, placed: Placed, at: str) -> Name:
        written = read_name(text, node, self._unprefixed(placed))
        if not written.local:
            # Some tools write `type="xs:"`; there is nothing to look for.
            self._tell("soap.undefined", at, kind="type", name=text)
            return ANY_TYPE
        name = (
            self._redefined("type", written.name, node)
            or self._built_in(written.name)
            or self.resolve("type", written, at)
        )
        if name is not None:
            return name
        return self._instead_of_type(written, node, at)

    def _instead_of_type(self, written: Written, node: etree._Element, at: str) -> Name:
        parent = node.getparent()
        around = "" if parent is None else name_of(parent).local
        tag = name_of(node).local
        if tag in {"extension", "restriction"} and around == "complexContent":
            if written.name is not None and written.name.space not in {XSD, *OLD_XSD}:
                return self._make_up("type", written, at)
            self._tell("soap.undefined", at, kind="type", name=_shown(written))
            return ANY_TYPE
        self._tell("soap.undefined", at, kind="type", name=_shown(written))
        is_simple = tag in {"attribute", "list", "union"} or around in {"simpleType", "simpleContent"}
        return _STRING if is_simple else ANY_TYPE

    def _redefined(self, kind: str, name: Name | None, node: etree._Element) -> Name | None:
        """Return what a redefinition calls by its own name: the component as it was before."""
        if name is None:
            return None
        for around in node.iterancestors():
            if is_element(around) and name_of(around).local in {"redefine", "override"}:
                old = Name(name.space, f"{name.local}.redefined")
                is_own = any(
                    ancestor.get("name") == name.local and KINDS.get(name_of(ancestor).local) == kind
                    for ancestor in (node, *node.iterancestors())
                    if is_element(ancestor)
                )
                return old if is_own and old in self._schemas.tables[kind] else None
        return None

    def _hoist(
        self, node: etree._Element, placed: Placed, new: etree._Element, parent: etree._Element
    ) -> bool:
        """Give a nameless list of codes a name, so that a mapping can be shown the codes."""
        if not any(name_of(child).local == "enumeration" for child in node.iter(f"{{{XSD}}}enumeration")):
            return False
        if etree.QName(parent).localname not in {"element", "attribute"} or "type" in parent.attrib:
            return False
        self._counter += 1
        owner = parent.get("name") or "value"
        name = Name(placed.namespace, f"{owner}.codes{self._counter}")
        schema = next(
            ancestor for ancestor in parent.iterancestors() if etree.QName(ancestor).localname == "schema"
        )
        parent.remove(new)
        hoisted = etree.SubElement(schema, f"{{{XSD}}}simpleType", name=name.local)
        for child in node:
            if is_element(child):
                self._node(child, placed, hoisted)
        self._note_codes(node, placed, hoisted)
        self._output.name(parent, "type", [name])
        return True

    def _note_codes(self, node: etree._Element, placed: Placed, new: etree._Element) -> None:
        values = tuple(
            str(child.get("value"))
            for child in node.iter(f"{{{XSD}}}enumeration")
            if child.get("value") is not None
        )
        if values and new.get("name"):
            self.codes[Name(placed.namespace, str(new.get("name")))] = values
        for listed in list(new.iter(f"{{{XSD}}}enumeration")):
            parent = listed.getparent()
            if parent is not None:
                parent.remove(listed)

    @staticmethod
    def _unprefixed(placed: Placed) -> str:
        return "" if placed.has_own_namespace else placed.namespace

    def _tell(self, code: str, at: str, severity: Severity | None = None, **facts: str) -> None:
        mark = (code, at.rpartition(":")[0], str(sorted(facts.items())))
        if mark not in self._told:
            self._told.add(mark)
            self.findings.append(found(code, at, severity=severity, **facts))


def _shown(written: Written) -> str:
    return str(written.name) if written.name else f"{written.prefix}:{written.local}"


def _is_name(text: str | None) -> bool:
    if not text or ":" in text or "{" in text:
        return False
    try:
        etree.QName(text.strip())
    except ValueError:
        return False
    return True
