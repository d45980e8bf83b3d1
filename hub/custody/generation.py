# SPDX-License-Identifier: Apache-2.0
"""New keys: in an encrypted file, or made inside a token, which they never leave.

Source: FIPS 186-5 (ECDSA, RSA, EdDSA), FIPS 204 (ML-DSA).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa

from hub.custody.files import open_file_holder, write_key_file
from hub.custody.places import TokenPlace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from hub.custody.held import KeyHolder
    from hub.custody.places import KeyPlace
    from hub.custody.secrets import Secret


class KeyAlgorithm(StrEnum):
    """What kind of key is made."""

    P256 = "p256"
    P384 = "p384"
    P521 = "p521"
    RSA3072 = "rsa3072"
    RSA4096 = "rsa4096"
    ED25519 = "ed25519"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"


_MAKERS: dict[KeyAlgorithm, Callable[[], PrivateKeyTypes]] = {
    KeyAlgorithm.P256: lambda: ec.generate_private_key(ec.SECP256R1()),
    KeyAlgorithm.P384: lambda: ec.generate_private_key(ec.SECP384R1()),
    KeyAlgorithm.P521: lambda: ec.generate_private_key(ec.SECP521R1()),
    KeyAlgorithm.RSA3072: lambda: rsa.generate_private_key(65537, 3072),
    KeyAlgorithm.RSA4096: lambda: rsa.generate_private_key(65537, 4096),
    KeyAlgorithm.ED25519: ed25519.Ed25519PrivateKey.generate,
    KeyAlgorithm.ML_DSA_44: mldsa.MLDSA44PrivateKey.generate,
    KeyAlgorithm.ML_DSA_65: mldsa.MLDSA65PrivateKey.generate,
    KeyAlgorithm.ML_DSA_87: mldsa.MLDSA87PrivateKey.generate,
}


def generate_key(
    place: KeyPlace, algorithm: KeyAlgorithm, secret: Secret, *, module: Path | None = None
) -> KeyHolder:
    """Make a key where nothing is yet, and open it there.

    Args:
        place: a file in a folder that exists, or an object that its token has not.
        algorithm: what kind of key.
        secret: the passphrase of the file, or the token's PIN.
        module: the PKCS#11 library where `place` names none.

    Raises:
        TrustError: `trust.key_exists`; `trust.key_unusable` when the token cannot make such a key or the file
            cannot be written; `trust.token_unavailable`, `trust.token_pin_refused`, `trust.token_pin_locked`.
    """
    if isinstance(place, TokenPlace):
        # The PKCS#11 binding is loaded only where there is a token.
        from hub.custody.tokenkeys import generate_in_token  # noqa: PLC0415

        return generate_in_token(place, algorithm, secret, module)
    passphrase = secret.reveal().encode("utf-8")
    write_key_file(place, _MAKERS[algorithm](), passphrase)
    return open_file_holder(place, passphrase)
