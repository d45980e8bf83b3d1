# SPDX-License-Identifier: Apache-2.0
"""Files that only their owner may read: how keys and passphrases are read and written.

What a file is and who may read it is asked of the opened file, not of its path, so nobody can change it
between the question and the reading.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import NamedTuple

MOST_BYTES = 64 * 1024


class PrivateFile(NamedTuple):
    """A file's content, and what is wrong with who may reach it; None where nothing is.

    Attributes:
        content: at most `MOST_BYTES`.
        exposure: in English, without the content.
    """

    content: bytes
    exposure: str | None


def read_private_file(path: Path, *, follows_links: bool = False) -> PrivateFile:
    """Read a file and tell whether others could read or change it.

    Its group may read it, as Debian's `ssl-cert` and mounted secrets do; nobody else may, and only the owner
    may write. The owner is this process's user or root.

    Args:
        path: of the file.
        follows_links: whether it may be a symbolic link, as mounted secrets are; a key never is.

    Raises:
        OSError: it cannot be read, or is a link, or is no file.
        ValueError: it is longer than `MOST_BYTES`.
    """
    # Without O_NONBLOCK, opening a pipe somebody put there would wait for ever.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follows_links else os.O_NOFOLLOW)
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path.name} is not a regular file")
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"{path.name} is longer than {MOST_BYTES} bytes")
    return PrivateFile(content, exposure_of(status.st_mode, status.st_uid))


def exposure_of(mode: int, owner: int) -> str | None:
    """Say what is wrong with a file's permissions and owner, or None."""
    if owner not in {0, os.geteuid()}:
        return "it belongs to another user"
    if mode & stat.S_IRWXO:
        return "others may read or change it"
    if mode & stat.S_IWGRP:
        return "its group may change it"
    return None


def write_private_file(path: Path, content: bytes, *, replaces: bool = False, mode: int = 0o600) -> None:
    """Write a file whole or not at all, readable by its owner only.

    It is written beside its place, brought to disk and then moved there, so a crash leaves the old file or
    the new one; a link planted in its place is replaced, never followed.

    Args:
        path: where to; the folder exists.
        content: of the file.
        replaces: whether a file that is there gives way.
        mode: permissions; certificates may be read by everybody.

    Raises:
        FileExistsError: there is one, and it stays.
        OSError: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replaces:
            os.replace(beside, path)  # noqa: PTH105 (the twin of os.link below)
        else:
            # A link is made only where nothing is; renaming would replace.
            os.link(beside, path)
    finally:
        Path(beside).unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
