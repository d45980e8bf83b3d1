# SPDX-License-Identifier: Apache-2.0
"""How an HTTP caller shows who it is: `Authorization: Bearer`.

Source: RFC 6750 section 2.1; tokens in forms and addresses (sections 2.2 and 2.3) are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from hub.errors import AccessError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.accounts.model import Principal
    from hub.accounts.service import Accounts

_bearer = HTTPBearer(auto_error=False, description="An access token of the hub.")


def authenticated(accounts: Accounts) -> Callable[..., Principal]:
    """Make the dependency that gives a route its caller.

    Its call raises AccessError `access.not_authenticated`.

    Example:
        caller = authenticated(accounts)
        @router.get("/things")
        def things(principal: Annotated[Principal, Depends(caller)]) -> ...
    """

    def caller(
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Principal:
        if credentials is None:
            raise AccessError("access.not_authenticated", "no bearer token was sent")
        return accounts.authenticate(credentials.credentials)

    return caller
