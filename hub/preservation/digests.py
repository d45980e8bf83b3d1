# SPDX-License-Identifier: Apache-2.0
"""The digests of evidence records: which there are, and until when each may be relied on.

Source: RFC 5754 section 2 (identifiers); ETSI TS 119 312 clause 5 (which of them to use).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier  # noqa: TC002 - read at run time by the decoder

from hub.envelope import tlv
from hub.errors import EnvelopeError
from hub.trust import DIGEST_BYTES, DIGEST_OIDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

DEFAULT_DIGEST = "sha256"
"""What hash trees are built with unless they are renewed with another."""


@asn1.sequence
class AlgorithmIdentifier:
    """RFC 5280 section 4.1.1.2, of a digest: no parameters, or NULL."""

    algorithm: ObjectIdentifier
    parameters: asn1.Null | None


@dataclass(frozen=True)
class DigestEnds:
    """Until when digests may be relied on.

    Attributes:
        ends: by `hashlib` name, UTC, the first instant a digest is no longer relied on. One that is not named
            has no end that anybody has set; a digest without a row in the table is never relied on.
    """

    ends: Mapping[str, datetime] = field(default_factory=lambda: MappingProxyType({}))

    def require(self, digest: str, at: datetime) -> None:
        """Refuse a digest that may not be relied on at an instant.

        Raises:
            EnvelopeError: `envelope.algorithm_not_allowed`.
        """
        end = self.ends.get(digest)
        if digest not in DIGEST_BYTES or (end is not None and at >= end):
            detail = f"{digest} is not relied on at {at.isoformat()}"
            raise EnvelopeError("envelope.algorithm_not_allowed", detail)


NO_ENDS = DigestEnds()
"""No digest of the table ends."""


def digest_of(digest: str, data: bytes) -> bytes:
    """Digest data with an algorithm of the table, by its `hashlib` name."""
    return hashlib.new(digest, data).digest()


def write_digest(digest: str) -> bytes:
    """Write the AlgorithmIdentifier of a digest, parameters absent (RFC 5754 section 2)."""
    return tlv(0x30, asn1.encode_der(DIGEST_OIDS[digest]))


def read_digest(identifier: bytes) -> str:
    """Return the `hashlib` name of an AlgorithmIdentifier in DER.

    Raises:
        EnvelopeError: `envelope.algorithm_not_allowed`: the table has no such digest.
        ValueError: it is none.
    """
    stated = asn1.decode_der(AlgorithmIdentifier, identifier)
    for name, oid in DIGEST_OIDS.items():
        if oid == stated.algorithm:
            return name
    raise EnvelopeError("envelope.algorithm_not_allowed", f"digest {stated.algorithm.dotted_string}")
