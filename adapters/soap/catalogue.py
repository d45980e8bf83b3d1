# SPDX-License-Identifier: Apache-2.0
"""Schemas that answer for addresses: files a department keeps, and the well-known ones everybody imports.

The files of `adapters/soap/schemas` are this project's own wording of what those namespaces define, as far as
the interfaces of departments use it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TARGET = re.compile(rb"""targetNamespace\s*=\s*["']([^"'<&]{1,2000})["']""")
_SUFFIXES = frozenset({".xsd", ".wsdl", ".xml"})
_HEAD_BYTES = 20_000


@dataclass(frozen=True)
class Catalogue:
    """Where imports are answered from in place of the network.

    Attributes:
        addresses: the file that stands for an address.
        folders: folders of schemas, found by namespace or by the address's last part.
    """

    addresses: Mapping[str, Path] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()

    def find(self, address: str, namespace: str) -> bytes | None:
        """Return what answers an import, or None.

        Args:
            address: as the import says it; empty where it says none.
            namespace: of what is imported; empty where that is not said.

        Raises:
            OSError: a file of the catalogue cannot be read.
        """
        if address in self.addresses:
            return self.addresses[address].read_bytes()
        if namespace and namespace in self._by_namespace:
            return self._by_namespace[namespace].read_bytes()
        file = PurePosixPath(unquote(urlsplit(address).path)).name
        if file and file in self._by_name:
            return self._by_name[file].read_bytes()
        return well_known().get(namespace) or well_known().get(address)

    @cached_property
    def _by_name(self) -> Mapping[str, Path]:
        return {path.name: path for path in self._files}

    @cached_property
    def _by_namespace(self) -> Mapping[str, Path]:
        found: dict[str, Path] = {}
        for path in self._files:
            with path.open("rb") as file:
                match = _TARGET.search(file.read(_HEAD_BYTES))
            if match and path.suffix.lower() == ".xsd":
                found.setdefault(match[1].decode("utf-8", errors="replace"), path)
        return found

    @cached_property
    def _files(self) -> tuple[Path, ...]:
        return tuple(
            path
            for folder in self.folders
            for path in sorted(folder.iterdir())
            if path.is_file() and path.suffix.lower() in _SUFFIXES
        )


@cache
def well_known() -> Mapping[str, bytes]:
    """Return the schemas that come along, by namespace."""
    folder = resources.files("adapters.soap") / "schemas"
    schemas: dict[str, bytes] = {}
    for file in folder.iterdir():
        if file.name.endswith(".xsd"):
            content = file.read_bytes()
            match = _TARGET.search(content)
            if match:
                schemas[match[1].decode()] = content
    return schemas
