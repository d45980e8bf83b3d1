# SPDX-License-Identifier: Apache-2.0
"""The schemas of a WSDL that stands in one document: its components by name, and values of its simple types.

Source: XML Schema Part 1 (structures) section 3; Part 2 (datatypes) sections 3 and 4.3 (facets).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from lxml import etree

from adapters.invention import PatternNotUnderstoodError, meant_by, text_matching

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from random import Random

XS = "http://www.w3.org/2001/XMLSchema"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
_COMPONENTS = ("element", "complexType", "simpleType", "group", "attribute", "attributeGroup")
_DEEPEST_TYPE = 30
_TRIES = 12

_NUMBERS: Mapping[str, tuple[int, int]] = {
    "integer": (0, 1000),
    "int": (0, 1000),
    "long": (0, 1000),
    "short": (0, 1000),
    "byte": (0, 100),
    "nonNegativeInteger": (0, 1000),
    "positiveInteger": (1, 1000),
    "nonPositiveInteger": (-1000, 0),
    "negativeInteger": (-1000, -1),
    "unsignedInt": (0, 1000),
    "unsignedLong": (0, 1000),
    "unsignedShort": (0, 1000),
    "unsignedByte": (0, 200),
}
_FRACTIONS = frozenset({"decimal", "float", "double"})
_DATES: Mapping[str, str] = {
    "date": "%Y-%m-%d",
    "dateTime": "%Y-%m-%dT%H:%M:%SZ",
    "time": "%H:%M:%SZ",
    "gYear": "%Y",
    "gYearMonth": "%Y-%m",
    "gMonthDay": "--%m-%d",
    "gMonth": "--%m",
    "gDay": "---%d",
}
_FIXED: Mapping[str, str] = {
    "anyURI": "https://example.org/example",
    "language": "zh-CN",
    "base64Binary": "56S65L6L",
    "hexBinary": "E7A4BA",
    "duration": "P1D",
    "QName": "xs:string",
    "NOTATION": "xs:string",
    "anySimpleType": "示例",
    "anyType": "示例",
}
_TOKENS = frozenset({"NMTOKEN", "Name", "NCName", "ID", "IDREF", "ENTITY", "NMTOKENS", "IDREFS", "ENTITIES"})


@dataclass(frozen=True)
class Component:
    """A named part of a schema, and the schema it stands in."""

    node: etree._Element
    schema: etree._Element

    @property
    def namespace(self) -> str:
        """The schema's target namespace."""
        return self.schema.get("targetNamespace") or ""


@dataclass
class Facets:
    """What a simple type asks of its values, gathered down to the built-in type."""

    base: str = "string"
    codes: list[str] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    rules: dict[str, str] = field(default_factory=dict)
    is_list: bool = False


class Schemas:
    """The components of all schemas of a document.

    Args:
        document: the root of a WSDL or of a schema.
        originals: the files it was put together from; their simple types say more than its own, which has
            only what is needed to read messages.
        codes: the listed values of simple types, by `{namespace}name`.
    """

    def __init__(
        self,
        document: etree._Element,
        originals: Sequence[etree._Element] = (),
        codes: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._codes = dict(codes or {})
        self._originals: dict[str, Component] = {}
        for each in originals:
            for schema in each.iter(f"{{{XS}}}schema"):
                for node in schema.iterchildren(f"{{{XS}}}simpleType"):
                    component = Component(node, schema)
                    self._originals.setdefault(f"{{{component.namespace}}}{node.get('name')}", component)
        self._found: dict[tuple[str, str], Component] = {}
        self._substitutes: dict[str, list[Component]] = {}
        self._derived: dict[str, list[tuple[str, Component]]] = {}
        for schema in document.iter(f"{{{XS}}}schema"):
            for node in schema.iterchildren("*"):
                self._add(node, schema)

    def _add(self, node: etree._Element, schema: etree._Element) -> None:
        local, name = etree.QName(node).localname, node.get("name")
        if local not in _COMPONENTS or not name:
            return
        component = Component(node, schema)
        qualified = f"{{{component.namespace}}}{name}"
        self._found.setdefault((local, qualified), component)
        head = node.get("substitutionGroup")
        if local == "element" and head:
            self._substitutes.setdefault(qualified_name(head, node), []).append(component)
        extension = node.find(f"{{{XS}}}complexContent/*[@base]")
        if local == "complexType" and extension is not None:
            base = qualified_name(extension.get("base", ""), extension)
            self._derived.setdefault(base, []).append((qualified, component))

    def find(self, kind: str, name: str) -> Component | None:
        """Return a component by its kind and `{namespace}name`."""
        return self._found.get((kind, name))

    def concrete_element(self, component: Component) -> Component:
        """Return an element that may stand for an abstract one."""
        name = f"{{{component.namespace}}}{component.node.get('name')}"
        for each in self._substitutes.get(name, ()):
            if each.node.get("abstract") not in {"true", "1"}:
                return each
        return component

    def concrete_type(self, name: str) -> tuple[str, Component] | None:
        """Return a type derived from an abstract one that may be used in its place."""
        waiting = [name]
        for _ in range(_DEEPEST_TYPE):
            for derived, component in self._derived.get(waiting[0], ()) if waiting else ():
                if component.node.get("abstract") not in {"true", "1"}:
                    return derived, component
                waiting.append(derived)
            waiting = waiting[1:]
        return None

    def facets(self, name: str, node: etree._Element | None = None) -> Facets:
        """Gather what a simple type asks.

        Args:
            name: `{namespace}name`; empty for a type without one.
            node: the anonymous type itself.
        """
        facets = Facets()
        for _ in range(_DEEPEST_TYPE):
            if node is None:
                if name.startswith(f"{{{XS}}}"):
                    facets.base = etree.QName(name).localname
                    return facets
                facets.codes += self._codes.get(name, ()) if not facets.codes else ()
                component = self._originals.get(name) or self.find("simpleType", name)
                if component is None:
                    return facets
                node = component.node
            step = self._step(node, facets)
            if step is None:
                return facets
            name, node = step
        return facets

    @staticmethod
    def _step(node: etree._Element, facets: Facets) -> tuple[str, etree._Element | None] | None:
        """Take one type's facets; return the type it is made of."""
        for way, attribute in (("restriction", "base"), ("list", "itemType"), ("union", "memberTypes")):
            derivation = node.find(f"{{{XS}}}{way}")
            if derivation is None:
                continue
            facets.is_list = facets.is_list or way == "list"
            for facet in derivation.iterchildren("*") if way == "restriction" else ():
                _take(etree.QName(facet).localname, facet.get("value", ""), facets)
            named = (derivation.get(attribute) or "").split()
            inner = derivation.find(f"{{{XS}}}simpleType")
            if named:
                return qualified_name(named[0], derivation), None
            return None if inner is None else ("", inner)
        return None


def _take(facet: str, value: str, facets: Facets) -> None:
    if facet == "enumeration":
        facets.codes.append(value)
    elif facet == "pattern":
        facets.patterns.append(value)
    else:
        facets.rules.setdefault(facet, value)


def qualified_name(text: str, node: etree._Element) -> str:
    """Return `{namespace}name` for a name as it stands at a node."""
    prefix, _, local = text.strip().rpartition(":")
    namespace = node.nsmap.get(prefix or None) or ""
    if not prefix and not namespace:
        schema = next(iter(_schemas_above(node)), None)
        namespace = "" if schema is None else schema.get("targetNamespace", "")
    return f"{{{namespace}}}{local}"


def _schemas_above(node: etree._Element) -> Iterator[etree._Element]:
    return node.iterancestors(f"{{{XS}}}schema")


def simple_value(facets: Facets, name: str, chance: Random, now: datetime) -> str:
    """Return a text a simple type allows."""
    if facets.codes:
        return chance.choice(facets.codes)
    if facets.patterns:
        least, most = _lengths(facets)
        for _ in range(_TRIES):
            try:
                text = text_matching(facets.patterns[0], chance, length=(least, most))
            except PatternNotUnderstoodError:
                break
            if _holds(text, facets):
                return text
    return _of_builtin(facets, name, chance, now)


def _of_builtin(facets: Facets, name: str, chance: Random, now: datetime) -> str:
    base = facets.base
    if base in _NUMBERS or base in _FRACTIONS:
        return _number(facets, chance)
    if base == "boolean":
        return chance.choice(("true", "false"))
    if base in _DATES:
        return (now - timedelta(days=chance.randrange(400))).strftime(_DATES[base])
    least, most = _lengths(facets)
    if base in _FIXED:
        return _FIXED[base]
    if base in _TOKENS:
        return text_matching("[a-z][a-z0-9]{5}", chance)
    text = meant_by(name, chance)
    if least > len(text) or (most is not None and most < len(text)):
        text = text_matching("[a-zA-Z0-9]*", chance, length=(least, most))
    return text if most is None else text[:most]


def _number(facets: Facets, chance: Random) -> str:
    low, high = _NUMBERS.get(facets.base, (0, 1000))
    rules = facets.rules
    least = float(rules.get("minInclusive", rules.get("minExclusive", "nan")))
    most = float(rules.get("maxInclusive", rules.get("maxExclusive", "nan")))
    if least == least:  # noqa: PLR0124 - not a number where the facet is absent
        low = int(least) + ("minExclusive" in rules)
        high = max(high, low + 100)
    if most == most:  # noqa: PLR0124 - likewise
        high = int(most) - ("maxExclusive" in rules and facets.base not in _FRACTIONS)
        low = min(low, high)
    digits = rules.get("totalDigits")
    if digits is not None and digits.isdigit():
        high = min(high, 10 ** int(digits) - 1)
        low = min(low, high)
    return str(chance.randint(low, high))


def _lengths(facets: Facets) -> tuple[int, int | None]:
    exact, least, most = (facets.rules.get(name) for name in ("length", "minLength", "maxLength"))
    if exact is not None and exact.isdigit():
        return int(exact), int(exact)
    return int(least) if least and least.isdigit() else 0, int(most) if most and most.isdigit() else None


def _holds(text: str, facets: Facets) -> bool:
    least, most = _lengths(facets)
    return least <= len(text) and (most is None or len(text) <= most)
