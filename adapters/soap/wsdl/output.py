# SPDX-License-Identifier: Apache-2.0
"""The one document that everything is written into: every name with a prefix declared at its root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from adapters.soap.wsdl.names import MIME, SOAP_11, SOAP_12, WSDL, XML, XSD, Name

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIXES = {XSD: "xs", WSDL: "wsdl", SOAP_11: "soap", SOAP_12: "soap12", MIME: "mime"}


class Output:
    """A document under way; names in attributes are written last, when all their namespaces are known."""

    def __init__(self) -> None:
        self.types = etree.Element(f"{{{WSDL}}}types")
        self.parts: list[etree._Element] = []
        self._pending: list[tuple[etree._Element, str, tuple[Name, ...], str]] = []

    def name(self, node: etree._Element, attribute: str, names: Sequence[Name], suffix: str = "") -> None:
        """Let an attribute name something.

        Args:
            node: whose attribute.
            attribute: its name.
            names: one, or several separated by spaces.
            suffix: what follows a name, such as the brackets of an array.
        """
        node.set(attribute, "")
        self._pending.append((node, attribute, tuple(names), suffix))

    def finish(self, target: str) -> bytes:
        """Return the document as XML."""
        spaces = {name.space for _, _, names, _ in self._pending for name in names} | {target}
        prefixes = dict(_PREFIXES)
        for space in sorted(spaces - {""} - {XML}):
            prefixes.setdefault(space, f"n{len(prefixes)}")
        nsmap = {prefix: space for space, prefix in prefixes.items()}
        root = etree.Element(f"{{{WSDL}}}definitions", nsmap=nsmap, targetNamespace=target)
        root.append(self.types)
        root.extend(self.parts)
        prefixes[XML] = "xml"
        for node, attribute, names, suffix in self._pending:
            words = (
                f"{prefixes[name.space]}:{name.local}{suffix}" if name.space else f"{name.local}{suffix}"
                for name in names
            )
            node.set(attribute, " ".join(words))
        return bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8"))
