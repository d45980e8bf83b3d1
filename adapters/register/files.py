# SPDX-License-Identifier: Apache-2.0
"""Files that descriptions name, kept by their content: a WSDL, its schemas, an OpenAPI file.

What a version refers to must not change under it, so a set of files lies in a folder that is named by their
SHA-256; the same set is kept once.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.sources import MOST_SOURCE_BYTES
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"(?!\.)[\w.() -]{1,120}")
_MOST_FILES = 200
_DIGITS = 32


@dataclass(frozen=True)
class KeptFiles:
    """A set of files.

    Attributes:
        folder: relative to where descriptions' paths start; `folder/name` is what a description says.
        names: of the files in it.
    """

    folder: str
    names: tuple[str, ...]


class SourceFiles:
    """Keeps files beside the register.

    Args:
        folder: where the paths of registered descriptions start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, files: Mapping[str, bytes]) -> KeptFiles:
        """Keep a set of files that belong together, durably.

        Raises:
            AdapterError: `adapter.configuration_invalid`: a name that is none, too many or too large files.
        """
        if not files or len(files) > _MOST_FILES:
            raise AdapterError("adapter.configuration_invalid", f"files: 1 to {_MOST_FILES}")
        for name in files:
            if not _NAME.fullmatch(name) or name.endswith((" ", ".")):
                raise AdapterError("adapter.configuration_invalid", "files: a name of letters, digits, . - _")
        if sum(map(len, files.values())) > MOST_SOURCE_BYTES:
            raise AdapterError("adapter.configuration_invalid", f"files: more than {MOST_SOURCE_BYTES} bytes")
        listing = "".join(f"{_sha256(files[name])}  {name}\n" for name in sorted(files))
        relative = f"sources/{_sha256(listing.encode('utf-8'))[:_DIGITS]}"
        target = self.folder / relative
        if not target.is_dir():
            self._write(target, files)
        return KeptFiles(relative, tuple(sorted(files)))

    def path(self, relative: str) -> Path:
        """Return where a kept file is.

        Raises:
            AdapterError: `adapter.configuration_invalid`: it is none of these.
        """
        place = (self.folder / relative).resolve()
        if not place.is_relative_to((self.folder / "sources").resolve()) or not place.is_file():
            raise AdapterError("adapter.configuration_invalid", "files: no such file was kept")
        return place

    def _write(self, target: Path, files: Mapping[str, bytes]) -> None:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Written elsewhere and renamed: a folder that is there is complete.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as made:
            unfinished = Path(made) / "files"
            unfinished.mkdir(mode=0o700)
            for name, content in files.items():
                with (unfinished / name).open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            try:
                unfinished.rename(target)
            except OSError as error:
                if not target.is_dir():
                    raise AdapterError("adapter.configuration_invalid", "files: cannot be kept") from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
