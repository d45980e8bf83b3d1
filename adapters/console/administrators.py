# SPDX-License-Identifier: Apache-2.0
"""The people who administer adapters: each shows who it is by a password, or by a token for programs.

Whatever fails is answered alike: who guesses learns neither names nor which half was wrong. Failures are
counted by network address.

Source: RFC 6750 for tokens.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import structlog

from adapters.console.passwords import hash_password, is_password
from hub.clock import day_in_china
from hub.errors import AccessError
from hub.pages import SignInAttempts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.console.settings import AdministratorSettings
    from hub.clock import Clock

TOKEN_PREFIX = "heliograph_console_"  # noqa: S105 - lets scanners for leaked secrets recognise a token
_SECRET_BYTES = 32
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Administrator:
    """Somebody who has shown who it is.

    Attributes:
        name: what stands beside everything this person does.
    """

    name: str


def generate_token() -> tuple[str, str]:
    """Return a new token and its SHA-256, which is what the gateway keeps."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    return token, digest_of_token(token)


def digest_of_token(token: str) -> str:
    """Return what is kept of a token; it is random, so nobody finds it by its plain SHA-256."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Administrators:
    """Checks who calls.

    Args:
        people: as the settings name them.
        clock: says which tokens have run out.
        attempts: counts failures.
    """

    def __init__(
        self,
        people: Sequence[AdministratorSettings],
        clock: Clock,
        attempts: SignInAttempts | None = None,
    ) -> None:
        self._people = {person.name: person for person in people}
        self._clock = clock
        self._attempts = attempts or SignInAttempts()

    def by_password(self, name: str, password: str, *, address: str) -> Administrator:
        """Return who signs in.

        Args:
            name: of the administrator.
            password: as typed.
            address: of the caller's end of the connection.

        Raises:
            AccessError: `access.not_authenticated`.
            PortalError: `portal.too_many_attempts`.
        """
        self._attempts.require_left(address)
        person = self._people.get(name)
        kept = person.password if person is not None else None
        # An unknown name takes as long as a wrong password.
        is_right = is_password(password, self._nobody if kept is None else kept.reveal())
        if person is None or kept is None or not is_right:
            raise self._refused(address)
        return Administrator(person.name)

    def by_token(self, token: str, *, address: str) -> Administrator:
        """Return whose token this is; errors as of `by_password`."""
        self._attempts.require_left(address)
        digest, found = digest_of_token(token), None
        today = day_in_china(self._clock.now())
        for person in self._people.values():
            for each in person.tokens:
                is_right = hmac.compare_digest(each.digest.reveal(), digest)
                if is_right and (each.expires_on is None or today < each.expires_on):
                    found = person.name
        if found is None:
            raise self._refused(address)
        return Administrator(found)

    def is_known(self, name: str) -> bool:
        """Tell whether somebody of this name still administers: sessions end with the entry."""
        return name in self._people

    def _refused(self, address: str) -> AccessError:
        self._attempts.note_failure(address)
        _logger.warning("console.refused", address=address)
        return AccessError("access.not_authenticated", "neither name and password nor token are right")

    @cached_property
    def _nobody(self) -> str:
        return hash_password(secrets.token_urlsafe(_SECRET_BYTES))
