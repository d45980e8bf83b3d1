# SPDX-License-Identifier: Apache-2.0
"""Signing in at the console by name and password, signing out, and choosing the language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from starlette.responses import RedirectResponse, Response

from adapters.console.problems import status_of
from adapters.wizard.pages import Call, Page
from hub.errors import HubError
from hub.pages import require_form_token

if TYPE_CHECKING:
    from adapters.console import Administrators
    from adapters.wizard.sessions import Sessions

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """The pages around signing in."""

    administrators: Administrators
    sessions: Sessions

    def pages(self) -> tuple[Page, ...]:
        """Return the pages."""
        return (
            Page(path="/sign-in", answer=self.show, is_open=True),
            Page(path="/sign-in", answer=self.enter, is_open=True, method="POST"),
            Page(path="/sign-out", answer=self.leave, is_open=True, method="POST"),
            Page(path="/language/{language}", answer=Call.choose_language, is_open=True),
        )

    def show(self, call: Call) -> Response:
        """Ask for name and password."""
        wanted = call.wanted_path(call.request.query_params)
        if call.visitor is not None:
            return RedirectResponse(wanted, 303)
        return call.render("sign-in.html", next=wanted, name="", error=None)

    def enter(self, call: Call) -> Response:
        """Check the password and open a session, under an id that was never used before."""
        wanted = call.wanted_path(call.form)
        address = call.request.client.host if call.request.client else ""
        name = call.form.get("name", "").strip()
        try:
            known = self.administrators.by_password(name, call.form.get("password", ""), address=address)
        except HubError as error:
            status = status_of(error)
            return call.render("sign-in.html", status=status, next=wanted, name=name, error=error)
        if call.visitor is not None:
            self.sessions.close(call.visitor)
        visitor = self.sessions.open(known)
        _logger.info("console.signed_in", by=known.name)
        response = RedirectResponse(wanted, 303)
        call.keep_session(response, visitor.secret)
        return response

    def leave(self, call: Call) -> Response:
        """End the session, on the server first."""
        response = RedirectResponse(call.site.sign_in, 303)
        if call.visitor is not None:
            require_form_token(call.form, call.visitor.form_token)
            self.sessions.close(call.visitor)
            _logger.info("console.signed_out", by=call.visitor.name)
        call.drop_session(response)
        return response
