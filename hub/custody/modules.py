# SPDX-License-Identifier: Apache-2.0
"""PKCS#11 modules and the sessions on their tokens.

python-pkcs11 initialises a module without telling it that several threads will call, so by the standard the
module need not protect itself; SoftHSM then switches its locks off. Hence one lock a module, held for every
call, and one session a token. docs/adr/0013-key-custody.md has the figures.

A wrong PIN is never sent twice: three wrong tries lock most tokens, and a service that starts again by itself
would make them at once.

Source: OASIS PKCS #11 v3.1 sections 5.4 (initialisation and threads), 5.6.6 (login is a token's, not a
session's).
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pkcs11
from pkcs11.constants import TokenFlag
from pkcs11.exceptions import PinExpired, PinIncorrect, PinInvalid, PinLenRange, PinLocked, PKCS11Error

from hub.errors import TrustError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pkcs11._pkcs11 import lib
    from pkcs11.types import Session, Token

    from hub.custody.places import TokenPlace
    from hub.custody.secrets import Secret

_SHORTEST_PAUSE_SECONDS = 1.0
"""Between two initialisations of a module whose token is away."""

_modules: dict[str, Module] = {}
_modules_lock = threading.Lock()


def module_at(path: Path) -> Module:
    """Return the module of a library, one for each in this process."""
    with _modules_lock:
        return _modules.setdefault(str(path), Module(path))


def module_of(place: TokenPlace, module: Path | None) -> Module:
    """Return the module a key's place names, or else the one given.

    Raises:
        TrustError: `trust.token_unavailable`: there is neither.
    """
    library = place.module or module
    if library is None:
        raise TrustError("trust.token_unavailable", f"no PKCS#11 module is set for {place}")
    return module_at(library)


class Module:
    """A PKCS#11 library, its lock, and what is logged in.

    Args:
        path: of the library.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._library: lib | None = None
        self._serials: dict[TokenPlace, bytes] = {}
        self._sessions: dict[bytes, tuple[Session, Secret]] = {}
        self._refused: list[tuple[bytes, Secret]] = []
        self._initialised_at = -_SHORTEST_PAUSE_SECONDS
        self.generation = 0
        """Grows whenever sessions, and the objects found in them, stop being of use."""

    @contextmanager
    def session(self, place: TokenPlace, pin: Secret) -> Iterator[Session]:
        """Give the caller the session on a token, logged in, and nobody else the module meanwhile.

        Raises:
            TrustError: `trust.token_unavailable` when the module cannot be loaded or has no such token;
                `trust.token_pin_refused`, `trust.token_pin_locked`.
        """
        with self._lock:
            opened = self._sessions.get(self._serials.get(place, b""))
            if opened is None:
                opened = self._open(place, pin)
            session, accepted = opened
            if accepted != pin:
                # The login is the token's, so a second key would get in with any PIN.
                detail = f"the token {session.token.label} was opened with another PIN"
                raise TrustError("trust.token_pin_refused", detail)
            yield session

    def forget(self, place: TokenPlace) -> None:
        """Give a session up that does not answer any more; the next caller logs in again."""
        with self._lock:
            opened = self._sessions.pop(self._serials.pop(place, b""), None)
            self.generation += 1
            if opened is not None:
                # It is gone already, most often; that is why it is given up.
                with suppress(PKCS11Error):
                    opened[0].close()

    def restart(self) -> bool:
        """Initialise the module again, so that it looks for its tokens anew; every session ends.

        Returns:
            Whether it was done: not when it was done a moment ago.
        """
        with self._lock:
            if time.monotonic() - self._initialised_at < _SHORTEST_PAUSE_SECONDS:
                return False
            self._sessions.clear()
            self._serials.clear()
            self.generation += 1
            if self._library is not None:
                with suppress(PKCS11Error):
                    self._library.finalize()
            self._load()
            return True

    def _open(self, place: TokenPlace, pin: Secret) -> tuple[Session, Secret]:
        token = self._find(place)
        self._serials[place] = token.serial
        opened = self._sessions.get(token.serial)
        if opened is None:
            opened = self._sessions[token.serial] = (self._log_in(token, pin), pin)
        return opened

    def _log_in(self, token: Token, pin: Secret) -> Session:
        if (token.serial, pin) in self._refused:
            detail = f"the token {token.label} refused this PIN before; it is not tried again"
            raise TrustError("trust.token_pin_refused", detail)
        if token.flags & TokenFlag.USER_PIN_LOCKED:
            raise TrustError("trust.token_pin_locked", f"the token {token.label}")
        if token.flags & TokenFlag.USER_PIN_FINAL_TRY:
            detail = f"the token {token.label} has one try left, which is not used up here"
            raise TrustError("trust.token_pin_refused", detail)
        try:
            return token.open(rw=True, user_pin=pin.reveal())
        except PinLocked as exc:
            raise TrustError("trust.token_pin_locked", f"the token {token.label}") from exc
        except (PinIncorrect, PinInvalid, PinLenRange, PinExpired) as exc:
            self._refused.append((token.serial, pin))
            detail = f"the token {token.label}: {type(exc).__name__}"
            raise TrustError("trust.token_pin_refused", detail) from exc
        except PKCS11Error as exc:
            detail = f"the token {token.label} cannot be opened: {type(exc).__name__}"
            raise TrustError("trust.token_unavailable", detail) from exc

    def _find(self, place: TokenPlace) -> Token:
        try:
            if self._library is None:
                self._load()
            return self._one_token(place)
        except TrustError:
            if not self.restart():
                raise
        return self._one_token(place)

    def _one_token(self, place: TokenPlace) -> Token:
        assert self._library is not None  # noqa: S101 (for the type checker; _find loaded it)
        tokens, unreadable = [], 0
        try:
            for slot in self._library.get_slots(token_present=True):
                try:
                    token = slot.get_token()
                except PKCS11Error:
                    # One token that was taken out must not keep the others from being used.
                    unreadable += 1
                    continue
                if _fits(token, place):
                    tokens.append(token)
        except PKCS11Error as exc:
            detail = f"the module {self._path.name} does not list its tokens: {type(exc).__name__}"
            raise TrustError("trust.token_unavailable", detail) from exc
        if len(tokens) != 1:
            detail = f"{len(tokens)} tokens fit {place} instead of one; {unreadable} cannot be read"
            raise TrustError("trust.token_unavailable", detail)
        return tokens[0]

    def _load(self) -> None:
        self._initialised_at = time.monotonic()
        try:
            self._library = pkcs11.lib(str(self._path))
        except (PKCS11Error, RuntimeError) as exc:
            detail = f"the PKCS#11 module {self._path} cannot be loaded: {type(exc).__name__}"
            raise TrustError("trust.token_unavailable", detail) from exc


def _fits(token: Token, place: TokenPlace) -> bool:
    stated = {
        "token": token.label,
        "serial": token.serial.decode("utf-8", "replace").strip(),
        "manufacturer": token.manufacturer_id,
        "model": token.model,
    }
    return all(getattr(place, name) in {None, value} for name, value in stated.items())
