# SPDX-License-Identifier: Apache-2.0
"""What reading OCSP responses and CRLs has in common: it is done once, and fails in the same ways."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MALFORMED = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises on an answer it cannot read, on some parts only when they are looked at."""

_MOST_BYTES_KEPT = 64 * 1024 * 1024


class ReadOnce(Generic[T]):
    """Remembers what was read out of bytes, the newest first, up to a number of bytes."""

    def __init__(self, read: Callable[[bytes], T]) -> None:
        self._read = read
        self._kept: OrderedDict[bytes, T] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def __call__(self, der: bytes) -> T:
        """Return what stands in the bytes.

        Raises:
            TrustError: `trust.revocation_unknown` when they cannot be read.
        """
        with self._lock:
            kept = self._kept.get(der)
            if kept is not None:
                self._kept.move_to_end(der)
                return kept
        fresh = self._read(der)
        with self._lock:
            if der not in self._kept:
                self._kept[der] = fresh
                self._size += len(der)
                while self._size > _MOST_BYTES_KEPT and len(self._kept) > 1:
                    self._size -= len(self._kept.popitem(last=False)[0])
        return fresh


def generalized_time(value: x509.ExtensionType) -> datetime | None:
    """Read an extension that is one GeneralizedTime (RFC 5280 4.1.2.5.2) and unknown to cryptography."""
    der = value.value if isinstance(value, x509.UnrecognizedExtension) else b""
    if der[:2] != b"\x18\x0f":
        return None
    return datetime.strptime(der[2:].decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
