# SPDX-License-Identifier: Apache-2.0
"""Large messages at a gateway: received piece by piece, answered, and large answers handed out in ranges.

    <folder>/in/<SHA-256 of the container>/<payload>    what comes, until it is answered
    <folder>/out/<SHA-256 of the request>/<payload>     what was answered, for two days

Source: docs/protocols/exchange.md sections 13.2 and 13.3.
"""

from __future__ import annotations

import hmac
import secrets
import shutil
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from adapters.arriving import Arriving
from hub.envelope import LargeEnvelope, read_container
from hub.errors import ExchangeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

KEPT_SECONDS = 2 * 86_400.0
"""How long what nobody touches is kept: the hub may be away for a day, and a ticket is good for one."""

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Place:
    """A message that comes in.

    Attributes:
        envelope: as announced and admitted.
        answer: answers it once it is there; takes where its payloads lie.
    """

    envelope: LargeEnvelope
    answer: Callable[[Mapping[str, Path]], bytes]


class LargeDesk:
    """What is on its way in and out; safe to use from several threads.

    Args:
        folder: the desk's own.
    """

    def __init__(self, folder: Path) -> None:
        self._in, self._out = folder / "in", folder / "out"
        self._places: dict[str, Place] = {}
        self._tickets: dict[str, tuple[str, LargeEnvelope]] = {}
        self._arriving: dict[str, Arriving] = {}
        self._busy: set[str] = set()
        self._changed = threading.Condition()

    def admit(self, place: Place) -> int:
        """Make room for a message, or find it as far as it is there; return how many bytes that are."""
        self.sweep()
        sha256 = place.envelope.container_sha256
        with self._changed:
            self._places[sha256] = place
        with self._alone(sha256):
            return self._arrived(place).offset

    def offset(self, sha256: str) -> tuple[int, int]:
        """Return how many bytes of a message are there, and how many it has.

        Raises:
            ExchangeError: `exchange.upload_unknown`.
        """
        place = self._require(sha256)
        with self._alone(sha256):
            return self._arrived(place).offset, place.envelope.size

    @contextmanager
    def receiving(self, sha256: str, offset: int) -> Iterator[Arriving]:
        """Take a message's bytes from an offset on.

        Raises:
            ExchangeError: `exchange.upload_unknown`, `exchange.upload_offset_mismatch`.
        """
        place = self._require(sha256)
        with self._alone(sha256):
            arriving = self._arrived(place)
            if arriving.offset != offset:
                raise ExchangeError("exchange.upload_offset_mismatch", f"{arriving.offset} bytes are there")
            try:
                yield arriving
            except OSError:
                # What is in the files and what was counted may differ; they are read anew.
                self._put_down(sha256)
                raise

    def complete(self, sha256: str) -> bytes:
        """Answer a message that is there.

        Raises:
            ExchangeError: `exchange.upload_unknown`.
            EnvelopeError: it is not complete, or another container.
        """
        place = self._require(sha256)
        with self._alone(sha256):
            arriving = self._arrived(place)
            arriving.finish()
            reply = place.answer(arriving.files)
            self._put_down(sha256)
        with self._changed:
            self._places.pop(sha256, None)
        shutil.rmtree(self._in / sha256, ignore_errors=True)
        return reply

    def take_over(self, request_sha256: str, name: str, file: Path) -> Path:
        """Move a payload of an answer to where it stays until the hub has fetched it."""
        folder = self._out / request_sha256
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = folder / name
        shutil.move(file, target)
        target.chmod(0o600)
        return target

    def offer(self, large: LargeEnvelope, request_sha256: str) -> str:
        """Let an answer be fetched; return the ticket that has to be shown.

        Raises:
            ExchangeError: `exchange.upload_unknown`: its payloads are not here any more.
        """
        folder = self._out / request_sha256
        if not all((folder / name).exists() for name in large.absent_sizes):
            raise ExchangeError("exchange.upload_unknown", "the answer was given up")
        with self._changed:
            known = self._tickets.get(large.container_sha256)
            ticket = known[0] if known else secrets.token_urlsafe(32)
            self._tickets[large.container_sha256] = (ticket, large.kept_as(request_sha256))
        return ticket

    def container(self, sha256: str, ticket: str, start: int) -> tuple[int, Iterator[bytes]]:
        """Return how large an answer's container is, and its bytes from an offset on.

        Raises:
            ExchangeError: `exchange.upload_unknown`: there is none, or not for this ticket.
        """
        with self._changed:
            known, large = self._tickets.get(sha256, ("", None))
        if large is None or not hmac.compare_digest(known.encode(), ticket.encode()):
            raise ExchangeError("exchange.upload_unknown", sha256[:64])
        folder = self._out / large.file
        files = {name: folder / name for name in large.absent_sizes}
        return large.size, read_container(large, files, start)

    def sweep(self) -> None:
        """Remove what nobody has touched for long."""
        oldest = time.time() - KEPT_SECONDS
        for folder in (*self._in.glob("*"), *self._out.glob("*")):
            newest = max((file.stat().st_mtime for file in folder.glob("*")), default=folder.stat().st_mtime)
            if newest < oldest:
                shutil.rmtree(folder, ignore_errors=True)
                self._put_down(folder.name)
                with self._changed:
                    self._places.pop(folder.name, None)
                    self._tickets.pop(folder.name, None)
                _logger.info("large.removed", folder=folder.name)

    def _require(self, sha256: str) -> Place:
        with self._changed:
            place = self._places.get(sha256)
        if place is None:
            raise ExchangeError("exchange.upload_unknown", sha256[:64])
        return place

    def close(self) -> None:
        """Close the files of what is coming in; it goes on after the next start."""
        for sha256 in tuple(self._arriving):
            self._put_down(sha256)

    def _arrived(self, place: Place) -> Arriving:
        """Return what is there of a message; its files are read once by each process."""
        sha256 = place.envelope.container_sha256
        arriving = self._arriving.get(sha256)
        if arriving is None:
            arriving = Arriving(place.envelope, self._in / sha256)
            arriving.open()
            self._arriving[sha256] = arriving
        return arriving

    def _put_down(self, sha256: str) -> None:
        arriving = self._arriving.pop(sha256, None)
        if arriving is not None:
            arriving.close()

    @contextmanager
    def _alone(self, sha256: str) -> Iterator[None]:
        """Let one connection at a time touch a message."""
        with self._changed:
            if not self._changed.wait_for(lambda: sha256 not in self._busy, timeout=30):
                raise ExchangeError("exchange.in_progress", sha256)
            self._busy.add(sha256)
        try:
            yield
        finally:
            with self._changed:
                self._busy.discard(sha256)
                self._changed.notify_all()
