# SPDX-License-Identifier: Apache-2.0
"""All schemas of a WSDL, gathered: what is imported, included or redefined is placed in its namespace.

Source: W3C XML Schema 1.0 Part 1 section 4.2 (layer 2: schema documents, namespaces and composition).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lxml import etree

from adapters.soap.catalogue import well_known
from adapters.soap.wsdl.library import File
from adapters.soap.wsdl.names import OLD_XSD, XSD, Name, is_element, name_of, place_of
from adapters.soap.wsdl.parsing import parse_file
from adapters.sources import Severity, found

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adapters.soap.wsdl.library import Library

KINDS: Mapping[str, str] = {
    "element": "element",
    "simpleType": "type",
    "complexType": "type",
    "attribute": "attribute",
    "group": "group",
    "attributeGroup": "attributeGroup",
}
"""Which table a global component stands in, by its tag."""


@dataclass(frozen=True)
class Component:
    """A global component: where it stands, and what it is called there."""

    node: etree._Element
    file: File
    local: str


@dataclass
class Placed:
    """The content of one schema file in one namespace.

    Attributes:
        own: the names that a redefinition replaces, and what the replaced ones are called since.
    """

    file: File
    root: etree._Element
    namespace: str
    has_own_namespace: bool
    own: dict[tuple[str, str], str] = field(default_factory=dict)

    def components(self) -> Iterator[tuple[str, str, etree._Element]]:
        """Yield each global component: its kind, its local name and its node."""
        for child in self.root:
            if not is_element(child):
                continue
            tag = name_of(child)
            if tag.space not in {XSD, *OLD_XSD}:
                continue
            if tag.local in {"redefine", "override"}:
                for grandchild in child:
                    if is_element(grandchild) and name_of(grandchild).local in KINDS:
                        yield from self._component(grandchild, name_of(grandchild).local)
            elif tag.local in KINDS:
                yield from self._component(child, tag.local)

    def _component(self, node: etree._Element, tag: str) -> Iterator[tuple[str, str, etree._Element]]:
        local = (node.get("name") or "").strip()
        yield KINDS[tag], local, node


class SchemaSet:
    """Gathers schemas.

    Args:
        library: opens what they import.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._visited: set[tuple[str, str]] = set()
        self.placed: list[Placed] = []
        self.tables: dict[str, dict[Name, Component]] = {kind: {} for kind in set(KINDS.values())}
        self._by_local: dict[tuple[str, str], set[Name]] = {}

    def add(self, root: etree._Element, file: File, namespace: str | None = None) -> Placed | None:
        """Place a schema, and all it brings along.

        Args:
            root: its `schema` element.
            file: where it stands.
            namespace: what it takes on where it has none of its own.
        """
        own = (root.get("targetNamespace") or "").strip()
        space = own or namespace or ""
        mark = f"{file.address}#{root.sourceline}" if root is not file.root else file.address
        if (mark, space) in self._visited:
            return None
        self._visited.add((mark, space))
        if name_of(root).space in OLD_XSD:
            self._library.findings.append(found("soap.old_schema", place_of(file.name, root)))
        placed = Placed(file, root, space, has_own_namespace=bool(own))
        for child in root:
            if is_element(child):
                self._bring(child, placed)
        self.placed.append(placed)
        self._register(placed)
        return placed

    def add_well_known(self, namespace: str) -> bool:
        """Place a schema that comes along with this project; tell whether there is one."""
        content = well_known().get(namespace)
        if content is None or (f"well-known:{namespace}", namespace) in self._visited:
            return False
        parsed = parse_file(content, namespace)
        if parsed.root is None:
            raise AssertionError(f"the schema of {namespace} that comes along cannot be parsed")
        return self.add(parsed.root, File(f"well-known:{namespace}", namespace, parsed.root)) is not None

    def named_like(self, kind: str, local: str) -> set[Name]:
        """Return every component of a kind with this local name, in whatever namespace."""
        return self._by_local.get((kind, local), set())

    def _bring(self, node: etree._Element, placed: Placed) -> None:
        tag = name_of(node)
        if tag.space not in {XSD, *OLD_XSD} or tag.local not in {"import", "include", "redefine", "override"}:
            return
        at = place_of(placed.file.name, node)
        namespace = (node.get("namespace") or "").strip()
        location = (node.get("schemaLocation") or "").strip()
        if tag.local == "import":
            self._import(location, namespace, placed, at)
            return
        if not location:
            self._library.findings.append(found("soap.include_without_place", at))
            return
        self._include(node, location, placed, at)

    def _import(self, location: str, namespace: str, placed: Placed, at: str) -> None:
        if namespace == XSD:
            return
        file = self._library.open(location, base=placed.file, namespace=namespace, at=at)
        if file is None:
            return
        for root in schema_roots(file.root):
            own = (root.get("targetNamespace") or "").strip()
            if namespace and own and own != namespace:
                self._library.findings.append(
                    found("soap.namespace_differs", at, expected=namespace, is_there=own)
                )
            self.add(root, file, namespace or placed.namespace)
        if not schema_roots(file.root):
            self._library.findings.append(found("soap.import_no_schema", at, location=location or namespace))

    def _include(self, node: etree._Element, location: str, placed: Placed, at: str) -> None:
        file = self._library.open(location, base=placed.file, namespace="", at=at)
        if file is None:
            return
        roots = schema_roots(file.root)
        if not roots:
            self._library.findings.append(found("soap.import_no_schema", at, location=location))
        for root in roots:
            own = (root.get("targetNamespace") or "").strip()
            if own and own != placed.namespace:
                self._library.findings.append(
                    found("soap.namespace_differs", at, expected=placed.namespace, is_there=own)
                )
            included = self.add(root, file, placed.namespace)
            if included is not None and name_of(node).local in {"redefine", "override"}:
                self._replace(node, included)

    def _replace(self, node: etree._Element, replaced: Placed) -> None:
        for child in node:
            if not is_element(child) or name_of(child).local not in KINDS:
                continue
            kind, local = KINDS[name_of(child).local], (child.get("name") or "").strip()
            old = self.tables[kind].pop(Name(replaced.namespace, local), None)
            if old is not None:
                new = f"{local}.redefined"
                replaced.own[kind, local] = new
                self.tables[kind][Name(replaced.namespace, new)] = old

    def _register(self, placed: Placed) -> None:
        for kind, local, node in placed.components():
            if not local:
                continue
            name = Name(placed.namespace, placed.own.get((kind, local), local))
            known = self.tables[kind].get(name)
            if known is not None and known.node is not node:
                is_same = _canonical(known.node) == _canonical(node)
                self._library.findings.append(
                    found(
                        "soap.duplicate",
                        place_of(placed.file.name, node),
                        severity=Severity.INFO if is_same else None,
                        kind=kind,
                        name=local,
                        first=place_of(known.file.name, known.node),
                    )
                )
                continue
            self.tables[kind][name] = Component(node, placed.file, local)
            self._by_local.setdefault((kind, local), set()).add(name)


def schema_roots(root: etree._Element) -> list[etree._Element]:
    """Return the schemas of a file: its root, or those of a WSDL's types."""
    tag = name_of(root)
    if tag.local == "schema" and tag.space in {XSD, *OLD_XSD}:
        return [root]
    found_in = [root.findall(f".//{{{space}}}schema") for space in (XSD, *sorted(OLD_XSD))]
    return [schema for schemas in found_in for schema in schemas]


def _canonical(node: etree._Element) -> bytes:
    return bytes(etree.tostring(node, method="c14n", exclusive=True))
