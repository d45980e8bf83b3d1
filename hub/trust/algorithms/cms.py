# SPDX-License-Identifier: Apache-2.0
"""Which row of the table a CMS SignerInfo states.

Source: RFC 5652 section 5.3; RFC 5754 sections 2 and 3; RFC 8419 section 3; RFC 9882 section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.trust.algorithms.table import RSA_ENCRYPTION, Scheme, identifier

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.trust.algorithms.table import SignatureAlgorithm

_NULL = b"\x05\x00"
_RSA_BY_KEY = frozenset({identifier(RSA_ENCRYPTION, _NULL), identifier(RSA_ENCRYPTION)})


def stated_algorithm(
    fitting: Iterable[SignatureAlgorithm], signature: bytes, digest: bytes
) -> SignatureAlgorithm | None:
    """Return the row a SignerInfo states, or None when it states none that the key may sign with.

    Args:
        fitting: the rows the signer's key may sign with.
        signature: AlgorithmIdentifier of the signature, in DER. Other producers may name RSA by rsaEncryption
            (RFC 5754 section 3.2).
        digest: AlgorithmIdentifier of the digest, in DER; its parameters may be absent or NULL (RFC 5754
            section 2).
    """
    for row in fitting:
        is_named = signature == row.identifier or signature in row.read_as_well
        is_by_key = row.scheme is Scheme.PKCS1 and signature in _RSA_BY_KEY
        if (is_named or is_by_key) and digest in {
            identifier(row.digest_oid),
            identifier(row.digest_oid, _NULL),
        }:
            return row
    return None
