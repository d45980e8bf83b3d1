# SPDX-License-Identifier: Apache-2.0
"""An EC key in a PKCS#11 token that agrees on secrets and never leaves it.

RSA keys in tokens are not used here: the token would have to do OAEP with SHA-256 and a label, which the ones
at hand (SoftHSM 2) do not.

Source: OASIS PKCS #11 v3.1 section 6.3.17 (CKM_ECDH1_DERIVE).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import KDF, Attribute, KeyType, Mechanism, ObjectClass

from hub.custody.tokenaccess import TokenAccess
from hub.errors import TrustError
from hub.trust import public_key_of

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509
    from pkcs11.types import Session

    from hub.custody.places import TokenPlace
    from hub.custody.secrets import Secret

_PASSING = {
    Attribute.TOKEN: False,
    Attribute.SENSITIVE: False,
    Attribute.EXTRACTABLE: True,
}
"""The shared secret is an object of the session only, gone with it at the latest."""


class TokenOpener:
    """One key in a token; thread-safe, and back by itself when a token that was away returns.

    Args:
        place: which token and key.
        pin: of the token's user.
        module: the PKCS#11 library, unless the place names one.
        certificate: what the key has to be of.

    Raises:
        TrustError: `trust.token_unavailable`, `trust.token_pin_refused`, `trust.token_pin_locked`;
            `trust.key_unusable` when the token has no such key, it could be taken out of it, or it is not
            that of the certificate.
    """

    def __init__(
        self, place: TokenPlace, pin: Secret, module: Path | None, certificate: x509.Certificate
    ) -> None:
        public = public_key_of(certificate)
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise TrustError("trust.key_unusable", f"{place}: keys in tokens that decrypt are EC keys")
        self._place = place
        self._size = (public.curve.key_size + 7) // 8
        self._access = TokenAccess(place, pin, module, what="private key")
        self._prove(public)
        self._access.was_open = True

    def agree(self, point: ec.EllipticCurvePublicKey) -> bytes:
        """Return the shared secret with an ephemeral public key; see `hub.custody.KeyOpener`."""
        raw = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return self._access.work(lambda session: self._agree(session, raw))

    def decrypt(self, wrapped: bytes, label: bytes) -> bytes:
        """Refuse: an EC key decrypts nothing; see `hub.custody.KeyOpener`."""
        raise ValueError(f"{len(wrapped)} bytes, label of {len(label)}: an EC key decrypts nothing")

    def __repr__(self) -> str:
        return f"<private key {self._place}>"

    def _agree(self, session: Session, point: bytes) -> bytes:
        key: Any = self._access.find(session, ObjectClass.PRIVATE_KEY)
        if key[Attribute.EXTRACTABLE] or not key[Attribute.SENSITIVE]:
            raise TrustError("trust.key_unusable", f"{self._place} can be taken out of its token")
        passing: Any = key.derive_key(
            KeyType.GENERIC_SECRET,
            8 * self._size,
            mechanism=Mechanism.ECDH1_DERIVE,
            mechanism_param=(KDF.NULL, None, point),
            store=False,
            template=_PASSING,
        )
        try:
            secret: bytes = passing[Attribute.VALUE]
        finally:
            passing.destroy()
        return secret.rjust(self._size, b"\x00")

    def _prove(self, public: ec.EllipticCurvePublicKey) -> None:
        """Agree on something with the certificate's key both ways: the token may hold any other."""
        mine = ec.generate_private_key(public.curve)
        if self.agree(mine.public_key()) != mine.exchange(ec.ECDH(), public):
            raise TrustError("trust.key_unusable", f"{self._place} is not the certificate's key")
