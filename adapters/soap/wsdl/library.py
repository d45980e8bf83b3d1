# SPDX-License-Identifier: Apache-2.0
"""The files a WSDL is made of: opened once each, from its place or from the catalogue, and parsed."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote, urljoin, urlsplit

from adapters.soap.wsdl.parsing import parse_file
from adapters.sources import Severity, SourceFinding, found
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml import etree

    from adapters.soap.catalogue import Catalogue

_MOST_FILES = 500
_MOST_BYTES = 60_000_000
_FOLDERS_UP = 6

Fetch: TypeAlias = Callable[[str], bytes]
"""Returns what an address or an absolute path holds; raises OSError or AdapterError."""


@dataclass(frozen=True)
class File:
    """One file of a WSDL.

    Attributes:
        address: its address or absolute path; what it imports is relative to that.
        name: what it is called in findings.
    """

    address: str
    name: str
    root: etree._Element


class Library:
    """Opens files.

    Args:
        fetch: loads from the places that are allowed.
        catalogue: answers for other places.
    """

    def __init__(self, fetch: Fetch, catalogue: Catalogue) -> None:
        self.findings: list[SourceFinding] = []
        self.names: list[str] = []
        self._fetch = fetch
        self._catalogue = catalogue
        self._files: dict[str, File | None] = {}
        self._bytes = 0

    def open_root(self, address: str) -> File | None:
        """Open the WSDL itself.

        Raises:
            OSError: it cannot be read.
            AdapterError: likewise.
        """
        return self._parse(address, self._fetch(address))

    def open(self, location: str, *, base: File, namespace: str, at: str) -> File | None:
        """Open what a file imports; None where it is not to be had, which is found.

        Args:
            location: as the import says it; empty where it says none.
            base: the importing file.
            namespace: what the import says it brings.
            at: where the import stands.

        Raises:
            AdapterError: a system cannot be reached now, but may be later.
        """
        address = absolute(location, base.address) if location else f"urn:namespace:{namespace}"
        if address not in self._files:
            content = self._content(location, address, base, namespace, at)
            self._files[address] = None
            if content is not None:
                self._files[address] = self._parse(address, content)
        return self._files[address]

    def _content(self, location: str, address: str, base: File, namespace: str, at: str) -> bytes | None:
        if len(self._files) >= _MOST_FILES or self._bytes > _MOST_BYTES:
            self.findings.append(found("soap.too_many_files", at, files=_MOST_FILES, limit=_MOST_BYTES))
            return None
        shown = location or namespace
        try:
            listed = self._catalogue.addresses.get(location) or self._catalogue.addresses.get(address)
            if listed is not None:
                return listed.read_bytes()
            if location:
                return self._fetch(address)
            reason = "no place is said"
        except OSError as exc:
            reason = exc.strerror or str(exc) or type(exc).__name__
        except AdapterError as exc:
            if exc.is_retryable:
                raise
            reason = exc.detail
        return self._replacement(location, base, namespace, at, shown, reason)

    def _replacement(  # noqa: PLR0913, PLR0917 - the facts of one import
        self, location: str, base: File, namespace: str, at: str, shown: str, reason: str
    ) -> bytes | None:
        try:
            content = self._catalogue.find(location, namespace)
        except OSError:
            content = None
        if content is not None:
            if location:
                self.findings.append(found("soap.import_from_catalogue", at, location=shown))
            return content
        for address in _elsewhere(location, base.address):
            try:
                content = self._fetch(address)
            except (OSError, AdapterError):
                continue
            self.findings.append(found("soap.import_beside", at, location=shown, file=_file_name(address)))
            return content
        if location:
            self.findings.append(found("soap.import_missing", at, location=shown, reason=reason))
        return None

    def _parse(self, address: str, content: bytes) -> File | None:
        self._bytes += len(content)
        name = _file_name(address) or address
        parsed = parse_file(content, name)
        if parsed.root is None and self._files:
            # What one import is unreadable for is no reason to give up the whole.
            self.findings += [_softened(finding) for finding in parsed.findings]
        else:
            self.findings += parsed.findings
        self.names.append(address)
        return None if parsed.root is None else File(address, name, parsed.root)


def absolute(location: str, base: str) -> str:
    """Return a location against the address or path of the file that names it."""
    location = location.strip().replace("\\", "/")
    if urlsplit(location).scheme in {"http", "https", "file"}:
        return location
    if urlsplit(base).scheme in {"http", "https", "file"}:
        return urljoin(base, location)
    return posixpath.normpath(posixpath.join(Path(base).parent.as_posix(), unquote(location)))


def _elsewhere(location: str, base: str) -> Iterator[str]:
    """Yield where a file may lie that is not where it should: beside, or below a folder further up."""
    name = _file_name(location)
    if not name:
        return
    wanted = absolute(location, base)
    if absolute(name, base) != wanted:
        yield absolute(name, base)
    if (
        "://" not in location
        and "://" not in base
        and "/" in location
        and not location.startswith(("/", "."))
    ):
        for number in range(1, _FOLDERS_UP + 1):
            yield absolute("../" * number + location, base)


def _file_name(location: str) -> str:
    parts = urlsplit(location)
    return PurePosixPath(unquote(parts.path)).name or parts.netloc


def _softened(finding: SourceFinding) -> SourceFinding:
    if finding.severity is not Severity.ERROR:
        return finding
    return SourceFinding(finding.code, Severity.WARNING, finding.at, finding.message, finding.cure)
