# SPDX-License-Identifier: Apache-2.0
"""One key of a PKCS#11 token, reached again and again: sessions that die are opened anew.

Source: OASIS PKCS #11 v3.1 section 5.6; RFC 7512 (names).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pkcs11 import Attribute, ObjectClass
from pkcs11.exceptions import MultipleObjectsReturned, NoSuchKey, PKCS11Error

from hub.custody.modules import module_of
from hub.errors import TrustError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pkcs11.types import Key, Session

    from hub.custody.modules import Module
    from hub.custody.places import TokenPlace
    from hub.custody.secrets import Secret

_T = TypeVar("_T")


class TokenAccess:
    """The way to one key in a token.

    Args:
        place: which token and key.
        pin: of the token's user.
        module: the PKCS#11 library, unless the place names one.
        what: what is looked for, in English, for refusals.

    Attributes:
        was_open: whether the key has been found and proven once; set by who did so. One that was there before
            is away with its token's content, which may come back.

    Raises:
        TrustError: `trust.token_unavailable`: no module is set.
    """

    def __init__(self, place: TokenPlace, pin: Secret, module: Path | None, *, what: str) -> None:
        self._place = place
        self._pin = pin
        self._what = what
        self._module: Module = module_of(place, module)
        self.was_open = False

    @property
    def generation(self) -> int:
        """Grows whenever objects found before are of no use any more."""
        return self._module.generation

    def work(self, work: Callable[[Session], _T]) -> _T:
        """Do some work in the token; where the session has died, in a new one, at last in a new module.

        Raises:
            TrustError: `trust.token_unavailable`, `trust.token_pin_refused`, `trust.token_pin_locked`;
                `trust.key_unusable` when the token has not the key.
        """
        for renew in (self._forget, self._restart):
            try:
                with self._module.session(self._place, self._pin) as session:
                    return work(session)
            except PKCS11Error:
                renew()
        try:
            with self._module.session(self._place, self._pin) as session:
                return work(session)
        except PKCS11Error as exc:
            self._forget()
            raise self._failure(exc) from exc

    def _forget(self) -> None:
        self._module.forget(self._place)

    def _restart(self) -> None:
        self._module.forget(self._place)
        self._module.restart()

    def _failure(self, error: PKCS11Error) -> TrustError:
        # A key that was there before is away with its token's content, which may come back.
        if not self.was_open and isinstance(error, NoSuchKey | MultipleObjectsReturned):
            found = "no" if isinstance(error, NoSuchKey) else "more than one"
            return TrustError("trust.key_unusable", f"the token has {found} {self._what} {self._place}")
        return TrustError("trust.token_unavailable", f"{self._place}: {type(error).__name__}")

    def find(self, session: Session, object_class: ObjectClass) -> Key:
        """Return the one object of that class the place names.

        Raises:
            PKCS11Error: there is none, or more than one.
        """
        asked: dict[Attribute, Any] = {Attribute.CLASS: object_class}
        if self._place.object is not None:
            asked[Attribute.LABEL] = self._place.object
        if self._place.id is not None:
            asked[Attribute.ID] = self._place.id
        # All are fetched: a search left open would end in whatever session there is by then.
        found: list[Any] = list(session.get_objects(asked))
        if len(found) != 1:
            raise MultipleObjectsReturned if found else NoSuchKey
        key: Key = found[0]
        return key
