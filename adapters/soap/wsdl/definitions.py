# SPDX-License-Identifier: Apache-2.0
"""The messages, port types, bindings and services of all files of a WSDL, written as those of one.

Source: W3C Note WSDL 1.1 sections 2 and 3; WS-I Basic Profile 1.1 section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

from adapters.soap.wsdl.names import (
    MIME,
    SOAP_11,
    SOAP_12,
    WSDL,
    Name,
    is_element,
    name_of,
    place_of,
    read_name,
)
from adapters.soap.wsdl.writing import ANY_TYPE
from adapters.sources import Severity, SourceFinding, found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.soap.wsdl.library import File, Library
    from adapters.soap.wsdl.names import Written
    from adapters.soap.wsdl.output import Output
    from adapters.soap.wsdl.schemas import SchemaSet
    from adapters.soap.wsdl.writing import SchemaWriter

_TABLES = ("message", "portType", "binding")
_HTTP_TRANSPORTS = frozenset(
    {"http://schemas.xmlsoap.org/soap/http", "http://www.w3.org/2003/05/soap/bindings/HTTP/"}
)
_SOAP_HTTP = "http://schemas.xmlsoap.org/soap/http"


@dataclass(frozen=True)
class _Part:
    """A named part of a WSDL, and the file it stands in."""

    node: etree._Element
    file: File

    @property
    def at(self) -> str:
        return place_of(self.file.name, self.node)


class Definitions:
    """Gathers and writes definitions.

    Args:
        library: opens what is imported.
        schemas: where schemas on the way go.
    """

    def __init__(self, library: Library, schemas: SchemaSet) -> None:
        self._library = library
        self._schemas = schemas
        self._tables: dict[str, dict[Name, _Part]] = {table: {} for table in _TABLES}
        self._services: list[_Part] = []
        self._visited: set[str] = set()
        self._local: dict[str, dict[Name, str]] = {table: {} for table in _TABLES}
        self.target = ""
        self.about: dict[str, str] = {}
        self._has_anything = False
        self.findings: list[SourceFinding] = library.findings

    def add(self, file: File) -> None:
        """Gather a WSDL file and all it imports."""
        if file.address in self._visited:
            return
        self._visited.add(file.address)
        space = (file.root.get("targetNamespace") or "").strip()
        self.target = self.target or space
        for child in file.root:
            if is_element(child):
                self._gather(child, file, space)

    def _gather(self, node: etree._Element, file: File, space: str) -> None:
        tag = name_of(node).local
        at = place_of(file.name, node)
        if tag in {"import", "include"}:
            self._import(node, file, at)
        elif tag == "types":
            self._types(node, file)
        elif tag == "service":
            self._services.append(_Part(node, file))
        elif tag in _TABLES:
            local = (node.get("name") or "").strip()
            if not local:
                self.findings.append(found("soap.name_missing", at, kind=tag))
                return
            name = Name(space, local)
            if name in self._tables[tag]:
                first = self._tables[tag][name].at
                self.findings.append(found("soap.duplicate", at, kind=tag, name=local, first=first))
                return
            self._tables[tag][name] = _Part(node, file)
            self._local[tag][name] = self._free(tag, local)

    def _free(self, table: str, local: str) -> str:
        taken = set(self._local[table].values())
        while local in taken:
            local += "_"
        return local

    def _import(self, node: etree._Element, file: File, at: str) -> None:
        location = (node.get("location") or node.get("schemaLocation") or "").strip()
        namespace = (node.get("namespace") or "").strip()
        opened = self._library.open(location, base=file, namespace=namespace, at=at)
        if opened is None:
            return
        tag = name_of(opened.root)
        if tag.local == "definitions":
            self.add(opened)
        elif tag.local == "schema":
            self._schemas.add(opened.root, opened, namespace)
        else:
            self.findings.append(found("soap.import_no_schema", at, location=location or namespace))

    def _types(self, node: etree._Element, file: File) -> None:
        for child in node:
            if is_element(child) and name_of(child).local == "schema":
                self._schemas.add(child, file)
            elif is_element(child) and name_of(child).local in {"import", "include"}:
                self._import(child, file, place_of(file.name, child))

    # What is written -----------------------------------------------------------------------------------

    def write(self, output: Output, writer: SchemaWriter) -> None:
        """Write everything that is sound."""
        for name, part in self._tables["message"].items():
            output.parts.append(self._message(name, part, output, writer))
        operations: dict[Name, set[str]] = {}
        for name, part in self._tables["portType"].items():
            port_type = self._port_type(name, part, output)
            operations[name] = {str(child.get("name")) for child in port_type}
            output.parts.append(port_type)
        bindings: set[Name] = set()
        for name, part in self._tables["binding"].items():
            binding = self._binding(name, part, output, operations)
            if binding is not None:
                output.parts.append(binding)
                bindings.add(name)
        for service in self._services:
            output.parts.append(self._service(service, output, bindings))

    def _message(self, name: Name, part: _Part, output: Output, writer: SchemaWriter) -> etree._Element:
        message = etree.Element(f"{{{WSDL}}}message", name=self._local["message"][name])
        taken: set[str] = set()
        for number, node in enumerate(_children(part.node, "part")):
            at = place_of(part.file.name, node)
            local = (node.get("name") or "").strip()
            if not local or local in taken:
                self.findings.append(found("soap.name_missing", at, kind="part"))
                local = f"part{number + 1}"
            taken.add(local)
            new = etree.SubElement(message, f"{{{WSDL}}}part", name=local)
            element, type_ = (node.get("element") or "").strip(), (node.get("type") or "").strip()
            if element:
                output.name(new, "element", [writer.element(read_name(element, node), at)])
            elif type_:
                output.name(new, "type", [writer.type(read_name(type_, node), at)])
            else:
                self.findings.append(found("soap.part_without_type", at, name=local))
                output.name(new, "type", [ANY_TYPE])
        return message

    def _port_type(self, name: Name, part: _Part, output: Output) -> etree._Element:
        new = etree.Element(f"{{{WSDL}}}portType", name=self._local["portType"][name])
        seen: set[str] = set()
        for node in _children(part.node, "operation"):
            at = place_of(part.file.name, node)
            local = (node.get("name") or "").strip()
            if not local or local in seen:
                at_fault = (
                    found("soap.overloaded", at, name=local)
                    if local
                    else found("soap.name_missing", at, kind="operation")
                )
                self.findings.append(at_fault)
                continue
            operation = etree.Element(f"{{{WSDL}}}operation", name=local)
            if node.get("parameterOrder"):
                operation.set("parameterOrder", str(node.get("parameterOrder")))
            if self._messages(node, operation, part, output):
                seen.add(local)
                self._note_about(local, node)
                new.append(operation)
        return new

    def _note_about(self, local: str, node: etree._Element) -> None:
        texts = (
            " ".join("".join(str(text) for text in child.itertext()).split())
            for child in _children(node, "documentation")
        )
        about = next((text for text in texts if text), "")
        if about:
            self.about.setdefault(local, about[:1000])

    def _messages(self, node: etree._Element, operation: etree._Element, part: _Part, output: Output) -> bool:
        """Write an operation's messages; tell whether it can be asked."""
        local = operation.get("name") or ""
        has_input = False
        for child in node:
            if not is_element(child) or name_of(child).local not in {"input", "output", "fault"}:
                continue
            tag = name_of(child).local
            at = place_of(part.file.name, child)
            written = read_name(child.get("message") or "", child, name_of(part.node).space and "")
            name = self._find("message", written, at, part)
            if name is None and tag == "output":
                self.findings.append(found("soap.message_missing", at, name=written.local or "-"))
                name = self._anything(output)
            if name is None:
                code = "soap.fault_left_out" if tag == "fault" else "soap.operation_left_out"
                reason = f"message {written.local or '-'}"
                self.findings.append(found(code, at, name=local, reason=reason))
                if tag == "fault":
                    continue
                return False
            new = etree.SubElement(operation, f"{{{WSDL}}}{tag}")
            for attribute, value in child.attrib.items():
                if str(attribute).endswith("}Action") or attribute == "name":
                    new.set(attribute, value)
            output.name(new, "message", [Name(self.target, self._local["message"].get(name, name.local))])
            has_input = has_input or tag == "input"
        if not has_input:
            at = place_of(part.file.name, node)
            self.findings.append(found("soap.operation_left_out", at, name=local, reason="input"))
        return has_input

    def _anything(self, output: Output) -> Name:
        """Write a message of any content, once."""
        name = Name(self.target, "anything.made-up")
        if not self._has_anything:
            self._has_anything = True
            message = etree.Element(f"{{{WSDL}}}message", name=name.local)
            part = etree.SubElement(message, f"{{{WSDL}}}part", name="body")
            output.name(part, "type", [ANY_TYPE])
            output.parts.append(message)
        return name

    def _binding(
        self, name: Name, part: _Part, output: Output, operations: dict[Name, set[str]]
    ) -> etree._Element | None:
        soap = _soap_binding(part.node)
        if soap is None:
            self.findings.append(found("soap.binding_not_soap", part.at, name=name.local))
            return None
        transport = (soap.get("transport") or "").strip()
        if transport not in _HTTP_TRANSPORTS:
            if transport and "http" not in transport.lower().rpartition("/")[2]:
                self.findings.append(
                    found("soap.transport_not_http", part.at, name=name.local, used=transport)
                )
                return None
            self.findings.append(found("soap.transport_wrong", part.at, used=transport or "-"))
        port_type = self._find("portType", read_name(part.node.get("type") or "", part.node), part.at, part)
        if port_type is None:
            reason = f"portType {part.node.get('type') or '-'}"
            self.findings.append(found("soap.binding_left_out", part.at, name=name.local, reason=reason))
            return None
        new = etree.Element(f"{{{WSDL}}}binding", name=self._local["binding"][name])
        output.name(new, "type", [Name(self.target, self._local["portType"][port_type])])
        if name_of(soap).space not in {SOAP_11, SOAP_12}:
            self.findings.append(
                found(
                    "soap.extension_namespace",
                    place_of(part.file.name, soap),
                    is_there=name_of(soap).space or "-",
                )
            )
        space = _soap_space(soap)
        bound = etree.SubElement(new, f"{{{space}}}binding", transport=_SOAP_HTTP)
        if soap.get("style"):
            bound.set("style", str(soap.get("style")).strip().lower())
        seen: set[str] = set()
        for node in _children(part.node, "operation"):
            local = (node.get("name") or "").strip()
            if local in operations[port_type] and local not in seen:
                seen.add(local)
                new.append(self._bound_operation(node, part, output, space))
            elif local not in seen:
                at = place_of(part.file.name, node)
                reason = f"portType/operation {local or '-'}"
                self.findings.append(
                    found(
                        "soap.operation_left_out",
                        at,
                        severity=Severity.INFO,
                        name=local or "-",
                        reason=reason,
                    )
                )
        return new

    def _bound_operation(
        self, node: etree._Element, part: _Part, output: Output, space: str
    ) -> etree._Element:
        new = etree.Element(f"{{{WSDL}}}operation", name=str(node.get("name")).strip())
        for child in node:
            if not is_element(child):
                continue
            tag = name_of(child)
            if tag.local == "operation":
                operation = etree.SubElement(new, f"{{{space}}}operation")
                _copy(child, operation, ("soapAction", "style"))
            elif tag.local in {"input", "output", "fault"}:
                direction = etree.SubElement(new, f"{{{WSDL}}}{tag.local}")
                _copy(child, direction, ("name",))
                for inner in _unwrapped(child, space):
                    self._extension(inner, direction, part, output, space)
        return new

    def _extension(
        self, node: etree._Element, parent: etree._Element, part: _Part, output: Output, space: str
    ) -> None:
        tag = name_of(node)
        if tag.space not in {space, WSDL, ""} or tag.local not in {"body", "header", "fault"}:
            return
        new = etree.Element(f"{{{space}}}{tag.local}")
        _copy(node, new, ("use", "namespace", "encodingStyle", "name", "parts", "part"))
        if tag.local == "header":
            at = place_of(part.file.name, node)
            name = self._find("message", read_name(node.get("message") or "", node), at, part)
            parts = () if name is None else _children(self._tables["message"][name].node, "part")
            if name is None or node.get("part") not in {one.get("name") for one in parts}:
                self.findings.append(found("soap.header_left_out", at, name=str(node.get("message") or "-")))
                return
            new.set("use", new.get("use") or "literal")
            output.name(new, "message", [Name(self.target, self._local["message"][name])])
        parent.append(new)

    def _service(self, part: _Part, output: Output, bindings: set[Name]) -> etree._Element:
        new = etree.Element(f"{{{WSDL}}}service", name=(part.node.get("name") or "service").strip())
        for number, node in enumerate(_children(part.node, "port")):
            at = place_of(part.file.name, node)
            name = self._find("binding", read_name(node.get("binding") or "", node), at, part)
            if name is None or name not in bindings:
                if name is None:
                    reason = f"binding {node.get('binding') or '-'}"
                    self.findings.append(
                        found("soap.port_left_out", at, name=str(node.get("name")), reason=reason)
                    )
                continue
            port = etree.SubElement(
                new, f"{{{WSDL}}}port", name=(node.get("name") or f"port{number}").strip()
            )
            output.name(port, "binding", [Name(self.target, self._local["binding"][name])])
            address = next(
                (c for c in node if is_element(c) and name_of(c).local == "address" and c.get("location")),
                None,
            )
            space = _soap_space(_soap_binding(self._tables["binding"][name].node))
            if address is None:
                self.findings.append(found("soap.address_missing", at, name=str(node.get("name"))))
            location = "" if address is None else str(address.get("location")).strip()
            etree.SubElement(port, f"{{{space}}}address", location=location)
        return new

    def _find(self, table: str, written: Written, at: str, part: _Part) -> Name | None:
        """Return the definition that is meant."""
        target = (part.file.root.get("targetNamespace") or "").strip()
        candidates = [written.name] if written.name else []
        if not written.prefix:
            candidates.append(Name(target, written.local))
        for candidate in candidates:
            if candidate in self._tables[table]:
                return candidate
        alike = [name for name in self._tables[table] if name.local == written.local]
        if len(alike) != 1:
            return None
        self.findings.append(
            found("soap.found_elsewhere", at, name=f"{table} {written.local}", used=alike[0].space or "-")
        )
        return alike[0]


def _children(node: etree._Element, local: str) -> Iterator[etree._Element]:
    return (child for child in node if is_element(child) and name_of(child).local == local)


def _soap_binding(node: etree._Element) -> etree._Element | None:
    """Return what makes a binding SOAP; by its attributes where somebody forgot its namespace."""
    children = list(_children(node, "binding"))
    proper = [child for child in children if name_of(child).space in {SOAP_11, SOAP_12}]
    forgotten = [child for child in children if child.get("transport") or child.get("style")]
    return next(iter((*proper, *forgotten)), None)


def _soap_space(binding: etree._Element | None) -> str:
    space = "" if binding is None else name_of(binding).space
    return SOAP_12 if space == SOAP_12 else SOAP_11


def _unwrapped(node: etree._Element, space: str) -> Iterator[etree._Element]:
    """Yield the SOAP extensions of a message, those within a MIME multipart included.

    Source: W3C Note WSDL 1.1 section 5.6.
    """
    for child in node:
        if not is_element(child):
            continue
        if name_of(child).space == MIME:
            yield from child.iter(f"{{{space}}}body", f"{{{space}}}header")
        else:
            yield child


def _copy(node: etree._Element, new: etree._Element, attributes: tuple[str, ...]) -> None:
    for attribute in attributes:
        if node.get(attribute) is not None:
            new.set(attribute, str(node.get(attribute)))
