# SPDX-License-Identifier: Apache-2.0
"""Whom to believe: certificate chains, revocation, time, and the list of approved authorities."""

from hub.trust.algorithms import (
    SignatureAlgorithm,
    algorithm_for,
    is_signature_valid,
    sign,
    signature_digest,
)
from hub.trust.names import describe, member_of_certificate
from hub.trust.ports import SigningKey
from hub.trust.signing import load_signing_key

__all__ = [
    "SignatureAlgorithm",
    "SigningKey",
    "algorithm_for",
    "describe",
    "is_signature_valid",
    "load_signing_key",
    "member_of_certificate",
    "sign",
    "signature_digest",
]
