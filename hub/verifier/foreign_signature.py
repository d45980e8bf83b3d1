# SPDX-License-Identifier: Apache-2.0
"""A CAdES signature of any profile over a manifest: read by our decoder first, else by pyHanko's.

Source: RFC 5652 section 5.6; ETSI EN 319 122-1 clause 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.envelope import verify_cades
from hub.errors import EnvelopeError
from hub.trust import DEFAULT_ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from hub.envelope import Signature
    from hub.trust import SignatureAlgorithm


def verify_foreign_cades(
    signature: bytes, content: bytes, allowed: AbstractSet[SignatureAlgorithm] = DEFAULT_ALGORITHMS
) -> Signature:
    """Check a detached CAdES signature; what its unsigned attributes add is not evaluated.

    Args:
        signature: CMS in DER.
        content: what was signed.
        allowed: the rows of the table of algorithms that the policy for envelopes allows.

    Raises:
        EnvelopeError: `signature_malformed`, `certificate_binding_invalid`, `algorithm_not_allowed`,
            `digest_mismatch` or `signature_invalid`.
    """
    try:
        return verify_cades(signature, content, allowed)
    except EnvelopeError as exc:
        if exc.code != "envelope.signature_malformed":
            raise
    # Large, and only what others made needs it.
    from hub.verifier.foreign_profiles import verify_any_profile  # noqa: PLC0415 - see above

    try:
        return verify_any_profile(signature, content, allowed)
    except EnvelopeError:
        raise
    except Exception as exc:
        # The parser is lazy: what is wrong with the bytes shows anywhere in its use.
        raise EnvelopeError("envelope.signature_malformed", f"{type(exc).__name__}: {exc}"[:200]) from exc
