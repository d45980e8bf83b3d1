# SPDX-License-Identifier: Apache-2.0
"""Administrators who are signed in at a console: their sessions, in memory, for one process.

A restart signs everybody out; drafts are kept elsewhere. A session's secret is known to its browser only;
here is its digest.

Source: OWASP ASVS 4.0.3 V3.2 (session binding), V3.3 (termination).
"""

from __future__ import annotations

import hmac
import secrets
import threading
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from adapters.console import Administrator
    from hub.clock import Clock

_IDLE = timedelta(minutes=30)
_LONGEST = timedelta(hours=12)
_MOST = 100
_FORM_PURPOSE = b"heliograph console form"


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """An administrator who is signed in.

    Attributes:
        administrator: who it is; what they do is written down under their name.
        form_token: what a form has to bring back.
    """

    administrator: Administrator
    secret: str = field(repr=False)
    form_token: str = field(repr=False)

    @property
    def name(self) -> str:
        """What they are called."""
        return self.administrator.name


@dataclass(frozen=True, kw_only=True)
class _Session:
    administrator: Administrator
    opened_at: datetime
    seen_at: datetime


class Sessions:
    """Opens, finds and ends sessions. Safe to use from several threads.

    Args:
        clock: says when a session is over.
        is_known: tells whether somebody still is an administrator here.
    """

    def __init__(self, clock: Clock, is_known: Callable[[str], bool]) -> None:
        self._clock = clock
        self._is_known = is_known
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}

    def open(self, administrator: Administrator) -> Visitor:
        """Open a session, under an id that was never used before."""
        now = self._clock.now()
        secret = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions = {digest: each for digest, each in self._sessions.items() if _is_open(each, now)}
            while len(self._sessions) >= _MOST:
                del self._sessions[min(self._sessions, key=lambda digest: self._sessions[digest].seen_at)]
            self._sessions[_digest(secret)] = _Session(
                administrator=administrator, opened_at=now, seen_at=now
            )
        return _visitor(secret, administrator)

    def find(self, secret: str) -> Visitor | None:
        """Return who has this session; None when it is over."""
        now = self._clock.now()
        with self._lock:
            session = self._sessions.get(_digest(secret))
            if (
                session is None
                or not _is_open(session, now)
                or not self._is_known(session.administrator.name)
            ):
                return None
            self._sessions[_digest(secret)] = replace(session, seen_at=now)
        return _visitor(secret, session.administrator)

    def close(self, visitor: Visitor) -> None:
        """End a session for good."""
        with self._lock:
            self._sessions.pop(_digest(visitor.secret), None)


def _is_open(session: _Session, now: datetime) -> bool:
    return session.opened_at <= now < min(session.opened_at + _LONGEST, session.seen_at + _IDLE)


def _visitor(secret: str, administrator: Administrator) -> Visitor:
    form_token = hmac.new(secret.encode(), _FORM_PURPOSE, sha256).hexdigest()
    return Visitor(administrator=administrator, secret=secret, form_token=form_token)


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
