# SPDX-License-Identifier: Apache-2.0
"""How the log's texts spell bytes and numbers: one way each, so that a text cannot be changed unnoticed.

Source: RFC 4648 sections 3.5 and 4; C2SP tlog-checkpoint, tlog-witness and tlog-proof ("no leading zeroes").
"""

from __future__ import annotations

import base64
import re

from hub.tlog.merkle import HASH_BYTES

LARGEST_SIZE = 2**64 - 1
"""The largest tree a cosignature can speak of (C2SP tlog-cosignature, `uint64 end`)."""

_NUMBER = re.compile(r"0|[1-9][0-9]{0,19}")


def read_base64(text: str) -> bytes:
    """Read base64 with padding.

    Raises:
        ValueError: it is not, or it is another spelling of the same bytes.
    """
    # The last character may carry bits that are not used; they must be zero, so that bytes have one spelling.
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("not canonical base64")
    return raw


def read_hash(text: str) -> bytes:
    """Read the base64 of a SHA-256 digest.

    Raises:
        ValueError: it is anything else.
    """
    raw = read_base64(text)
    if len(raw) != HASH_BYTES:
        raise ValueError(f"not {HASH_BYTES} bytes long")
    return raw


def read_number(text: str) -> int:
    """Read a tree's size or an entry's index: ASCII decimal, no leading zeroes, at most 2^64 - 1.

    Raises:
        ValueError: it is anything else.
    """
    if not _NUMBER.fullmatch(text) or int(text) > LARGEST_SIZE:
        raise ValueError("not a plain number")
    return int(text)


def write_base64(raw: bytes) -> str:
    """Write bytes as base64."""
    return base64.b64encode(raw).decode()
