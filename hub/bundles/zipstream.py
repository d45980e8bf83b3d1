# SPDX-License-Identifier: Apache-2.0
"""A ZIP file written member by member, handed on as it grows; nothing of it stays but its directory.

Python's own writer goes back to a member's header when the member is written. Here a member is held until
that is done, and then given away, so headers state sizes and checksums and no reader needs data descriptors.

Source: APPNOTE.TXT 6.3.9 sections 4.3 and 4.5.3 (ZIP64).
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_EARLIEST = (1980, 1, 1, 0, 0, 0)
_LEVEL = 6


@dataclass(frozen=True)
class FileDigest:
    """What `bundle.json` says of a member."""

    sha256: str
    size: int


class _Outlet(io.RawIOBase):
    """A file that only ever grows: what was taken from it is gone, and its positions go on."""

    def __init__(self) -> None:
        super().__init__()
        self._begin = 0
        self._held = io.BytesIO()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._begin + self._held.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET:
            if offset < self._begin:
                raise io.UnsupportedOperation("that part was given away")
            self._held.seek(offset - self._begin)
        else:
            self._held.seek(offset, whence)
        return self.tell()

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # zipfile gives bytes only
        return self._held.write(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        content = self._held.getvalue()
        self._begin += len(content)
        self._held = io.BytesIO()
        return content


class ZipStream:
    """A ZIP file that is given away while it is written.

    Args:
        made_at: UTC; the date of every member.
    """

    def __init__(self, made_at: datetime) -> None:
        self._outlet = _Outlet()
        self._zip = zipfile.ZipFile(self._outlet, "w", allowZip64=True)
        self._date = max(_EARLIEST, made_at.timetuple()[:6])
        self._digests: dict[str, FileDigest] = {}

    @property
    def digests(self) -> dict[str, FileDigest]:
        """What was written so far, by name."""
        return dict(self._digests)

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, name: str, content: bytes) -> bytes:
        """Write a member and return the bytes by which the file grew.

        Raises:
            ValueError: the name was written before.
        """
        if name in self._digests:
            raise ValueError(f"{name} is in the bundle already")
        info = zipfile.ZipInfo(name, self._date)
        info.external_attr = 0o644 << 16
        # The members of a container are stored, so the container itself is worth deflating.
        info.compress_type = zipfile.ZIP_STORED if name.endswith(".pdf") else zipfile.ZIP_DEFLATED
        self._zip.writestr(info, content, compresslevel=_LEVEL)
        self._digests[name] = FileDigest(hashlib.sha256(content).hexdigest(), len(content))
        return self._outlet.take()

    def finish(self) -> bytes:
        """Write the directory and return the last bytes."""
        self._zip.close()
        return self._outlet.take()
