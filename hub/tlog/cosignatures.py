# SPDX-License-Identifier: Apache-2.0
"""Cosignatures: a witness's statement of when it saw a checkpoint, and that the log only grew until then.

    type   key         what is signed                                             extension lines
    0x04   Ed25519     a header, the time, and the checkpoint's whole text        covered
    0x06   ML-DSA-44   witness, time, origin, first and last entry, root          not covered

Source: C2SP tlog-cosignature; FIPS 204 (ML-DSA-44, with an empty context).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from hub.errors import LogError
from hub.tlog.checkpoints import Checkpoint
from hub.tlog.merkle import EMPTY_ROOT, HASH_BYTES
from hub.tlog.spelling import LARGEST_SIZE

LATEST_TIMESTAMP = 2**63 - 1
"""Seconds since 1970; no cosignature may state a later time."""

LONGEST_NAME = 255
"""Bytes of a cosigner's name and of an origin that a subtree message can hold."""

_TIMESTAMP_BYTES = 8
_LABEL = b"subtree/v1\n\x00"
_LATEST_INSTANT = datetime.max.replace(tzinfo=UTC)


def ed25519_message(text: str, timestamp: int) -> bytes:
    """Return what an Ed25519 cosigner signs.

    Args:
        text: the checkpoint's, with every line of it.
        timestamp: seconds since 1970.

    Raises:
        LogError: `log.checkpoint_invalid`: the text is no checkpoint.

    Source: C2SP tlog-cosignature, "Ed25519 signed message".
    """
    Checkpoint.from_text(text)
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


@dataclass(frozen=True, kw_only=True)
class SubtreeStatement:
    """What an ML-DSA-44 cosigner states about the entries from `start` up to but without `end`.

    Attributes:
        cosigner: its name, 1 to 255 bytes of UTF-8.
        timestamp: seconds since 1970; 0 when it does not say that this was the largest tree it had seen.
        origin: the log's, 1 to 255 bytes of UTF-8.
        start: 0 for a checkpoint; else `timestamp` must be 0.
        end: for a checkpoint its size.
        root: 32 bytes.

    Raises:
        ValueError: there can be no such statement.
    """

    cosigner: str
    timestamp: int
    origin: str
    start: int
    end: int
    root: bytes

    def __post_init__(self) -> None:
        if not all(1 <= len(name.encode()) <= LONGEST_NAME for name in (self.cosigner, self.origin)):
            raise ValueError(f"a cosigner's name and an origin have 1 to {LONGEST_NAME} bytes")
        if not 0 <= self.timestamp <= LATEST_TIMESTAMP or not 0 <= self.start <= self.end <= LARGEST_SIZE:
            raise ValueError("a time or a number of entries is out of bounds")
        if self.start and self.timestamp:
            raise ValueError("only a tree that starts with entry 0 is cosigned with a time")
        if len(self.root) != HASH_BYTES or (self.start == self.end and self.root != EMPTY_ROOT):
            raise ValueError("no such tree has this root")

    @classmethod
    def of(cls, checkpoint: Checkpoint, cosigner: str, timestamp: int) -> SubtreeStatement:
        """Return what cosigning a checkpoint states."""
        return cls(
            cosigner=cosigner,
            timestamp=timestamp,
            origin=checkpoint.origin,
            start=0,
            end=checkpoint.size,
            root=checkpoint.root,
        )

    def message(self) -> bytes:
        """Return what is signed.

        Source: C2SP tlog-cosignature, "ML-DSA-44 signed message".
        """
        cosigner, origin = self.cosigner.encode(), self.origin.encode()
        return b"".join(
            (
                _LABEL,
                len(cosigner).to_bytes(1, "big") + cosigner,
                self.timestamp.to_bytes(8, "big"),
                len(origin).to_bytes(1, "big") + origin,
                self.start.to_bytes(8, "big"),
                self.end.to_bytes(8, "big"),
                self.root,
            )
        )


def split_timestamp(signature: bytes) -> tuple[int, bytes]:
    """Split a cosignature into its time and the signature proper.

    Raises:
        ValueError: it is too short, or its time too late.
    """
    if len(signature) <= _TIMESTAMP_BYTES:
        raise ValueError("a cosignature starts with a time")
    timestamp = int.from_bytes(signature[:_TIMESTAMP_BYTES], "big")
    if timestamp > LATEST_TIMESTAMP:
        raise ValueError("a cosignature's time is out of bounds")
    return timestamp, signature[_TIMESTAMP_BYTES:]


def join_timestamp(timestamp: int, signature: bytes) -> bytes:
    """Join what `split_timestamp` split."""
    return timestamp.to_bytes(_TIMESTAMP_BYTES, "big") + signature


def instant_of(timestamp: int) -> datetime:
    """Return the instant a timestamp names; what lies after the year 9999 is its last instant."""
    try:
        return datetime.fromtimestamp(timestamp, UTC)
    except (ValueError, OverflowError, OSError):
        return _LATEST_INSTANT


def timestamp_of(instant: datetime) -> int:
    """Return the whole seconds since 1970.

    Raises:
        LogError: `log.checkpoint_invalid`: it is before 1970.
    """
    seconds = int(instant.timestamp())
    if seconds < 0:
        raise LogError("log.checkpoint_invalid", "a cosignature's time lies before 1970")
    return seconds
