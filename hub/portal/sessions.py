# SPDX-License-Identifier: Apache-2.0
"""Signing in with an access token, and staying signed in: sessions on the server, a random id in a cookie.

A session is worth what its token is worth: it ends when the token is revoked or expires. Its id is made at
sign-in and never taken from the caller, so nobody can be made to sign in under an id somebody else knows.

Source: OWASP ASVS 4.0.3 V3.2 (session binding), V3.3 (termination).
"""

from __future__ import annotations

import hmac
import re
import secrets
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from hub.portal import store
from hub.portal.model import SessionLimits, SessionRecord, Visitor

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from hub.accounts import Accounts, Token
    from hub.clock import Clock
    from hub.database import Writer

_SECRET_BYTES = 32
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_FORM_PURPOSE = b"heliograph portal form"
# A write a page would make every reader a writer; a minute is near enough to tell who is idle.
_NOTED_EVERY = timedelta(minutes=1)


class Sessions:
    """Opens, finds and ends sessions."""

    def __init__(
        self, engine: Engine, writer: Writer, clock: Clock, accounts: Accounts, limits: SessionLimits
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._clock = clock
        self._accounts = accounts
        self._limits = limits

    def open(self, token: Token) -> Visitor:
        """Open a session for whoever has shown this token."""
        now = self._clock.now()
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        session = SessionRecord(
            digest=_digest(secret),
            token_id=token.id,
            opened_at=now,
            seen_at=now,
            ends_at=min(now + self._limits.longest, token.expires_at),
        )

        def work(connection: Connection) -> None:
            store.delete_over(connection, now, now - self._limits.idle)
            store.delete_oldest(connection, token.id, keep=self._limits.most - 1)
            store.insert_session(connection, session)

        self._writer.run(work)
        return _visitor(secret, session, token)

    def find(self, secret: str) -> Visitor | None:
        """Return who has this session; None when it is over, or its token opens nothing any more."""
        if not _SECRET.fullmatch(secret):
            return None
        with self._engine.connect() as connection:
            session = store.find_session(connection, _digest(secret))
        now = self._clock.now()
        if session is None or not session.is_open(now, self._limits.idle):
            return None
        token = self._accounts.find_valid(session.token_id)
        if token is None:
            return None
        self._note_use(session, now)
        return _visitor(secret, session, token)

    def close(self, visitor: Visitor) -> None:
        """End a session for good."""
        digest = _digest(visitor.secret)
        self._writer.run(lambda connection: store.delete_session(connection, digest))

    def _note_use(self, session: SessionRecord, now: datetime) -> None:
        if now - session.seen_at >= _NOTED_EVERY:
            self._writer.run(lambda connection: store.note_use(connection, session.digest, now))


def _visitor(secret: str, session: SessionRecord, token: Token) -> Visitor:
    form_token = hmac.new(secret.encode(), _FORM_PURPOSE, sha256).hexdigest()
    return Visitor(token=token, ends_at=session.ends_at, secret=secret, form_token=form_token)


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
