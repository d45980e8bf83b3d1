# SPDX-License-Identifier: Apache-2.0
"""A container too large for memory as it arrives: its large payloads go into files, every byte is checked.

All other bytes follow from the announcement, so only the payloads are kept, each in a file of its own, by its
name. How far they have come tells where the container goes on.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from io import FileIO
from typing import TYPE_CHECKING

from hub.envelope import Intake, payload_offsets, read_pieces
from hub.errors import EnvelopeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hub.envelope import LargeEnvelope


class Arriving:
    """Takes a container's bytes from where an earlier connection was cut off; one thread at a time.

    Args:
        envelope: as announced.
        folder: of its payloads, its own.
    """

    def __init__(self, envelope: LargeEnvelope, folder: Path) -> None:
        self.envelope = envelope
        self._folder = folder
        self._opened = ExitStack()
        self._writing: dict[str, FileIO] = {}
        self._intake = Intake(envelope)
        starts = payload_offsets(envelope)
        sizes = envelope.absent_sizes
        self._spans = [(starts[name], starts[name] + sizes[name], name) for name in starts]

    def open(self) -> None:
        """Read once what is there."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            for piece in self._there():
                self._intake.take(piece)
        except EnvelopeError:
            # Nothing of another container is in the way of this one.
            self._restart()

    def close(self) -> None:
        """Close the files."""
        self._opened.close()
        self._writing.clear()

    @property
    def offset(self) -> int:
        """How many bytes of the container are there."""
        return self._intake.offset

    @property
    def files(self) -> Mapping[str, Path]:
        """Where the payloads lie, by name."""
        return {name: self._folder / name for _, _, name in self._spans}

    def take(self, content: bytes) -> None:
        """Take the next bytes.

        Raises:
            EnvelopeError: they are not those announced; the container begins anew.
            OSError: the disk is full, or gone.
        """
        begin = self._intake.offset
        try:
            self._intake.take(content)
        except EnvelopeError:
            self._restart()
            raise
        for start, stop, name in self._spans:
            some = content[max(start - begin, 0) : max(stop - begin, 0)]
            if some:
                self._write(name, some)

    def finish(self) -> None:
        """Hold the whole to its digest; bytes that follow from the announcement need not have come.

        Raises:
            EnvelopeError: it is another container, or not complete.
        """
        layout = self.envelope.layout
        end = layout[-1]
        missing = self.envelope.size - self.offset
        if isinstance(end, bytes) and 0 < missing <= len(end):
            self._intake.take(end[-missing:])
        try:
            self._intake.finish()
        except EnvelopeError:
            if missing <= 0:
                self._restart()
            raise

    def _there(self) -> Iterator[bytes]:
        """Yield the container as far as it is there."""
        for piece in self.envelope.layout:
            if isinstance(piece, bytes):
                yield piece
                continue
            file = self._folder / piece.name.rpartition("/")[2]
            size = file.stat().st_size if file.exists() else 0
            if size > piece.size:
                os.truncate(file, 0)
                return
            yield from read_pieces(file) if size else ()
            if size < piece.size:
                return

    def _restart(self) -> None:
        self._opened.close()
        self._writing.clear()
        for file in self.files.values():
            file.unlink(missing_ok=True)
        self._intake = Intake(self.envelope)

    def _write(self, name: str, content: bytes) -> None:
        if name not in self._writing:
            descriptor = os.open(
                self._folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            self._writing[name] = self._opened.enter_context(FileIO(descriptor, "ab"))
        rest = memoryview(content)
        while rest:
            rest = rest[self._writing[name].write(rest) or 0 :]
