# SPDX-License-Identifier: Apache-2.0
"""The file of a key's certificates: replaced whole, with the one before kept beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.custody.held import read_chain
from hub.custody.privatefiles import write_private_file
from hub.errors import TrustError

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

    from hub.custody.answers import CheckedAnswer

_FOR_EVERYBODY = 0o644


def previous_of(chain: Path) -> Path:
    """Return where the certificates are kept that were there before."""
    return chain.with_name(f"{chain.name}.previous")


def write_chain(path: Path, answer: CheckedAnswer) -> bool:
    """Put an answer in the place of the certificates that are there, and keep those.

    Returns:
        Whether there were any.

    Raises:
        TrustError: `trust.key_unusable` when they cannot be written; the old ones are then in place.
    """
    try:
        was_there = path.exists()
        if was_there:
            _write(previous_of(path), path.read_bytes())
        _write(path, answer.as_pem())
    except OSError as exc:
        raise TrustError("trust.key_unusable", f"the chain file {path.name} cannot be written") from exc
    return was_there


def undo_chain(path: Path) -> tuple[x509.Certificate, ...]:
    """Put the certificates back that were there before; those that gave way are kept in their place.

    Raises:
        TrustError: `trust.key_unusable` when nothing is kept, or it cannot be written.
    """
    kept = previous_of(path)
    chain = read_chain(kept)
    try:
        before, now = kept.read_bytes(), path.read_bytes()
        _write(path, before)
        _write(kept, now)
    except OSError as exc:
        raise TrustError("trust.key_unusable", f"the chain file {path.name} cannot be put back") from exc
    return chain


def _write(path: Path, content: bytes) -> None:
    write_private_file(path, content, replaces=True, mode=_FOR_EVERYBODY)
