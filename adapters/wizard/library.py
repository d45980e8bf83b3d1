# SPDX-License-Identifier: Apache-2.0
"""The files departments come with, kept beside the descriptions that use them; and what they offer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from adapters.sources import Source, found
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from adapters.register.files import SourceFiles
    from hub.pages import Upload

_MAIN_SUFFIXES = {"soap": (".wsdl", ".xml", ".txt"), "rest": (".yaml", ".yml", ".json")}
_WSDL = re.compile(rb"<(?:[\w.-]+:)?(?:definitions|description)[\s>]")
_OPENAPI = re.compile(
    rb"""^\s*\{?\s*["']?(?:openapi|swagger)["']?\s*:|["'](?:openapi|swagger)["']\s*:""", re.MULTILINE
)
_HEAD_BYTES = 65_536


@dataclass(frozen=True)
class Library:
    """The sources of one gateway.

    Attributes:
        files: keeps them.
        readers: what reads the main file of a source, by kind.
    """

    files: SourceFiles
    readers: Mapping[str, Callable[[Path], Source]]

    def keep(self, kind: str, files: Sequence[Upload]) -> str:
        """Keep files that were sent together; returns the main one's path as descriptions name it.

        Raises:
            AdapterError: `adapter.source_refused`: no file, or two of one name;
                `adapter.configuration_invalid`: too large, or a name that is none.
        """
        named = {file.name: file.content for file in files}
        if not named or len(named) != len(files):
            raise AdapterError("adapter.source_refused", "no file, or two of one name")
        kept = self.files.keep(named)
        return f"{kept.folder}/{_main(kind, named)}"

    def read(self, kind: str, path: str) -> Source:
        """Read a source that was kept; what cannot be read of it is told as findings."""
        if not path:
            return Source(kind, "", ())
        try:
            file = self.files.path(path)
        except AdapterError:
            lost = found("source.unreadable", PurePosixPath(path).name, reason="it is gone")
            return Source(kind, "", (), (lost,))
        return self.readers[kind](file)


def _main(kind: str, named: Mapping[str, bytes]) -> str:
    """Tell which file of several is the description itself."""
    suffixes = _MAIN_SUFFIXES.get(kind, ())
    pattern = _WSDL if kind == "soap" else _OPENAPI

    def rank(name: str) -> tuple[bool, int, str]:
        fitting = [place for place, suffix in enumerate(suffixes) if name.lower().endswith(suffix)]
        is_main = pattern.search(named[name][:_HEAD_BYTES]) is not None
        return not is_main, min(fitting, default=len(suffixes)), name

    return min(named, key=rank)
