# SPDX-License-Identifier: Apache-2.0
"""The console's errors as HTTP says them.

Source: RFC 9457.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from hub.errors import AdapterError, Culprit, ExchangeError, HubError, Language
from hub.wire import PROBLEM_MEDIA_TYPE, describe

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

_STATUS = {
    "access.not_authenticated": 401,
    "portal.too_many_attempts": 429,
    "adapter.approval_missing": 409,
    "adapter.configuration_invalid": 422,
    "adapter.own_version": 403,
    "adapter.test_missing": 409,
    "adapter.version_conflict": 409,
    "adapter.version_unknown": 404,
    "adapter.service_unknown": 404,
    "adapter.system_timeout": 504,
    "adapter.draft_unknown": 404,
    "adapter.draft_changed": 409,
    "adapter.draft_limit": 409,
    "adapter.source_refused": 422,
    "adapter.description_incomplete": 422,
    "adapter.sample_invalid": 422,
    "adapter.internal": 500,
    "portal.form_untrusted": 403,
    "portal.page_unknown": 404,
}
_STATUS_BY_CULPRIT = {Culprit.SENDER: 400, Culprit.RECIPIENT: 502, Culprit.HUB: 500}


def status_of(error: HubError) -> int:
    """Return the HTTP status of an error at a console."""
    return _STATUS.get(error.code, _STATUS_BY_CULPRIT[error.culprit])


def problem(error: HubError, language: Language, *, status: int | None = None) -> JSONResponse:
    """Write an error as a problem document.

    Args:
        error: what is wrong.
        language: for people.
        status: the HTTP status; without one, that of the code.
    """
    status = status or status_of(error)
    more = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return JSONResponse(
        describe(error, language, status),
        status_code=status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers={"Content-Language": language.value, **more},
    )


def install_problems(app: FastAPI) -> None:
    """Let the application answer every error as a problem document."""

    @app.exception_handler(HubError)
    async def on_error(request: Request, error: HubError) -> JSONResponse:
        return problem(error, _language(request))

    @app.exception_handler(HTTPException)
    async def on_no_route(request: Request, error: HTTPException) -> JSONResponse:
        refusal = ExchangeError("exchange.request_invalid", f"{request.method}: {error.detail}")
        response = problem(refusal, _language(request), status=error.status_code)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # The values are left out: they may be somebody's personal data.
        places = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        return problem(ExchangeError("exchange.request_invalid", places), _language(request))

    @app.exception_handler(Exception)
    async def on_failure(request: Request, error: Exception) -> JSONResponse:
        # The server logs the error itself, with its place; callers learn nothing of the gateway's inside.
        del error
        return problem(
            AdapterError("adapter.system_fault", "the console failed"), _language(request), status=500
        )


def _language(request: Request) -> Language:
    """Choose the language named first (RFC 9110 section 12.5.4); Chinese where none is."""
    for choice in request.headers.get("accept-language", "").lower().split(","):
        if choice.strip().startswith(("en", "zh")):
            return Language.EN if choice.strip().startswith("en") else Language.ZH
    return Language.ZH
