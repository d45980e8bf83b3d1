# SPDX-License-Identifier: Apache-2.0
"""A container as it comes in, piece by piece: the first byte that is not as announced is refused."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from zlib import crc32

from hub.envelope.container import FOLDER
from hub.envelope.zipform import Hole
from hub.errors import EnvelopeError

if TYPE_CHECKING:
    from hub.envelope.large import LargeEnvelope


class Intake:
    """Takes a container's bytes in order, and refuses the first that is not as announced."""

    def __init__(self, envelope: LargeEnvelope) -> None:
        self._layout = envelope.layout
        self._stated = envelope.stated_sha256
        self._digests = {FOLDER + entry.name: entry.sha256 for entry in envelope.header.payload}
        self._whole = hashlib.sha256()
        self._part = hashlib.sha256()
        self._checksum = 0
        self._number = 0
        self._done = 0
        self.offset = 0
        """How many bytes were taken."""

    def take(self, content: bytes | memoryview) -> None:
        """Take the next bytes.

        Raises:
            EnvelopeError: `payload_mismatch`, `zip_checksum_mismatch` or `zip_not_canonical`: they are not
                those announced. Nothing more can be taken.
        """
        rest = memoryview(content)
        while rest:
            if self._number == len(self._layout):
                raise EnvelopeError("envelope.too_large", "more bytes than were announced")
            piece = self._layout[self._number]
            length = piece.size if isinstance(piece, Hole) else len(piece)
            some = rest[: length - self._done]
            if isinstance(piece, Hole):
                self._part.update(some)
                self._checksum = crc32(some, self._checksum)
            elif some != memoryview(piece)[self._done : self._done + len(some)]:
                raise EnvelopeError("envelope.zip_not_canonical", f"after byte {self.offset}")
            self._whole.update(some)
            self.offset += len(some)
            self._done += len(some)
            rest = rest[len(some) :]
            self._pass_ends()

    def finish(self) -> None:
        """Hold the whole to its digest.

        Raises:
            EnvelopeError: `payload_mismatch`: it is another container, or not there to its end.
        """
        self._pass_ends()
        if self._number < len(self._layout):
            raise EnvelopeError("envelope.payload_mismatch", f"it ends after {self.offset} bytes")
        if self._whole.hexdigest() != self._stated:
            raise EnvelopeError("envelope.announcement_invalid", "the container has another SHA-256")

    def _pass_ends(self) -> None:
        """Go on to the next piece; an empty payload ends where it begins."""
        while self._number < len(self._layout):
            piece = self._layout[self._number]
            if self._done < (piece.size if isinstance(piece, Hole) else len(piece)):
                return
            if isinstance(piece, Hole):
                if self._part.hexdigest() != self._digests[piece.name]:
                    raise EnvelopeError("envelope.payload_mismatch", f"{piece.name}: SHA-256")
                if self._checksum != piece.crc32:
                    raise EnvelopeError("envelope.zip_checksum_mismatch", piece.name)
                self._part, self._checksum = hashlib.sha256(), 0
            self._number, self._done = self._number + 1, 0
