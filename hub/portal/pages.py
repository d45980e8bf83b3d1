# SPDX-License-Identifier: Apache-2.0
"""The portal's pages and calls: who may open what, and what all its templates see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub import pages
from hub.errors import ExchangeError
from hub.identifiers import MessageId, is_message_id
from hub.portal.model import Visitor
from hub.portal.visitors import AUDITORS, OPERATORS, WATCHERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.accounts import Role

MOUNTED_AT = "/portal"
SESSION_COOKIE = "heliograph-session"


@dataclass(frozen=True, kw_only=True)
class Call(pages.Call[Visitor]):
    """One request for a page of the portal."""

    @property
    def message_id(self) -> MessageId:
        """The message that the address names.

        Raises:
            ExchangeError: `exchange.message_unknown`: it is the form of none.
        """
        text = self.request.path_params["message_id"]
        if not is_message_id(text):
            raise ExchangeError("exchange.message_unknown", "not a message id")
        return MessageId(text)

    @property
    def reads_content(self) -> bool:
        """Whether the visitor may read what is in a message, and not only where it stands."""
        return self.is_one_of(AUDITORS)

    def is_one_of(self, roles: frozenset[Role]) -> bool:
        """Tell whether the visitor has one of some roles, so that a page offers what they may do."""
        return self.visitor is not None and bool(self.visitor.principal.roles & roles)

    def message_address(self, message_id: MessageId) -> str:
        """Return the page about a message: its whole story, or its path for who may not read content."""
        return f"{MOUNTED_AT}/messages/{message_id}{'' if self.reads_content else '/path'}"

    def frame(self) -> Mapping[str, Any]:
        """Return what every template of the portal sees."""
        return {
            **super().frame(),
            "reads_content": self.reads_content,
            "watches": self.is_one_of(WATCHERS),
            "acts": self.is_one_of(OPERATORS),
            "message_address": self.message_address,
        }


@dataclass(frozen=True, kw_only=True)
class Page(pages.Page[Call]):
    """One address of the portal.

    Attributes:
        roles: one of them is needed; None for a page that needs no sign-in.
    """

    roles: frozenset[Role] | None

    @property
    def is_public(self) -> bool:
        """Whether it needs no sign-in."""
        return self.roles is None

    def admit(self, call: Call) -> None:
        """Refuse a visitor who has none of the roles.

        Raises:
            AccessError: `access.role_missing`.
        """
        if self.roles is not None:
            call.signed_in.principal.require(*sorted(self.roles))
