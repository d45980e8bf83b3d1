# SPDX-License-Identifier: Apache-2.0
"""The operations of a WSDL in one document: how a request is known, and what its answer is made of.

Source: WSDL 1.1 sections 2.3 to 2.5 and 3; WS-I Basic Profile 1.1 sections 4.4 and 4.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lxml import etree

from adapters.simulators.generated.xsd import Schemas, qualified_name
from adapters.soap.catalogue import Catalogue
from adapters.soap.wsdl import FolderFetch, mend, repairs_of
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

WSDL = "http://schemas.xmlsoap.org/wsdl/"
_SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"
_SOAP12 = "http://schemas.xmlsoap.org/wsdl/soap12/"


@dataclass(frozen=True)
class Part:
    """A part of a message: an element, or a name with a type."""

    name: str
    element: str
    type_name: str


@dataclass(frozen=True)
class ServedOperation:
    """One operation as it stands on the wire.

    Attributes:
        is_rpc: whether the body holds one element named after the operation, with the parts in it.
        space: the namespace of that element.
        asks: the body's parts of the request.
        answers: of the answer; None for an operation without one.
        fault: the element of its first declared fault, or empty.
    """

    name: str
    action: str
    is_rpc: bool
    space: str
    asks: tuple[Part, ...]
    answers: tuple[Part, ...] | None
    answer_space: str
    fault: str


class ServedWsdl:
    """What a WSDL promises.

    Args:
        content: the WSDL with all its schemas in it.
        originals: the files it was put together from, as far as they are XML.
        codes: the listed values of its simple types.

    Raises:
        ValueError: it is no XML.
    """

    def __init__(
        self,
        content: bytes,
        originals: Sequence[bytes] = (),
        codes: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.root = _parsed(content)
        self.schemas = Schemas(
            self.root, [root for each in originals if (root := _original(each)) is not None], codes
        )
        self._messages = self._named("message")
        self._port_types = self._named("portType")
        self.operations = tuple(self._operations())

    def find(self, body: etree._Element | None, action: str) -> ServedOperation | None:
        """Return the operation a request is for, by its body's element or else by its action."""
        if body is not None:
            for operation in self.operations:
                expected = [part.element for part in operation.asks[:1]]
                if operation.is_rpc:
                    expected = [f"{{{operation.space}}}{operation.name}"]
                if body.tag in expected:
                    return operation
        wanted = action.strip().strip('"')
        by_action = [each for each in self.operations if wanted and each.action == wanted]
        without = [each for each in self.operations if body is None and not each.asks]
        return next(iter((*by_action, *without)), None)

    def at_address(self, address: str) -> bytes:
        """Return the WSDL with every service at one address."""
        for node in self.root.iter(f"{{{_SOAP}}}address", f"{{{_SOAP12}}}address"):
            node.set("location", address)
        return etree.tostring(self.root, xml_declaration=True, encoding="utf-8")

    def _named(self, kind: str) -> dict[str, etree._Element]:
        target = self.root.get("targetNamespace", "")
        return {f"{{{target}}}{node.get('name')}": node for node in self.root.iter(f"{{{WSDL}}}{kind}")}

    def _operations(self) -> Iterator[ServedOperation]:
        for binding in self.root.iter(f"{{{WSDL}}}binding"):
            soap = _soap_child(binding, "binding")
            port_type = self._port_types.get(qualified_name(binding.get("type", ""), binding))
            if soap is None or port_type is None:
                continue
            for node in binding.findall(f"{{{WSDL}}}operation"):
                promised = next(
                    (
                        each
                        for each in port_type.findall(f"{{{WSDL}}}operation")
                        if each.get("name") == node.get("name")
                    ),
                    None,
                )
                if promised is not None:
                    yield self._operation(node, promised, soap.get("style", "document"))

    def _operation(self, node: etree._Element, promised: etree._Element, style: str) -> ServedOperation:
        soap = _soap_child(node, "operation")
        name = node.get("name", "")
        is_rpc = (style if soap is None else soap.get("style", style)) == "rpc"
        asks, space = self._message(node, promised, "input")
        answers, answer_space = self._message(node, promised, "output")
        fault = promised.find(f"{{{WSDL}}}fault")
        told = self._parts(fault) if fault is not None else ()
        return ServedOperation(
            name=name,
            action="" if soap is None else soap.get("soapAction", ""),
            is_rpc=is_rpc,
            space=space,
            asks=asks or (),
            answers=answers,
            answer_space=answer_space,
            fault=told[0].element if told else "",
        )

    def _message(
        self, node: etree._Element, promised: etree._Element, way: str
    ) -> tuple[tuple[Part, ...] | None, str]:
        """Return the body's parts of one way, and the namespace an rpc wrapper has."""
        promise = promised.find(f"{{{WSDL}}}{way}")
        if promise is None:
            return None, ""
        bound = node.find(f"{{{WSDL}}}{way}")
        bodies = [] if bound is None else [each for each in bound.iter() if _is_soap(each, "body")]
        headers = [] if bound is None else [each for each in bound.iter() if _is_soap(each, "header")]
        parts = self._parts(promise)
        message = qualified_name(promise.get("message", ""), promise)
        in_headers = {
            each.get("part") for each in headers if qualified_name(each.get("message", ""), each) == message
        }
        chosen = bodies[0].get("parts") if bodies else None
        wanted = set(chosen.split()) if chosen is not None else {part.name for part in parts} - in_headers
        space = bodies[0].get("namespace", "") if bodies else ""
        return tuple(part for part in parts if part.name in wanted), space

    def _parts(self, promise: etree._Element) -> tuple[Part, ...]:
        message = self._messages.get(qualified_name(promise.get("message", ""), promise))
        if message is None:
            return ()
        return tuple(
            Part(
                part.get("name", ""),
                qualified_name(part.get("element", ""), part) if part.get("element") else "",
                qualified_name(part.get("type", ""), part) if part.get("type") else "",
            )
            for part in message.findall(f"{{{WSDL}}}part")
        )


def _parsed(content: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    try:
        root: etree._Element = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise ValueError(f"the WSDL is no XML: {exc}") from exc
    return root


def _original(content: bytes) -> etree._Element | None:
    """Return an original file; None for one that only its repair has made XML."""
    try:
        return _parsed(content)
    except ValueError:
        return None


def _is_soap(node: etree._Element, local: str) -> bool:
    return node.tag in {f"{{{_SOAP}}}{local}", f"{{{_SOAP12}}}{local}"}


def _soap_child(node: etree._Element, local: str) -> etree._Element | None:
    return next((each for each in node if _is_soap(each, local)), None)


def read_served(file: Path, catalogue: Path | None = None) -> ServedWsdl:
    """Read a WSDL from files, repaired as it is for an adapter.

    Args:
        file: the WSDL.
        catalogue: a folder of schemas that answer for imports from elsewhere.

    Raises:
        AdapterError: `adapter.configuration_invalid`, it cannot be read, or has no operation over SOAP.
    """
    folders = () if catalogue is None else (catalogue,)
    try:
        mended = mend(str(file.resolve()), FolderFetch(None), Catalogue(folders=folders))
        if mended.content is None:
            reasons = "; ".join(finding.code for finding in mended.findings)
            raise AdapterError("adapter.configuration_invalid", f"{file.name}: {reasons}")
        files = [Path(name) for name in mended.files if Path(name).is_file()]
        if len(mended.files) == 1 and not repairs_of(mended):
            # A WSDL that needs nothing says more itself: defaults, fixed values, and all its facets.
            served = ServedWsdl(files[0].read_bytes())
        else:
            codes = {f"{{{name.space}}}{name.local}": listed for name, listed in mended.codes.items()}
            served = ServedWsdl(mended.content, [each.read_bytes() for each in files], codes)
    except (OSError, ValueError, RecursionError) as exc:
        raise AdapterError("adapter.configuration_invalid", f"{file.name}: {exc}") from exc
    if not served.operations:
        raise AdapterError("adapter.configuration_invalid", f"{file.name}: no operation over SOAP")
    return served
