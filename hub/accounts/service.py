# SPDX-License-Identifier: Apache-2.0
"""Bearer tokens: issued once, checked on every call, revoked at once.

A token is a random number and says nothing by itself, so revoking it takes effect with the next call.

Source: RFC 6750.
"""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from typing import TYPE_CHECKING

from hub.accounts import store
from hub.accounts.model import IssuedToken, Principal, Token, TokenId
from hub.clock import to_milliseconds
from hub.errors import AccessError

if TYPE_CHECKING:
    from datetime import timedelta

    from sqlalchemy import Engine

    from hub.clock import Clock
    from hub.database import Writer

# The prefix lets scanners for leaked secrets recognise a token.
_PREFIX = "heliograph_"
_SECRET_BYTES = 32
_TOKEN = re.compile(rf"{_PREFIX}[A-Za-z0-9_-]{{43}}")


class Accounts:
    """Issues, checks and revokes tokens."""

    def __init__(self, engine: Engine, writer: Writer, clock: Clock) -> None:
        self._engine = engine
        self._writer = writer
        self._clock = clock

    def issue(self, principal: Principal, lifetime: timedelta) -> IssuedToken:
        """Issue a token; its secret is returned here and can never be had again.

        Raises:
            AccessError: `access.account_invalid`: the lifetime is not positive.
        """
        now = self._clock.now()
        token = Token(
            id=TokenId(secrets.token_hex(8)),
            principal=principal,
            issued_at=now,
            expires_at=to_milliseconds(now + lifetime),
        )
        if token.expires_at <= now:
            raise AccessError("access.account_invalid", "lifetime: must be positive")
        secret = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        self._writer.run(lambda connection: store.insert_token(connection, _digest(secret), token))
        return IssuedToken(token, secret)

    def authenticate(self, secret: str) -> Principal:
        """Return whose token this is.

        Raises:
            AccessError: `access.not_authenticated`, see `identify`.
        """
        return self.identify(secret).principal

    def identify(self, secret: str) -> Token:
        """Return the valid token that has this secret.

        Raises:
            AccessError: `access.not_authenticated`. It does not say whether the token is unknown, expired or
                revoked: who holds it by wrong has no use for that.
        """
        token = None
        if _TOKEN.fullmatch(secret):
            with self._engine.connect() as connection:
                token = store.read_token(connection, _digest(secret))
        if token is None or not token.is_valid(self._clock.now()):
            raise AccessError("access.not_authenticated", "the access token is not valid")
        return token

    def find_valid(self, token_id: TokenId) -> Token | None:
        """Return a token by what it is spoken of by; None when it is unknown, expired or revoked."""
        with self._engine.connect() as connection:
            token = store.find_token(connection, token_id)
        return token if token is not None and token.is_valid(self._clock.now()) else None

    def revoke(self, token_id: TokenId) -> None:
        """Revoke a token for good; doing it again changes nothing.

        Raises:
            AccessError: `access.token_unknown`.
        """
        now = self._clock.now()
        if not self._writer.run(lambda connection: store.revoke_token(connection, token_id, now)):
            raise AccessError("access.token_unknown")

    def tokens(self) -> tuple[Token, ...]:
        """Return every token ever issued, without its secret, oldest first."""
        with self._engine.connect() as connection:
            return store.read_tokens(connection)


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
