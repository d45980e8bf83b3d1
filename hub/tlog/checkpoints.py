# SPDX-License-Identifier: Apache-2.0
"""A checkpoint's text: which log, how many entries, which root.

Source: C2SP tlog-checkpoint, "Note text".
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.errors import LogError
from hub.tlog.merkle import EMPTY_ROOT, HASH_BYTES
from hub.tlog.spelling import read_base64, read_number, write_base64


@dataclass(frozen=True)
class Checkpoint:
    """The log's statement: at this size, this is the root.

    Attributes:
        origin: the log's name, for example `hub.chenghua.example/log`; others may hold spaces.
        size: the number of entries.
        root: 32 bytes.
        extensions: further lines; the hub writes none, and nobody may rely on them: some signatures do not
            cover them.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def to_text(self) -> str:
        """Write the text a note signs."""
        lines = (self.origin, str(self.size), write_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def from_text(cls, text: str) -> Checkpoint:
        """Read a checkpoint's text.

        Raises:
            LogError: `log.checkpoint_invalid`.
        """
        *lines, rest = text.split("\n")
        if rest or len(lines) < 3 or "" in lines:
            raise LogError("log.checkpoint_invalid", "a checkpoint has three lines or more, none empty")
        origin, size, root, *extensions = lines
        try:
            number = read_number(size)
        except ValueError as exc:
            raise LogError("log.checkpoint_invalid", "the checkpoint's size is not a number") from exc
        try:
            raw_root = read_base64(root)
        except ValueError as exc:
            raise LogError("log.checkpoint_invalid", "the checkpoint's root is not base64") from exc
        return cls(origin, number, raw_root, tuple(extensions))

    def require_root(self) -> None:
        """Refuse a root that no tree of this size can have.

        Raises:
            LogError: `log.checkpoint_invalid`.

        Source: RFC 6962 section 2.1.
        """
        if len(self.root) != HASH_BYTES:
            detail = f"the checkpoint's root is not {HASH_BYTES} bytes long"
            raise LogError("log.checkpoint_invalid", detail)
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise LogError("log.checkpoint_invalid", "the empty tree has another root")


@dataclass(frozen=True)
class SignedCheckpoint:
    """A checkpoint and the note that signs it."""

    checkpoint: Checkpoint
    note: str
