# SPDX-License-Identifier: Apache-2.0
"""Who calls, and what the caller may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

from hub.errors import AccessError
from hub.identifiers import SubsystemId, is_subsystem_id

if TYPE_CHECKING:
    from datetime import datetime

TokenId = NewType("TokenId", str)
"""What a token is spoken of by; it opens nothing."""

LONGEST_SUBJECT = 100


class Role(StrEnum):
    """What a caller may do."""

    ADMINISTRATOR = "administrator"
    """Changes the registry and issues tokens."""
    CASEWORKER = "caseworker"
    """Starts requests for a subsystem and reads their answers."""
    AUDITOR = "auditor"
    """Reads the log, the registry and the evidence."""
    OPERATOR = "operator"
    """Keeps the hub running."""
    GATEWAY = "gateway"
    """A department's gateway: sends and receives for a subsystem."""


ROLES_OF_A_SUBSYSTEM = frozenset({Role.CASEWORKER, Role.GATEWAY})
"""Roles that act for one department's system, and for none other."""


@dataclass(frozen=True)
class Principal:
    """A caller who has shown who it is.

    Attributes:
        subject: the account's name.
        roles: one or more.
        subsystem: the subsystem the caller acts for; None for the hub's own staff.

    Raises:
        AccessError: `access.account_invalid`: a name, role or subsystem is missing or has not its form.
    """

    subject: str
    roles: frozenset[Role]
    subsystem: SubsystemId | None = None

    def __post_init__(self) -> None:
        if not self.subject.isprintable() or not 0 < len(self.subject.strip()) <= LONGEST_SUBJECT:
            raise AccessError(
                "access.account_invalid", f"subject: 1 to {LONGEST_SUBJECT} printable characters"
            )
        if not self.roles:
            raise AccessError("access.account_invalid", "roles: none is given")
        if self.subsystem is None and self.roles & ROLES_OF_A_SUBSYSTEM:
            raise AccessError("access.account_invalid", "subsystem: a caseworker or gateway acts for one")
        if self.subsystem is not None and not is_subsystem_id(self.subsystem):
            raise AccessError("access.account_invalid", "subsystem: not a subsystem id")

    def require(self, *roles: Role) -> None:
        """Refuse the caller unless it has one of `roles`.

        Raises:
            AccessError: `access.role_missing`.
        """
        if not self.roles & set(roles):
            raise AccessError("access.role_missing", f"needed: {' or '.join(roles)}")

    def require_subsystem(self, subsystem: SubsystemId) -> None:
        """Refuse the caller unless it acts for `subsystem`.

        Raises:
            AccessError: `access.role_missing`.
        """
        if self.subsystem != subsystem:
            raise AccessError("access.role_missing", f"needed: to act for {subsystem}")


@dataclass(frozen=True)
class Token:
    """A bearer token as the hub knows it: everything but the token."""

    id: TokenId
    principal: Principal
    issued_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None

    def is_valid(self, at: datetime) -> bool:
        """Tell whether the token opens anything at that instant."""
        return self.revoked_at is None and self.issued_at <= at < self.expires_at


@dataclass(frozen=True)
class IssuedToken:
    """A token at the only moment its secret is known here."""

    token: Token
    secret: str = field(repr=False)
