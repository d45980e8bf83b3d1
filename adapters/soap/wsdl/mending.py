# SPDX-License-Identifier: Apache-2.0
"""A WSDL and all it imports as one sound document, with what had to be repaired on the way.

The files are gathered, their schemas placed in their namespaces, and every name is looked up before anything
is written; what is written names nothing that is not there. So what reads it afterwards needs no other file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.soap.wsdl.definitions import Definitions
from adapters.soap.wsdl.library import Library
from adapters.soap.wsdl.names import WSDL_20, name_of, place_of
from adapters.soap.wsdl.output import Output
from adapters.soap.wsdl.schemas import SchemaSet
from adapters.soap.wsdl.writing import SchemaWriter
from adapters.sources import SourceFinding, found
from hub.errors import Language

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from adapters.soap.catalogue import Catalogue
    from adapters.soap.wsdl.library import Fetch, File
    from adapters.soap.wsdl.names import Name


@dataclass(frozen=True)
class Mended:
    """A sound WSDL.

    Attributes:
        content: the one document; None where there is none to be had.
        target: its namespace.
        title: what the WSDL calls itself.
        about: what it says of each operation.
        codes: the listed values of simple types.
        files: every file that was read, by address or absolute path; the WSDL itself first.
    """

    content: bytes | None
    target: str
    title: str
    about: Mapping[str, str]
    codes: Mapping[Name, tuple[str, ...]]
    files: tuple[str, ...]
    findings: tuple[SourceFinding, ...]


def mend(address: str, fetch: Fetch, catalogue: Catalogue) -> Mended:
    """Read a WSDL.

    Args:
        address: its address or absolute path.
        fetch: loads it and what it imports, from the places that are allowed.
        catalogue: answers for other places.

    Raises:
        OSError: the WSDL itself cannot be read.
        AdapterError: likewise; or a system cannot be reached now, but may be later.
    """
    library = Library(fetch, catalogue)
    root = library.open_root(address)
    if root is None or not _is_wsdl(root, library):
        return Mended(None, "", "", {}, {}, tuple(library.names), tuple(library.findings))
    schemas = SchemaSet(library)
    definitions = Definitions(library, schemas)
    definitions.add(root)
    output = Output()
    writer = SchemaWriter(schemas, output)
    writer.write()
    definitions.write(output, writer)
    writer.write()
    writer.write_made_up()
    title = (root.root.get("name") or "").strip() or root.name
    return Mended(
        content=output.finish(definitions.target),
        target=definitions.target,
        title=title,
        about=definitions.about,
        codes=writer.codes,
        files=tuple(library.names),
        findings=_once((*library.findings, *writer.findings)),
    )


def _once(findings: Iterable[SourceFinding]) -> tuple[SourceFinding, ...]:
    told = {(one.code, one.at, one.message[Language.EN]): one for one in findings}
    return tuple(told.values())


def _is_wsdl(file: File, library: Library) -> bool:
    tag = name_of(file.root)
    at = place_of(file.name, file.root)
    if tag.space == WSDL_20:
        library.findings.append(found("soap.wsdl_20", at))
    elif tag.local != "definitions":
        library.findings.append(found("soap.not_a_wsdl", at, root=tag.local))
    else:
        return True
    return False
