# SPDX-License-Identifier: Apache-2.0
"""Whom to believe: certificate chains, revocation, time, and the list of approved authorities."""

from hub.trust.algorithms import (
    SignatureAlgorithm,
    algorithm_for,
    is_signature_valid,
    sign,
    signature_digest,
)
from hub.trust.ports import SigningKey

__all__ = [
    "SignatureAlgorithm",
    "SigningKey",
    "algorithm_for",
    "is_signature_valid",
    "sign",
    "signature_digest",
]
