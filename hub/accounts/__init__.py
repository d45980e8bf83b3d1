# SPDX-License-Identifier: Apache-2.0
"""People and systems that call the hub: roles, bearer tokens, and the subsystem a caller acts for."""

from hub.accounts.model import ROLES_OF_A_SUBSYSTEM, IssuedToken, Principal, Role, Token, TokenId
from hub.accounts.routes import authenticated
from hub.accounts.service import Accounts

__all__ = [
    "ROLES_OF_A_SUBSYSTEM",
    "Accounts",
    "IssuedToken",
    "Principal",
    "Role",
    "Token",
    "TokenId",
    "authenticated",
]
