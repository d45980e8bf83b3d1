# SPDX-License-Identifier: Apache-2.0
"""The log's head: a file outside the database that remembers the last checkpoint the hub signed.

A database that is put back to an older state looks sound from within. Signing with it would give the sizes
that were published already a second tree. So the head is written, and flushed to the disk, before the
checkpoint it holds is stored or shown to anybody, and a database that does not hold what the head says is
refused. The file holds the signed checkpoint as it was published.

Source: C2SP tlog-checkpoint: a log signs no checkpoint inconsistent with one it signed before.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hub.errors import LogError
from hub.tlog import SignedCheckpoint, open_checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hub.tlog import VerifierKey


class LogHead:
    """The file of one log.

    Args:
        path: of the file; its folder must be there.
        verifiers: the keys that signed this log's checkpoints.
        origin: the log's name.
        former_origins: names the log no longer has. A head of such a name binds nobody: the log was declared
            anew, and its file is put aside.
    """

    def __init__(
        self, path: Path, verifiers: Sequence[VerifierKey], origin: str, former_origins: Sequence[str] = ()
    ) -> None:
        self.path = path
        self._verifiers = verifiers
        self._origin = origin
        self._former_origins = former_origins

    def read(self) -> SignedCheckpoint | None:
        """Return the last checkpoint, or None before the first.

        Raises:
            LogError: `log.head_invalid`: the file is not one this log wrote.
        """
        try:
            note = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as exc:
            raise LogError("log.head_invalid", f"{self.path.name} cannot be read") from exc
        refusal: LogError | None = None
        for origin in (self._origin, *self._former_origins):
            try:
                signed = open_checkpoint(note, self._verifiers, origin=origin)
            except LogError as exc:
                refusal = exc
            else:
                return signed if origin == self._origin else None
        raise LogError("log.head_invalid", f"{self.path.name}: {refusal.detail if refusal else ''}")

    def keep(self, signed: SignedCheckpoint) -> None:
        """Remember a checkpoint; when this returns, it survives a power cut. Never goes back.

        Raises:
            LogError: `log.forked`: the file holds another root for this size; `log.head_invalid`.
        """
        held = self.read()
        if held is not None:
            if held.checkpoint.size > signed.checkpoint.size or held == signed:
                return
            if held.checkpoint.size == signed.checkpoint.size:
                raise LogError("log.forked", f"another tree of {signed.checkpoint.size} entries was signed")
        elif self.path.exists():
            self._put_aside()
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        with draft.open("w", encoding="utf-8") as file:
            file.write(signed.note)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
        _flush_folder(self.path.parent)

    def _put_aside(self) -> None:
        """Keep the head of the log's former name: it shows what was published under it."""
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.former-{number}")).exists():
            number += 1
        self.path.rename(aside)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
