# SPDX-License-Identifier: Apache-2.0
"""SM2 keys that sign and verify with SM3.

A public key is read only from the one form of SubjectPublicKeyInfo that certificates have: id-ecPublicKey,
the curve by name, the point uncompressed. A signature is read only in DER, with both numbers in their range;
so a signature has one form, and unlike in ECDSA there is no second value that verifies.

Source: GB/T 32918.2-2016 (GM/T 0003.2); GM/T 0009-2012 (default user id); GM/T 0015-2012 (certificates).
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Never

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hub.trust.sm2.libcrypto import libcrypto

if TYPE_CHECKING:
    from hub.trust.sm2.libcrypto import Libcrypto

DEFAULT_USER_ID = b"1234567812345678"
"""GM/T 0009-2012 clause 10: used where signer and verifier agreed on none, as in certificates."""

_ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
_SPKI_BEFORE_POINT = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d034200") + b"\x04"
_POINT_BYTES = 64
_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


class _Handle:
    """A key of libcrypto, freed when nobody refers to it any more."""

    __slots__ = ("__weakref__", "address", "library")

    def __init__(self, library: Libcrypto, address: int) -> None:
        self.library = library
        self.address = address
        weakref.finalize(self, library.free_key, address)


class Sm2PublicKey:
    """A public key. Equal keys compare equal. Safe to use from several threads.

    Args:
        spki: SubjectPublicKeyInfo in DER.

    Raises:
        ValueError: it is not the one form of an SM2 key, or its point is not on the curve.
        TrustError: `trust.sm2_unavailable`.
    """

    def __init__(self, spki: bytes) -> None:
        if not is_sm2_spki(spki):
            raise ValueError("not the SubjectPublicKeyInfo of an SM2 key")
        library = libcrypto()
        address = library.read_public_key(spki)
        if address is None:
            raise ValueError("the point of the SM2 key is not on the curve")
        self._spki = spki
        self._handle = _Handle(library, address)

    @property
    def spki(self) -> bytes:
        """The SubjectPublicKeyInfo in DER."""
        return self._spki

    def public_bytes(self, encoding: Encoding, form: PublicFormat) -> bytes:
        """Return the SubjectPublicKeyInfo in DER, asked as the keys of `cryptography` are.

        Raises:
            ValueError: another form is asked for.
        """
        if encoding is not Encoding.DER or form is not PublicFormat.SubjectPublicKeyInfo:
            raise ValueError("an SM2 key is written as SubjectPublicKeyInfo in DER only")
        return self._spki

    def verify(self, signature: bytes, data: bytes, user_id: bytes = DEFAULT_USER_ID) -> bool:
        """Tell whether a signature over `data` holds.

        Args:
            signature: DER of SEQUENCE { r INTEGER, s INTEGER }.
            data: what was signed.
            user_id: the signer's distinguishing identifier.
        """
        if not is_sm2_signature(signature):
            return False
        handle = self._handle
        return handle.library.verify(handle.address, user_id, signature, data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sm2PublicKey) and self._spki == other._spki

    def __hash__(self) -> int:
        return hash(self._spki)


class Sm2PrivateKey:
    """A private key held by libcrypto; it shows itself nowhere. Safe to use from several threads.

    Args:
        pem: encrypted PKCS#8.
        passphrase: of the key.

    Raises:
        ValueError: it is not an encrypted PKCS#8 of an SM2 key, or the passphrase is wrong.
        TrustError: `trust.sm2_unavailable`.
    """

    __slots__ = ("_handle", "_public")

    def __init__(self, pem: bytes, passphrase: bytes) -> None:
        if _ENCRYPTED not in pem:
            raise ValueError("not an encrypted PKCS#8 key in PEM")
        library = libcrypto()
        address = library.read_private_key(pem, passphrase)
        if address is None:
            raise ValueError("not an SM2 key, or the passphrase is wrong")
        self._handle = _Handle(library, address)
        self._public = Sm2PublicKey(library.public_key(address))

    def public_key(self) -> Sm2PublicKey:
        """Return the public half."""
        return self._public

    def sign(self, data: bytes, user_id: bytes = DEFAULT_USER_ID) -> bytes:
        """Sign `data` and return the signature in DER.

        Raises:
            TrustError: `trust.sm2_unavailable` when libcrypto cannot.
        """
        handle = self._handle
        return handle.library.sign(handle.address, user_id, data)

    def __reduce__(self) -> Never:
        raise TypeError("a private key is not pickled")


def is_sm2_spki(spki: bytes) -> bool:
    """Tell whether this is the one form of an SM2 key's SubjectPublicKeyInfo; the point is not looked at."""
    return spki.startswith(_SPKI_BEFORE_POINT) and len(spki) == len(_SPKI_BEFORE_POINT) + _POINT_BYTES


def is_sm2_signature(signature: bytes) -> bool:
    """Tell whether this is DER of two numbers from 1 to n - 1 (GB/T 32918.2 clause 7.1, steps B1 and B2)."""
    try:
        r, s = decode_dss_signature(signature)
    except ValueError:
        return False
    return 0 < r < _ORDER and 0 < s < _ORDER and encode_dss_signature(r, s) == signature
