# SPDX-License-Identifier: Apache-2.0
"""Errors as HTTP says them: problem documents with the hub's stable codes.

Source: RFC 9457.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from hub.errors import AccessError, Culprit, ExchangeError, HubError, Language
from hub.wire import PROBLEM_MEDIA_TYPE, describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI, Request

__all__ = ["PROBLEM_MEDIA_TYPE", "install_problems", "preferred_language", "problem", "require", "status_of"]

_STATUS = {
    "access.not_authenticated": 401,
    "access.role_missing": 403,
    "access.service_not_granted": 403,
    "access.purpose_not_allowed": 403,
    "access.service_not_owned": 403,
    "envelope.too_large": 413,
    "exchange.client_certificate_missing": 403,
    "exchange.client_certificate_mismatch": 403,
    "exchange.duplicate_message": 409,
    "exchange.id_reused": 409,
    "exchange.in_progress": 409,
    "exchange.answer_not_awaited": 409,
    "exchange.queued": 409,
    "exchange.poll_unusable": 409,
    "exchange.not_collected": 504,
    "exchange.upload_unknown": 404,
    "exchange.upload_offset_mismatch": 409,
    "exchange.upload_quota": 429,
    "vault.file_busy": 409,
    "exchange.message_unknown": 404,
    "exchange.dead_letter_unknown": 404,
    "exchange.not_dead": 409,
    "exchange.service_paused": 503,
    "exchange.delivery_timeout": 504,
    "adapter.record_not_found": 404,
    "adapter.record_ambiguous": 409,
    "adapter.system_timeout": 504,
    "log.entry_unknown": 404,
    "log.stamp_unknown": 404,
    "log.record_unknown": 404,
    "log.tile_unknown": 404,
    "vault.erased": 410,
    "vault.storage_full": 507,
    "vault.archive_unreachable": 503,
    "vault.archive_missing": 503,
    "vault.archiving": 409,
    "log.log_unknown": 404,
    "log.not_witnessed": 404,
    "log.submission_inconsistent": 422,
    "log.submission_outdated": 409,
    "log.submission_untrusted": 403,
    "vault.key_unknown": 404,
    "vault.key_in_use": 409,
    "vault.not_due": 409,
    "vault.held": 409,
    "vault.hold_unknown": 404,
    "registry.member_unknown": 404,
    "registry.subsystem_unknown": 404,
    "registry.service_unknown": 404,
    "registry.access_right_unknown": 404,
    "registry.subscription_unknown": 404,
    "registry.certificate_unknown": 404,
    "registry.certificate_retired": 409,
    "registry.member_inactive": 403,
    "registry.entry_in_use": 409,
    "access.token_unknown": 404,
    "alarm.unknown": 404,
    "portal.page_unknown": 404,
    "portal.session_ended": 401,
    "portal.form_untrusted": 403,
    "portal.too_many_attempts": 429,
    "trust.revocation_unknown": 503,
    "trust.certificate_not_registered": 403,
    "trust.key_of_another_member": 409,
    "trust.token_unavailable": 503,
    "trust.timestamp_unavailable": 503,
    "trust.trust_list_forked": 409,
    "trust.trust_list_not_next": 409,
    "trust.trust_list_outdated": 503,
    "trust.trust_list_rolled_back": 409,
    "trust.trust_list_unknown": 404,
    "trust.trust_list_untrusted": 403,
    "trust.key_exists": 409,
    "trust.key_unknown": 404,
}
_STATUS_BY_CULPRIT = {Culprit.SENDER: 400, Culprit.RECIPIENT: 502, Culprit.HUB: 500}
_FAILURE = ExchangeError("exchange.internal")


def status_of(code: str, culprit: Culprit) -> int:
    """Return the HTTP status for an error code."""
    return _STATUS.get(code, _STATUS_BY_CULPRIT[culprit])


def status_of_error(error: HubError) -> int:
    """Return the HTTP status for an error."""
    return status_of(error.code, error.culprit)


def preferred_language(accept_language: str) -> Language:
    """Choose between Chinese and English as the caller prefers; Chinese when the caller does not say.

    Source: RFC 9110 section 12.5.4, without weights: the language named first wins.
    """
    for choice in accept_language.lower().split(","):
        if choice.strip().startswith("en"):
            return Language.EN
        if choice.strip().startswith("zh"):
            return Language.ZH
    return Language.ZH


def problem(error: HubError, language: Language, *, status: int | None = None) -> JSONResponse:
    """Write an error as a problem document; one that refuses a certificate says which and why (`finding`).

    Args:
        error: what is wrong.
        language: for people.
        status: the HTTP status; without one, that of the code.
    """
    status = status or status_of_error(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return JSONResponse(
        describe(error, language, status),
        status_code=status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers={"Content-Language": language.value, **headers},
    )


def install_problems(
    app: FastAPI,
    *,
    status: Callable[[HubError], int] = status_of_error,
    failure: HubError = _FAILURE,
) -> None:
    """Let an application answer every error as a problem document.

    Args:
        app: the application.
        status: the HTTP status of an error.
        failure: what is said of a fault of our own; nothing more is.
    """

    def answer(request: Request, error: HubError, more: int | None = None) -> JSONResponse:
        language = preferred_language(request.headers.get("accept-language", ""))
        return problem(error, language, status=more or status(error))

    @app.exception_handler(HubError)
    async def on_error(request: Request, error: HubError) -> JSONResponse:
        return answer(request, error)

    @app.exception_handler(HTTPException)
    async def on_no_route(request: Request, error: HTTPException) -> JSONResponse:
        refusal = ExchangeError("exchange.request_invalid", f"{request.method}: {error.detail}")
        response = answer(request, refusal, error.status_code)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def on_failure(request: Request, error: Exception) -> JSONResponse:
        # The server logs the error itself, with its place; callers learn nothing of the inside.
        del error
        return answer(request, failure, 500)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # The values are left out: they may be somebody's personal data.
        places = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        return answer(request, ExchangeError("exchange.request_invalid", places))


def require(is_allowed: bool, detail: str) -> None:  # noqa: FBT001 - reads as a sentence: require(x in y, why)
    """Refuse a caller whose role or subsystem does not allow what it asks.

    Raises:
        AccessError: `access.role_missing`.
    """
    if not is_allowed:
        raise AccessError("access.role_missing", detail)
