# SPDX-License-Identifier: Apache-2.0
"""Writing a container to its file as it comes in, every byte held to what was announced.

What was taken in is remembered as long as the process lives; another process, or the next start, reads the
file once to be where this one was.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from hub.envelope import Intake
from hub.errors import EnvelopeError, ExchangeError, VaultError
from hub.vault.largefiles import PIECE_BYTES

if TYPE_CHECKING:
    from hub.envelope import LargeEnvelope
    from hub.vault.largefiles import FileWriter
    from hub.vault.service import Vault

_MOST_REMEMBERED = 64


class Incoming:
    """What has been taken in of containers that are coming in; safe to use from several threads."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._intakes: dict[str, Intake] = {}
        self._lock = threading.Lock()

    def size(self, file: str) -> int:
        """Return how many bytes of a container are there."""
        return self._vault.large_size(file)

    def open(self, envelope: LargeEnvelope, offset: int) -> Incomer:
        """Take up a file where it ends.

        Args:
            envelope: as announced, with its file.
            offset: where its sender believes that to be.

        Raises:
            ExchangeError: `exchange.upload_offset_mismatch`: it is elsewhere.
            VaultError: `vault.file_busy`, `vault.storage_full`, `vault.storage_failed`; as `Vault.read`.
        """
        with ExitStack() as opened:
            file = opened.enter_context(self._vault.append_large(envelope.file))
            intake = self._intake(envelope, file)
            _require_same(intake.offset, offset)
            return Incomer(self, envelope, file, intake, opened.pop_all())

    def forget(self, file: str) -> None:
        """Forget what was taken in."""
        with self._lock:
            self._intakes.pop(file, None)

    def remember(self, file: str, intake: Intake) -> None:
        """Remember what was taken in."""
        with self._lock:
            while len(self._intakes) >= _MOST_REMEMBERED:
                del self._intakes[next(iter(self._intakes))]
            self._intakes[file] = intake

    def _intake(self, envelope: LargeEnvelope, file: FileWriter) -> Intake:
        with self._lock:
            known = self._intakes.pop(envelope.file, None)
        if known is not None and known.offset == file.offset:
            return known
        intake = Intake(envelope)
        try:
            for piece in self._vault.read_large(envelope.file, 0, file.offset):
                intake.take(piece)
        except VaultError as exc:
            if exc.code != "vault.damaged":
                raise
            # Torn by a crash before it was on disk; its sender has it still.
            file.truncate(intake.offset - intake.offset % PIECE_BYTES)
            return self._intake(envelope, file)
        except EnvelopeError:
            # Never accepted in this form: a crash came between a write and its check.
            file.truncate(0)
            return Intake(envelope)
        return intake


class Incomer:
    """One connection's bytes on their way into a file; used by one thread at a time."""

    def __init__(
        self,
        incoming: Incoming,
        envelope: LargeEnvelope,
        file: FileWriter,
        intake: Intake,
        opened: ExitStack,
    ) -> None:
        self._incoming = incoming
        self._envelope = envelope
        self._file = file
        self._intake = intake
        self._opened = opened

    @property
    def offset(self) -> int:
        """How many bytes are there."""
        return self._file.offset

    def take(self, content: bytes) -> None:
        """Take the next bytes.

        Raises:
            EnvelopeError: they are not those announced; the file begins anew.
            VaultError: `vault.storage_full`, `vault.storage_failed`; what is on disk stays.
        """
        try:
            self._intake.take(content)
        except EnvelopeError:
            self._file.truncate(0)
            self._intake = Intake(self._envelope)
            raise
        self._file.write(content)

    def finish(self) -> None:
        """Hold the whole to its digest.

        Raises:
            EnvelopeError: it is another container; the file begins anew.
            ExchangeError: `exchange.upload_offset_mismatch`: it is not complete.
        """
        _require_same(self._file.offset, self._envelope.size)
        try:
            self._intake.finish()
        except EnvelopeError:
            self._file.truncate(0)
            self._intake = Intake(self._envelope)
            raise

    def close(self) -> None:
        """Bring to disk what came; twice does no harm."""
        self._opened.close()
        self._incoming.remember(self._envelope.file, self._intake)


def _require_same(there: int, stated: int) -> None:
    if there != stated:
        raise ExchangeError("exchange.upload_offset_mismatch", f"{there} bytes are there, not {stated}")
