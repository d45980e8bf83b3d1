# SPDX-License-Identifier: Apache-2.0
"""An AES-256 key in a PKCS#11 token that encrypts other keys and never leaves it.

Source: OASIS PKCS #11 v3.1 sections 5.18.3 and 5.18.4 (C_WrapKey, C_UnwrapKey), 6.13 (CKM_AES_KEY_WRAP).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Never

from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.exceptions import PKCS11Error

from hub.custody.modules import module_of
from hub.custody.tokenaccess import TokenAccess
from hub.custody.wrapping import KEY_BYTES, challenge, fingerprint_of, not_wrapped
from hub.errors import TrustError

if TYPE_CHECKING:
    from pathlib import Path

    from pkcs11.types import Session

    from hub.custody.places import TokenPlace
    from hub.custody.secrets import Secret

_KEEPS_INSIDE = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
}
_PASSING = {Attribute.TOKEN: False, Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}
"""What is wrapped or unwrapped is an object of the session only, gone with it at the latest."""


class TokenWrappingKey:
    """One AES key in a token; thread-safe, and back by itself when a token that was away returns.

    Args:
        place: which token and key.
        pin: of the token's user.
        module: the PKCS#11 library, unless the place names one.

    Raises:
        TrustError: `trust.token_unavailable`, `trust.token_pin_refused`, `trust.token_pin_locked`;
            `trust.key_unusable` when the token has no such key, or it could be taken out of it.
    """

    def __init__(self, place: TokenPlace, pin: Secret, module: Path | None = None) -> None:
        self._place = place
        self._access = TokenAccess(place, pin, module, what="AES key")
        self.fingerprint = fingerprint_of(self.wrap(challenge()))
        self._access.was_open = True

    def wrap(self, secret: bytes) -> bytes:
        """Encrypt a secret; see `hub.custody.WrappingKey`."""
        return self._access.work(lambda session: self._wrap(session, secret))

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the secret; see `hub.custody.WrappingKey`."""
        try:
            return self._access.work(lambda session: self._unwrap(session, wrapped))
        except TrustError:
            # Tokens call a wrapped key that was changed a general error. One that still answers is not away.
            if fingerprint_of(self.wrap(challenge())) == self.fingerprint:
                raise not_wrapped() from None
            raise

    def __repr__(self) -> str:
        return f"<wrapping key {self._place}>"

    def __reduce__(self) -> Never:
        raise TypeError("a wrapping key is not pickled")

    def _key(self, session: Session) -> Any:
        key = self._access.find(session, ObjectClass.SECRET_KEY)
        if key[Attribute.EXTRACTABLE] or not key[Attribute.SENSITIVE]:
            raise TrustError("trust.key_unusable", f"{self._place} can be taken out of its token")
        if key[Attribute.KEY_TYPE] is not KeyType.AES or key[Attribute.VALUE_LEN] != KEY_BYTES:
            raise TrustError("trust.key_unusable", f"{self._place} is no AES-256 key")
        return key

    def _wrap(self, session: Session, secret: bytes) -> bytes:
        passing: Any = session.create_object(
            {
                Attribute.CLASS: ObjectClass.SECRET_KEY,
                Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
                Attribute.VALUE: secret,
                **_PASSING,
            }
        )
        try:
            wrapped: bytes = self._key(session).wrap_key(passing, mechanism=Mechanism.AES_KEY_WRAP)
        finally:
            passing.destroy()
        return wrapped

    def _unwrap(self, session: Session, wrapped: bytes) -> bytes:
        passing = self._key(session).unwrap_key(
            ObjectClass.SECRET_KEY,
            KeyType.GENERIC_SECRET,
            wrapped,
            mechanism=Mechanism.AES_KEY_WRAP,
            store=False,
            template=_PASSING,
        )
        try:
            secret: bytes = passing[Attribute.VALUE]
        finally:
            passing.destroy()
        return secret


def generate_in_token(place: TokenPlace, pin: Secret, module: Path | None) -> TokenWrappingKey:
    """Make an AES-256 key in a token and open it.

    Raises:
        TrustError: as `hub.custody.generate_wrapping_key`.
    """
    if place.object is None:
        raise TrustError("trust.key_unusable", f"a new key needs a name: object= in {place}")
    with module_of(place, module).session(place, pin) as session:
        try:
            if _is_taken(session, place.object):
                raise TrustError("trust.key_exists", f"{place}")
            session.generate_key(
                KeyType.AES,
                KEY_BYTES * 8,
                store=True,
                label=place.object,
                id=place.id or secrets.token_bytes(16),
                capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP,
                template=_KEEPS_INSIDE,
            )
        except PKCS11Error as exc:
            detail = f"{place}: the token makes no AES key: {type(exc).__name__}"
            raise TrustError("trust.key_unusable", detail) from exc
    return TokenWrappingKey(place, pin, module)


def _is_taken(session: Session, label: str) -> bool:
    named = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: label}
    return bool(list(session.get_objects(named)))
