# SPDX-License-Identifier: Apache-2.0
"""Who is signed in, for how long, and what a sign-in rests on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from hub.accounts import Principal, Token, TokenId


@dataclass(frozen=True, kw_only=True)
class SessionLimits:
    """How long a session lasts, and how many one token may have.

    Attributes:
        idle: after so long without a page it ends.
        longest: it ends after so long in any case.
        most: of one token at a time; one more ends the oldest.
    """

    idle: timedelta = timedelta(minutes=30)
    longest: timedelta = timedelta(hours=12)
    most: int = 5


@dataclass(frozen=True, kw_only=True)
class SessionRecord:
    """A session as the database has it; the secret that opens it is nowhere.

    Attributes:
        digest: SHA-256 of the secret, hexadecimal.
        token_id: of the access token it was opened with.
        opened_at: UTC.
        seen_at: UTC; when it was last used, to the minute.
        ends_at: UTC; from then on it is over, whether used or not.
    """

    digest: str
    token_id: TokenId
    opened_at: datetime
    seen_at: datetime
    ends_at: datetime

    def is_open(self, at: datetime, idle: timedelta) -> bool:
        """Tell whether it lasts at an instant."""
        return self.opened_at <= at < self.ends_at and at < self.seen_at + idle


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Somebody who is signed in.

    Attributes:
        token: what the sign-in rests on; valid at the moment this was made.
        ends_at: UTC; when the session ends at the latest.
        secret: what opens the session; it stands in the cookie and nowhere else.
        form_token: what a form has to bring back, so that it cannot have been made elsewhere.
    """

    token: Token
    ends_at: datetime
    secret: str = field(repr=False)
    form_token: str = field(repr=False)

    @property
    def principal(self) -> Principal:
        """Who it is, and in which roles."""
        return self.token.principal
