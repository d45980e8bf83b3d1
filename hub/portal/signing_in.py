# SPDX-License-Identifier: Apache-2.0
"""Signing in with an access token, signing out, and choosing the language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from starlette.responses import RedirectResponse, Response

from hub.accounts import Role
from hub.errors import HubError
from hub.pages import require_form_token
from hub.portal.pages import Call, Page
from hub.portal.visitors import KEEPERS
from hub.problems import status_of

if TYPE_CHECKING:
    from hub.accounts import Accounts
    from hub.pages import SignInAttempts
    from hub.portal.sessions import Sessions

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """The pages around signing in."""

    accounts: Accounts
    sessions: Sessions
    attempts: SignInAttempts

    def pages(self) -> tuple[Page, ...]:
        """Return the pages."""
        return (
            Page(path="/", answer=_home, roles=KEEPERS),
            Page(path="/sign-in", answer=self.show, roles=None),
            Page(path="/sign-in", answer=self.enter, roles=None, method="POST"),
            Page(path="/sign-out", answer=self.leave, roles=None, method="POST"),
            Page(path="/language/{language}", answer=Call.choose_language, roles=None),
        )

    def show(self, call: Call) -> Response:
        """Ask for an access token."""
        wanted = call.wanted_path(call.request.query_params)
        if call.visitor is not None:
            return RedirectResponse(wanted, 303)
        return call.render("sign-in.html", next=wanted, error=None)

    def enter(self, call: Call) -> Response:
        """Check the token and open a session, under an id that was never used before."""
        wanted = call.wanted_path(call.form)
        address = call.request.client.host if call.request.client else ""
        try:
            self.attempts.require_left(address)
            token = self.accounts.identify(call.form.get("token", "").strip())
            token.principal.require(*sorted(KEEPERS))
        except HubError as error:
            if error.code == "access.not_authenticated":
                self.attempts.note_failure(address)
            _logger.warning("portal.sign_in_refused", code=error.code)
            status = status_of(error.code, error.culprit)
            return call.render("sign-in.html", status=status, next=wanted, error=error)
        if call.visitor is not None:
            self.sessions.close(call.visitor)
        visitor = self.sessions.open(token)
        _logger.info("portal.signed_in", token_id=token.id)
        response = RedirectResponse(wanted, 303)
        call.keep_session(response, visitor.secret)
        return response

    def leave(self, call: Call) -> Response:
        """End the session, on the server first."""
        response = RedirectResponse(call.site.sign_in, 303)
        if call.visitor is not None:
            require_form_token(call.form, call.visitor.form_token)
            self.sessions.close(call.visitor)
            _logger.info("portal.signed_out", token_id=call.visitor.token.id)
        call.drop_session(response)
        return response


def _home(call: Call) -> Response:
    """Lead to the first page of the visitor's role."""
    roles = call.signed_in.principal.roles
    first = {Role.OPERATOR: "/portal/now", Role.AUDITOR: "/portal/messages"}
    return RedirectResponse(next((path for role, path in first.items() if role in roles), "/portal/log"), 303)
