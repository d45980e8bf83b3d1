# SPDX-License-Identifier: Apache-2.0
"""A private key that stays in a PKCS#11 token.

Source: OASIS PKCS #11 v3.1 sections 6.1 (RSA) and 6.3 (elliptic curves); RFC 7512 (names).
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any, Never

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11 import MGF, Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_ec_public_key

from hub.custody.tokenaccess import TokenAccess
from hub.errors import TrustError
from hub.trust import ALGORITHMS, Scheme, algorithm_for, algorithms_for, is_signature_valid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
    from pkcs11.types import Key, Session

    from hub.custody.places import TokenPlace
    from hub.custody.secrets import Secret
    from hub.trust import SignatureAlgorithm

_ED25519_OID = bytes.fromhex("06032b6570")
_ED25519_PREFIX = b"\x04\x20"
_PKCS1 = {
    "sha256": Mechanism.SHA256_RSA_PKCS,
    "sha384": Mechanism.SHA384_RSA_PKCS,
    "sha512": Mechanism.SHA512_RSA_PKCS,
}
_PSS = {
    "sha256": (Mechanism.SHA256_RSA_PKCS_PSS, Mechanism.SHA256, MGF.SHA256, 32),
    "sha384": (Mechanism.SHA384_RSA_PKCS_PSS, Mechanism.SHA384, MGF.SHA384, 48),
    "sha512": (Mechanism.SHA512_RSA_PKCS_PSS, Mechanism.SHA512, MGF.SHA512, 64),
}
"""Mechanism, digest, mask generation and octets of salt; the salt is as long as the digest (RFC 4055)."""


class TokenHolder:
    """One key in a token; thread-safe, and back by itself when a token that was away returns.

    Args:
        place: which token and key.
        pin: of the token's user.
        module: the PKCS#11 library, unless the place names one.

    Raises:
        TrustError: `trust.token_unavailable`, `trust.token_pin_refused`, `trust.token_pin_locked`;
            `trust.key_unusable` when the token has no such key, the key could be taken out of it, or no
            allowed algorithm fits it; `trust.token_unavailable` also when no module is set.
    """

    def __init__(self, place: TokenPlace, pin: Secret, module: Path | None = None) -> None:
        self._place = place
        self._access = TokenAccess(place, pin, module, what="key pair")
        self._found: tuple[int, Key] | None = None
        self.public_key: PublicKeyTypes = self._access.work(self._read_public_key)
        self._prove()
        self._access.was_open = True

    def signer(self, algorithm: SignatureAlgorithm) -> Callable[[bytes], bytes]:
        """Return what signs in the token with a row of the table; ECDSA comes as DER.

        Its call raises TrustError `trust.token_unavailable` while the token is away, and as on opening.

        Raises:
            TrustError: `trust.key_unusable` when the row does not fit the key, or no token signs with it.
        """
        if algorithm not in algorithms_for(self.public_key, frozenset(ALGORITHMS)):
            raise TrustError("trust.key_unusable", f"{self._place} does not sign with {algorithm.name}")
        parameters = _mechanism(algorithm)
        if algorithm.scheme is not Scheme.ECDSA:
            return lambda data: self._access.work(lambda session: self._sign(session, data, parameters))

        def sign_with_ecdsa(data: bytes) -> bytes:
            digest = hashlib.new(algorithm.digest, data).digest()
            raw = self._access.work(lambda session: self._sign(session, digest, parameters))
            half = len(raw) // 2
            return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))

        return sign_with_ecdsa

    def __repr__(self) -> str:
        return f"<private key {self._place}>"

    def __reduce__(self) -> Never:
        raise TypeError("a private key is not pickled")

    def _sign(self, session: Session, data: bytes, parameters: dict[str, Any]) -> bytes:
        if self._found is None or self._found[0] != self._access.generation:
            self._found = (self._access.generation, self._find_private_key(session))
        key: Any = self._found[1]
        signature: bytes = key.sign(data, **parameters)
        return signature

    def _find_private_key(self, session: Session) -> Key:
        key = self._access.find(session, ObjectClass.PRIVATE_KEY)
        if key[Attribute.EXTRACTABLE] or not key[Attribute.SENSITIVE]:
            raise TrustError("trust.key_unusable", f"{self._place} can be taken out of its token")
        return key

    def _read_public_key(self, session: Session) -> PublicKeyTypes:
        return read_public_key(self._access.find(session, ObjectClass.PUBLIC_KEY))

    def _prove(self) -> None:
        """Sign something nobody can use, and verify it: the public object may be any other key's."""
        algorithm = algorithm_for(self.public_key)
        if algorithm is None:
            raise TrustError("trust.key_unusable", f"no allowed signature algorithm fits {self._place}")
        challenge = b"heliograph key check " + secrets.token_bytes(32)
        signature = self.signer(algorithm)(challenge)
        if not is_signature_valid(self.public_key, algorithm, signature, challenge):
            raise TrustError(
                "trust.key_unusable", f"in the token, {self._place} names two keys that do not fit"
            )


def read_public_key(key: Any) -> PublicKeyTypes:
    """Read a public key object of a token.

    Raises:
        TrustError: `trust.key_unusable` when it is of a kind nobody here knows.
    """
    try:
        if key.key_type is KeyType.EC_EDWARDS:
            return _read_edwards_key(key)
        if key.key_type is KeyType.RSA:
            numbers = rsa.RSAPublicNumbers(
                int.from_bytes(key[Attribute.PUBLIC_EXPONENT], "big"),
                int.from_bytes(key[Attribute.MODULUS], "big"),
            )
            return numbers.public_key()
        return load_der_public_key(encode_ec_public_key(key))
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise TrustError("trust.key_unusable", "the token's public key cannot be read") from exc


def _read_edwards_key(key: Any) -> PublicKeyTypes:
    if key[Attribute.EC_PARAMS] != _ED25519_OID:
        raise ValueError("not Ed25519")
    return ed25519.Ed25519PublicKey.from_public_bytes(key[Attribute.EC_POINT].removeprefix(_ED25519_PREFIX))


def _mechanism(algorithm: SignatureAlgorithm) -> dict[str, Any]:
    match algorithm.scheme:
        case Scheme.ECDSA:
            return {"mechanism": Mechanism.ECDSA}
        case Scheme.EDDSA:
            return {"mechanism": Mechanism.EDDSA}
        case Scheme.PKCS1:
            return {"mechanism": _PKCS1[algorithm.digest]}
        case Scheme.PSS:
            mechanism, *parameters = _PSS[algorithm.digest]
            return {"mechanism": mechanism, "mechanism_param": tuple(parameters)}
        case _:
            raise TrustError("trust.key_unusable", f"no token signs with {algorithm.name} here")
