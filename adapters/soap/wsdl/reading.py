# SPDX-License-Identifier: Apache-2.0
"""Read a WSDL for people: its operations, what each asks and answers, and all that is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.soap.catalogue import Catalogue
from adapters.soap.wsdl.mending import mend
from adapters.soap.wsdl.opening import open_client
from adapters.soap.wsdl.shapes import ShapeReader
from adapters.sources import Operation, Severity, Source, SourceFinding, found, read_source
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.ports import JsonValue
    from adapters.soap.wsdl.mending import Mended

_SUFFIXES = frozenset({".xsd", ".wsdl", ".xml", ".txt", ""})


def read_wsdl(path: Path, catalogue: Catalogue | None = None, *, imports_below: Path | None = None) -> Source:
    """Read a WSDL, from files only.

    Args:
        path: the WSDL.
        catalogue: answers for what it imports from elsewhere.
        imports_below: the folder its imports have to stay in; without it, they may be any schema or WSDL its
            own files name relatively, which suits files of this machine's own people.
    """
    given = catalogue or Catalogue()
    content = read_source(path)
    if isinstance(content, SourceFinding):
        return Source("soap", path.name, (), (content,))
    root = path.resolve()
    try:
        mended = mend(str(root), FolderFetch(imports_below), given)
    except (OSError, AdapterError, RecursionError, ValueError) as exc:
        finding = found("soap.not_loadable", path.name, reason=str(exc) or type(exc).__name__)
        return Source("soap", path.name, (), (finding,))
    if mended.content is None:
        return Source("soap", path.name, (), mended.findings)
    try:
        client = open_client(mended.content)
    except ValueError as exc:
        finding = found("soap.not_loadable", path.name, reason=str(exc))
        return Source("soap", mended.title, (), (*mended.findings, finding))
    connection = _connection(path, root, mended, given)
    operations = tuple(_operations(client, mended, connection))
    findings = mended.findings
    if not operations:
        findings = (*findings, found("soap.nothing_to_ask", path.name))
    return Source("soap", mended.title, operations, findings)


class FolderFetch:
    """Reads files, and nothing else."""

    def __init__(self, below: Path | None) -> None:
        self._below = None if below is None else below.resolve()

    def __call__(self, address: str) -> bytes:
        """Return a file's bytes; raises OSError for what is none of these files."""
        if "://" in address:
            raise OSError(0, "nothing is loaded from the network")
        path = Path(address.removeprefix("file:")).resolve()
        if self._below is not None and not path.is_relative_to(self._below):
            raise OSError(0, "it is out of the WSDL's folder")
        if path.suffix.lower() not in _SUFFIXES:
            raise OSError(0, "it is neither a schema nor a WSDL by its name")
        content = read_source(path)
        if isinstance(content, SourceFinding):
            raise OSError(0, "there is no such file, or it is empty or too large")
        return content


def _connection(path: Path, root: Path, mended: Mended, catalogue: Catalogue) -> dict[str, JsonValue]:
    connection: dict[str, JsonValue] = {"wsdl": str(path)}
    files = [Path(name) for name in mended.files if Path(name).is_absolute()]
    folder = Path(os.path.commonpath([str(root.parent), *(str(file.parent) for file in files)]))
    if folder != root.parent:
        connection["imports_below"] = str(folder)
    if catalogue.addresses:
        connection["catalog"] = {address: str(file) for address, file in catalogue.addresses.items()}
    if catalogue.folders:
        connection["catalog_folders"] = [str(folder) for folder in catalogue.folders]
    repairs = repairs_of(mended)
    if repairs:
        connection["repairs"] = list(repairs)
    return connection


def repairs_of(mended: Mended) -> tuple[str, ...]:
    """Return the codes of what had to be repaired and a description has to accept."""
    return tuple(
        sorted({finding.code for finding in mended.findings if finding.severity is Severity.WARNING})
    )


def _operations(client: Any, mended: Mended, connection: dict[str, JsonValue]) -> Iterator[Operation]:
    """Yield every operation once: of the first port that has it, SOAP 1.1 before 1.2."""
    shapes = ShapeReader(mended.codes)
    seen: dict[str, str] = {}
    for port, binding, address in _bindings(client):
        for name, operation in sorted(binding._operations.items()):  # noqa: SLF001 - zeep lists them nowhere else
            port_type = binding.port_type.name.text
            if seen.get(name) == port_type or f"{port}.{name}" in seen:
                continue
            shown = f"{port}.{name}" if name in seen else name
            seen[shown] = port_type
            own = {**connection, "binding": binding.name.text, "operation": name}
            findings: tuple[SourceFinding, ...] = ()
            if not address:
                findings = (found("soap.address_missing", mended.title, name=port),)
            try:
                request, answer = shapes.of_request(operation.input), shapes.of_answer(operation.output)
            except (AttributeError, TypeError, KeyError, RecursionError, AssertionError) as exc:
                yield _unusable(shown, mended, own, exc)
                continue
            yield Operation(shown, mended.about.get(name, ""), request, answer, own, findings)


def _unusable(name: str, mended: Mended, connection: dict[str, JsonValue], exc: Exception) -> Operation:
    from adapters.sources import Shape, ShapeType  # noqa: PLC0415

    finding = found("soap.not_loadable", mended.title, reason=f"{type(exc).__name__} {exc}")
    nothing = Shape("request", ShapeType.ANY)
    return Operation(name, mended.about.get(name, ""), nothing, nothing, connection, (finding,))


def _bindings(client: Any) -> Iterator[tuple[str, Any, str]]:
    offered: set[str] = set()
    for service in client.wsdl.services.values():
        for port in service.ports.values():
            if port.binding is not None:
                offered.add(port.binding.name.text)
                yield port.name, port.binding, (port.binding_options or {}).get("address") or ""
    for binding in client.wsdl.bindings.values():
        if binding.name.text not in offered:
            yield binding.name.localname, binding, ""
