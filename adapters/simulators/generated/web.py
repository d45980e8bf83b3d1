# SPDX-License-Identifier: Apache-2.0
"""A stand-in that answers a contract's questions as JSON over HTTP, with an API key.

`POST /<name of the contract>` takes the request and answers the response, in the contract's own words; what
breaks the contract is a problem document (RFC 9457), nobody known is 404. A repeated `Idempotency-Key` is
answered as before.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.simulators.generated.misconduct import Misbehaviour
from adapters.simulators.generated.offer import Offer, same_members
from adapters.simulators.generated.respondent import Outcome

if TYPE_CHECKING:
    from starlette.requests import Request

    from adapters.simulators.generated.misconduct import Misconduct
    from adapters.simulators.generated.respondent import Respondent, Said

_HEADER = "X-Stand-In-Key"
_KEY_FILE = "api-key"
_MAX_REQUEST_BYTES = 20_000_000
_MOST_REMEMBERED = 10_000


class JsonStandIn:
    """The service.

    Args:
        respondent: knows the answers.
        misconduct: what goes wrong.
    """

    def __init__(self, respondent: Respondent, misconduct: Misconduct) -> None:
        self._respondent = respondent
        self._misconduct = misconduct
        self._key = secrets.token_urlsafe(24)
        self._path = "/" + respondent.contract.id.partition("/")[0]
        self._answered: dict[str, Said] = {}

    def app(self) -> Starlette:
        """Return the HTTP application."""
        return Starlette(routes=[Route(self._path, self._serve, methods=["POST"])])

    def offer(self, port: int) -> Offer:
        """Return how an adapter reaches it."""
        contract = self._respondent.contract
        request = next((part.schema for part in contract.request if part.schema is not None), None)
        response = next((part.schema for part in contract.response if part.schema is not None), None)
        return Offer(
            kind="rest",
            port=port,
            connection={
                "url": "http://127.0.0.1",
                "port": port,
                "path": self._path,
                "method": "POST",
                "auth": {"kind": "api_key", "header": _HEADER, "secret": f"file:{_KEY_FILE}"},
            },
            request={"object": {"body": same_members(request, "request")}},
            response=same_members(response, "answer") if contract.response else None,
            secrets={_KEY_FILE: self._key},
        )

    async def _serve(self, request: Request) -> Response:
        how = self._misconduct.of_next_call()
        if how is Misbehaviour.SLOW:
            await asyncio.sleep(self._misconduct.slow_seconds)
        if how is Misbehaviour.FAULT:
            return _problem(500, "系统繁忙 / the system is busy")
        if not hmac.compare_digest(request.headers.get(_HEADER, "").encode(), self._key.encode()):
            return _problem(401, "未授权 / not authorised")
        body = await request.body()
        if len(body) > _MAX_REQUEST_BYTES:
            return _problem(413, "请求过大 / the request is too large")
        try:
            question = json.loads(body)
        except ValueError:
            return _problem(400, "不是JSON / not JSON")
        said = await run_in_threadpool(self._answer_once, request.headers.get("idempotency-key"), question)
        return _answered(said, how, is_awaited=bool(self._respondent.contract.response))

    def _answer_once(self, key: str | None, question: object) -> Said:
        """Answer a question, and a repeated one as before."""
        if key is not None and key in self._answered:
            return self._answered[key]
        said = self._respondent.answer(question)  # type: ignore[arg-type]  # json.loads gives JSON
        if key is not None:
            if len(self._answered) >= _MOST_REMEMBERED:
                self._answered.pop(next(iter(self._answered)))
            self._answered[key] = said
        return said


def _answered(said: Said, how: Misbehaviour | None, *, is_awaited: bool) -> Response:
    match said.outcome:
        case Outcome.INVALID:
            return _problem(400, said.reason)
        case Outcome.NOT_FOUND:
            return _problem(404, "查无记录 / no record")
        case Outcome.ANSWERED if not is_awaited:
            return Response(status_code=204)
    data = broken(said.data) if how is Misbehaviour.BREAKS_CONTRACT else said.data
    body = json.dumps(data, ensure_ascii=False).encode()
    if how is Misbehaviour.HALF_WRITTEN:
        body = body[: len(body) // 2]
    if how is Misbehaviour.OVERSIZED:
        body = b"[" + b"0," * 10_000_000 + b"0]"
    return Response(body, media_type="application/json")


def broken(data: object) -> object:
    """Return an answer that its contract does not allow: its first member is of another type."""
    if not isinstance(data, dict) or not data:
        return {"unexpected": True}
    first = next(iter(data))
    return {**data, first: {"unexpected": True} if not isinstance(data[first], dict) else 7}


def _problem(status: int, detail: str) -> Response:
    content = {"type": "about:blank", "status": status, "detail": detail}
    return JSONResponse(content, status_code=status, media_type="application/problem+json")
