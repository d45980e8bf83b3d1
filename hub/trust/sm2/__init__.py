# SPDX-License-Identifier: Apache-2.0
"""SM2 signatures with SM3, by the system's libcrypto; ADR 0012 says why so and not otherwise."""

from hub.trust.sm2.keys import DEFAULT_USER_ID, Sm2PrivateKey, Sm2PublicKey, is_sm2_spki

__all__ = ["DEFAULT_USER_ID", "Sm2PrivateKey", "Sm2PublicKey", "is_sm2_spki"]
