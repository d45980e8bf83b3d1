# SPDX-License-Identifier: Apache-2.0
"""Sample elements of an XML Schema: complete, the same for the same seed, and about what was asked.

Source: XML Schema Part 1 sections 3.3 (elements), 3.4 (complex types), 3.8 (model groups), 3.10 (wildcards).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

from adapters.simulators.generated.xsd import XS, XSI, Component, Facets, qualified_name, simple_value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from random import Random

    from adapters.invention import Asked
    from adapters.simulators.generated.xsd import Schemas

_DEEPEST = 12
_DEEPEST_BASE = 60
"""Bases are always followed, as a part of a type is no sample of it; a type that is its own base is not."""
_MOST_ELEMENTS = 3_000
_SOME = 2


@dataclass
class Sampler:
    """Writes sample elements.

    Args:
        schemas: where names are looked up.
        chance: decides.
        now: the last instant a value names.
        about: what was asked; an element of the same name says it again.
    """

    schemas: Schemas
    chance: Random
    now: datetime
    about: Asked
    written: int = 0

    def of_element(self, name: str) -> etree._Element | None:
        """Return a sample of a global element; None where it is not there."""
        component = self.schemas.find("element", name)
        if component is None:
            return None
        component = self.schemas.concrete_element(component)
        tag = f"{{{component.namespace}}}{component.node.get('name')}"
        return self._element(etree.QName(tag), component.node, component.schema, 0)

    def of_type(self, tag: str, type_name: str) -> etree._Element:
        """Return a sample of an element that has a type, as the parts of rpc messages do."""
        element = etree.Element(tag)
        self._fill_by_name(element, type_name, 0)
        return element

    def _element(
        self, name: etree.QName, node: etree._Element, schema: etree._Element, depth: int
    ) -> etree._Element:
        self.written += 1
        element = etree.Element(name)
        fixed = node.get("fixed") or node.get("default")
        type_name = node.get("type")
        if fixed is not None:
            element.text = fixed
        elif type_name:
            self._fill_by_name(element, qualified_name(type_name, node), depth)
        else:
            self._fill_inline(element, node, schema, depth)
        return element

    def _fill_inline(
        self, element: etree._Element, node: etree._Element, schema: etree._Element, depth: int
    ) -> None:
        simple, complex_ = node.find(f"{{{XS}}}simpleType"), node.find(f"{{{XS}}}complexType")
        if simple is not None:
            element.text = self._value(self.schemas.facets("", simple), element)
        elif complex_ is not None:
            self._fill_complex(element, Component(complex_, schema), depth)

    def _fill_by_name(self, element: etree._Element, name: str, depth: int) -> None:
        component = self.schemas.find("complexType", name)
        if component is not None:
            if component.node.get("abstract") in {"true", "1"}:
                derived = self.schemas.concrete_type(name)
                if derived is not None:
                    name, component = derived
                    self._say_type(element, name)
            self._fill_complex(element, component, depth)
        elif name != f"{{{XS}}}anyType":
            element.text = self._value(self.schemas.facets(name), element)

    @staticmethod
    def _say_type(element: etree._Element, name: str) -> None:
        qualified = etree.QName(name)
        # lxml adds no namespace to an element that is there, so a child's declaration is borrowed.
        holder = etree.SubElement(element, f"{{{qualified.namespace}}}holder")
        prefix = holder.prefix or "ns0"
        element.remove(holder)
        if element.nsmap.get(prefix) == qualified.namespace:
            element.set(f"{{{XSI}}}type", f"{prefix}:{qualified.localname}")

    def _fill_complex(self, element: etree._Element, component: Component, depth: int) -> None:
        node, schema = component.node, component.schema
        content = node.find(f"{{{XS}}}simpleContent/*[@base]")
        if content is not None:
            base = qualified_name(content.get("base", ""), content)
            inner = self.schemas.find("complexType", base)
            if inner is not None:
                self._fill_complex(element, inner, depth + 1)
            else:
                element.text = self._value(self.schemas.facets(base), element)
            self._attributes(element, content, schema)
            return
        derivation = node.find(f"{{{XS}}}complexContent/*[@base]")
        if derivation is not None:
            base = qualified_name(derivation.get("base", ""), derivation)
            inner = self.schemas.find("complexType", base)
            if (
                inner is not None
                and etree.QName(derivation).localname == "extension"
                and depth < _DEEPEST_BASE
            ):
                self._fill_complex(element, inner, depth + 1)
            elif inner is None:
                self._soap_array(element, derivation, schema, depth)
            node = derivation
        self._particles(element, node, schema, depth)
        self._attributes(element, node, schema)

    def _soap_array(
        self, element: etree._Element, node: etree._Element, schema: etree._Element, depth: int
    ) -> None:
        """Write the members of a SOAP 1.1 encoded array (SOAP 1.1 section 5.4.2)."""
        for attribute in node.iter(f"{{{XS}}}attribute"):
            for name, value in attribute.attrib.items():
                if str(name).endswith("}arrayType"):
                    item = etree.SubElement(element, "item")
                    self._fill_by_name(
                        item, qualified_name(re.sub(r"\[.*", "", str(value)), attribute), depth + 1
                    )
        del schema

    def _particles(
        self, element: etree._Element, node: etree._Element, schema: etree._Element, depth: int
    ) -> None:
        for particle in _parts(node):
            kind = etree.QName(particle).localname
            if kind not in {"sequence", "all", "choice", "group", "element"}:
                continue
            for _ in range(self._times(particle, depth)):
                self._particle(element, kind, particle, schema, depth)

    def _particle(
        self,
        element: etree._Element,
        kind: str,
        particle: etree._Element,
        schema: etree._Element,
        depth: int,
    ) -> None:
        if kind == "element":
            self._child(element, particle, schema, depth)
        elif kind == "group":
            group = self.schemas.find("group", qualified_name(particle.get("ref", ""), particle))
            if group is not None and depth < _DEEPEST:
                self._particles(element, group.node, group.schema, depth + 1)
        elif kind == "choice":
            choices = [
                each
                for each in _parts(particle)
                if etree.QName(each).localname in {"element", "sequence", "choice", "group"}
            ]
            if choices:
                # The first choice is mostly the ordinary one, and the later ones say what went wrong.
                chosen = choices[0]
                for _ in range(max(1, self._times(chosen, depth))):
                    self._particle(element, etree.QName(chosen).localname, chosen, schema, depth)
        else:
            self._particles(element, particle, schema, depth)

    def _child(
        self, element: etree._Element, node: etree._Element, schema: etree._Element, depth: int
    ) -> None:
        reference = node.get("ref")
        if reference is not None:
            component = self.schemas.find("element", qualified_name(reference, node))
            if component is None:
                return
            component = self.schemas.concrete_element(component)
            name = etree.QName(f"{{{component.namespace}}}{component.node.get('name')}")
            element.append(self._element(name, component.node, component.schema, depth + 1))
            return
        form = node.get("form") or schema.get("elementFormDefault", "unqualified")
        target = schema.get("targetNamespace", "") if form == "qualified" else ""
        local = node.get("name", "")
        tag = etree.QName(f"{{{target}}}{local}") if target else etree.QName(local)
        element.append(self._element(tag, node, schema, depth + 1))

    def _times(self, particle: etree._Element, depth: int) -> int:
        least = int(particle.get("minOccurs", "1"))
        most_text = particle.get("maxOccurs", "1")
        most = math.inf if most_text == "unbounded" else int(most_text)
        if depth >= _DEEPEST or self.written > _MOST_ELEMENTS:
            return least
        wanted = max(least, 1 if most <= 1 else _SOME)
        return int(min(wanted, most))

    def _attributes(self, element: etree._Element, node: etree._Element, schema: etree._Element) -> None:
        for attribute in node.findall(f"{{{XS}}}attribute"):
            named, owner = attribute, schema
            if attribute.get("ref"):
                found = self.schemas.find("attribute", qualified_name(attribute.get("ref", ""), attribute))
                if found is None:
                    continue
                named, owner = found.node, found.schema
            if attribute.get("use") == "prohibited":
                continue
            self._attribute(element, named, owner, is_global=attribute.get("ref") is not None)
        for reference in node.findall(f"{{{XS}}}attributeGroup"):
            group = self.schemas.find("attributeGroup", qualified_name(reference.get("ref", ""), reference))
            if group is not None:
                self._attributes(element, group.node, group.schema)

    def _attribute(
        self, element: etree._Element, node: etree._Element, schema: etree._Element, *, is_global: bool
    ) -> None:
        form = node.get("form") or schema.get("attributeFormDefault", "unqualified")
        target = schema.get("targetNamespace", "") if is_global or form == "qualified" else ""
        local = node.get("name", "")
        value = node.get("fixed") or node.get("default")
        if value is None:
            inline = node.find(f"{{{XS}}}simpleType")
            name = (
                qualified_name(node.get("type", "xs:string"), node) if node.get("type") else f"{{{XS}}}string"
            )
            facets = self.schemas.facets("" if inline is not None else name, inline)
            value = simple_value(facets, local, self.chance, self.now)
        element.set(f"{{{target}}}{local}" if target else local, value)

    def _value(self, facets: Facets, element: etree._Element) -> str:
        local = etree.QName(element).localname
        for said in self.about.by_name.get(local, ()):
            text = str(said)
            if (not facets.codes and not facets.patterns) or text in facets.codes:
                return text
            if facets.patterns and re.fullmatch(r"[0-9A-Za-z-]{1,40}", text) and not facets.codes:
                return text
        return simple_value(facets, local, self.chance, self.now)


def _parts(node: etree._Element) -> Iterator[etree._Element]:
    return node.iterchildren("*")
