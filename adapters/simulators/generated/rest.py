# SPDX-License-Identifier: Apache-2.0
"""A stand-in of a REST service, generated from its OpenAPI file. Never for production.

It takes what the file describes and refuses the rest as such services do, with problem documents: unknown
paths (404), methods (405), who does not sign in (401), requests that do not keep to their schemas (400). It
answers the file's examples where they keep to their own schemas, and invented values otherwise, the same for
the same seed and question. Tokens for OAuth2 come from `TOKEN_PATH`, for the client `stand-in`.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.invention import Inventor, NothingFitsError, asked
from adapters.openapi import SchemaBundle, is_json, preferred, read_description, success
from adapters.openapi.connections import Connections
from adapters.openapi.endpoints import Dialect
from adapters.simulators.generated.misconduct import Misbehaviour
from adapters.simulators.generated.offer import Offer
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from starlette.requests import Request

    from adapters.openapi import Body, Description, Endpoint, Parameter
    from adapters.ports import JsonObject, JsonValue
    from adapters.simulators.generated.misconduct import Misconduct

CLIENT = "stand-in"
_DESCRIPTION_FILE, _SECRET_FILE = "service.json", "system-secret"
TOKEN_PATH = "/stand-in/token"  # noqa: S105 - a path
_METHODS = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"]
_MOST_REQUEST_BYTES = 50_000_000
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# An answer about a uuid that was asked for is about that one.
_FORMATS = {"uuid": lambda text: bool(_UUID.fullmatch(text))}
_NEXT = ("next", "previous", "nextLink", "next_page_url")


class _RefusedError(Exception):
    """What a request is refused with; `places` name what is wrong in it."""

    def __init__(self, status: int, kind: str, places: tuple[str, ...] = ()) -> None:
        super().__init__(f"{status} {kind}")
        self.status = status
        self.kind = kind
        self.places = places


class OpenApiStandIn:
    """The service.

    Args:
        path: the OpenAPI or Swagger file.
        misconduct: what goes wrong.
        seed: the same seed gives the same answers.
        now: what instants say.
        secret: what signs in, whatever the way: key, token, password.

    Attributes:
        answers: what it says.

    Raises:
        AdapterError: `adapter.configuration_invalid`, the file describes nothing that can be answered.
    """

    def __init__(
        self,
        path: Path,
        misconduct: Misconduct,
        *,
        now: datetime,
        seed: str = "0",
        secret: str | None = None,
    ) -> None:
        self.description = read_description(path)
        if not self.description.endpoints:
            found = (*self.description.findings, *self.description.documents.findings)
            reasons = ", ".join(dict.fromkeys(finding.code for finding in found))
            raise AdapterError("adapter.configuration_invalid", f"{path.name}: {reasons}")
        self.secret = secret or secrets.token_urlsafe(24)
        self._misconduct = misconduct
        self.answers = Answers(self.description, seed, now)
        self._judges = _Judges(self.description)
        self._endpoints = _by_path(self.description)

    def app(self) -> Starlette:
        """Return the HTTP application."""
        return Starlette(routes=[Route("/{path:path}", self._serve, methods=_METHODS)])

    def offer(self, port: int) -> Offer:
        """Return how an adapter reaches it: the file with the stand-in's address, and the secret."""
        description = self.description
        root = description.documents.root.value
        url, prefix = Connections(description.documents, description.dialect).address(
            description.endpoints[0]
        )
        base = urlsplit(url).path + prefix if "://" in url else prefix
        changed: dict[str, JsonValue] = dict(root) if isinstance(root, dict) else {}
        if description.dialect is Dialect.SWAGGER_2:
            changed |= {"schemes": ["http"], "host": f"127.0.0.1:{port}", "basePath": base or "/"}
        else:
            changed["servers"] = [{"url": f"http://127.0.0.1:{port}{base}"}]
        content = json.dumps(changed, ensure_ascii=False, indent=1)
        return Offer(
            kind="rest",
            port=port,
            connection={"url": f"http://127.0.0.1:{port}{base}", "secret": f"file:{_SECRET_FILE}"},
            request={},
            secrets={_DESCRIPTION_FILE: content, _SECRET_FILE: self.secret},
        )

    async def _serve(self, request: Request) -> Response:
        how = self._misconduct.of_next_call()
        if how is Misbehaviour.SLOW:
            await asyncio.sleep(self._misconduct.slow_seconds)
        if how is Misbehaviour.FAULT:
            return _problem(_RefusedError(500, "urn:stand-in:busy"))
        if how is Misbehaviour.REDIRECT:
            return Response(status_code=302, headers={"location": "http://198.51.100.7/"})
        path = request.scope.get("raw_path", b"").decode("ascii").partition("?")[0]
        try:
            body = await _body(request)
            if path == TOKEN_PATH and request.method == "POST":
                return self._token(request, body)
            endpoint, values = self._found(path, request.method)
            self._judges.sign_in(endpoint, request, self.secret)
            question = self._judges.question(endpoint, values, request, body)
            status, media_type, answer = await run_in_threadpool(self.answers.answer, endpoint, question)
        except _RefusedError as refusal:
            return _problem(refusal)
        return _answered(status, media_type, answer, how)

    def _found(self, path: str, method: str) -> tuple[Endpoint, dict[str, str]]:
        allowed = set()
        for pattern, endpoint in self._endpoints:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            if endpoint.method == method:
                names = re.findall(r"\{([^{}/]+)\}", endpoint.path)
                return endpoint, dict(zip(names, map(unquote, match.groups()), strict=True))
            allowed.add(endpoint.method)
        raise (
            _RefusedError(405, "urn:stand-in:method") if allowed else _RefusedError(404, "urn:stand-in:path")
        )

    def _token(self, request: Request, body: bytes) -> Response:
        pair = base64.b64encode(f"{CLIENT}:{self.secret}".encode()).decode()
        shown = request.headers.get("authorization", "")
        if not hmac.compare_digest(shown, f"Basic {pair}") or b"grant_type=client_credentials" not in body:
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        return JSONResponse({"access_token": self.secret, "token_type": "Bearer", "expires_in": 3600})


def _by_path(description: Description) -> list[tuple[re.Pattern[str], Endpoint]]:
    """Return what answers which path, those with fewer names first (OpenAPI 3.0.4 section 4.7.8)."""
    connections = Connections(description.documents, description.dialect)
    found = []
    for endpoint in description.endpoints:
        url, prefix = connections.address(endpoint)
        whole = (urlsplit(url).path if "://" in url else "") + prefix + endpoint.path
        pieces = re.split(r"\{[^{}/]+\}", whole)
        found.append((re.compile("([^/]+)".join(map(re.escape, pieces))), endpoint))
    return sorted(found, key=lambda each: (each[1].path.count("{"), -len(each[1].path)))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_REQUEST_BYTES:
            raise _RefusedError(413, "urn:stand-in:too-large")
    return bytes(body)


class _Judges:
    """Holds requests against what the file says of them."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self._bundle = SchemaBundle(description.documents, is_request=True)

    def sign_in(self, endpoint: Endpoint, request: Request, secret: str) -> None:
        """Refuse who does not show the secret in one of the described ways."""
        if not endpoint.security or {} in endpoint.security:
            return
        shown = [
            request.headers.get("authorization", "").partition(" ")[2],
            *request.headers.values(),
            *request.query_params.values(),
            *request.cookies.values(),
        ]
        # What is no password is a token.
        with suppress(ValueError):
            shown.append(base64.b64decode(shown[0]).decode().rpartition(":")[2])
        if not any(hmac.compare_digest(each.encode(), secret.encode()) for each in shown):
            raise _RefusedError(401, "urn:stand-in:not-signed-in")

    def question(
        self, endpoint: Endpoint, values: Mapping[str, str], request: Request, body: bytes
    ) -> JsonObject:
        """Return what is asked, or refuse it with the places where it does not keep to the file."""
        texts: dict[str, Mapping[str, Any]] = {
            "path": values,
            "query": request.query_params,
            "header": request.headers,
            "cookie": request.cookies,
        }
        wrong: list[str] = []
        question: dict[str, JsonValue] = {}
        for parameter in endpoint.parameters:
            text = texts[parameter.place].get(parameter.name)
            if text is None:
                wrong += [f"{parameter.place}.{parameter.name}"] if parameter.is_required else []
            elif not self._holds(parameter, text):
                wrong.append(f"{parameter.place}.{parameter.name}")
            else:
                question[parameter.name] = text
        question["body"] = self._judged(endpoint, request, body, wrong)
        if wrong:
            raise _RefusedError(400, "urn:stand-in:invalid", tuple(wrong))
        return question

    def _holds(self, parameter: Parameter, text: str) -> bool:
        schema = self._bundle.schema(parameter.schema)
        candidates: list[JsonValue] = [text, text.split(",")]
        # What is no JSON is text as it stands.
        with suppress(ValueError):
            candidates.append(json.loads(text))
        validator = self._bundle.validator(schema)
        return any(validator.is_valid(each) for each in candidates)

    def _judged(self, endpoint: Endpoint, request: Request, body: bytes, wrong: list[str]) -> JsonValue:
        if not endpoint.bodies or not body:
            wrong += ["body"] if endpoint.bodies and endpoint.is_body_required and not body else []
            return None
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        known = [each for each in endpoint.bodies if each.media_type.partition(";")[0] == media_type]
        known += [each for each in endpoint.bodies if each.media_type == "*/*"]
        if not known:
            raise _RefusedError(415, "urn:stand-in:media-type")
        if not is_json(media_type):
            return None
        try:
            said: JsonValue = json.loads(body)
        except (ValueError, RecursionError) as exc:
            raise _RefusedError(400, "urn:stand-in:not-json") from exc
        validator = self._bundle.validator(self._bundle.schema(known[0].schema))
        wrong += [
            "/".join(["body", *(str(step) for step in error.instance_path)])
            for error in validator.iter_errors(said)
        ]
        return said


class Answers:
    """Finds or invents what the file lets a service say."""

    def __init__(self, description: Description, seed: str, now: datetime) -> None:
        self._bundle = SchemaBundle(description.documents, is_request=False)
        self._seed, self._now = seed, now

    def answer(self, endpoint: Endpoint, question: JsonObject) -> tuple[int, str, JsonValue]:
        """Return status, media type and content of the answer to a question."""
        reply = success(endpoint.replies)
        body = preferred(reply.bodies) if reply is not None else None
        status = int(reply.status) if reply is not None and reply.status.isdigit() else 200
        if body is None or endpoint.method == "HEAD":
            return status, "", None
        if not is_json(body.media_type):
            return status, body.media_type, f"{endpoint.name}\n"
        media_type = "application/json" if "*" in body.media_type else body.media_type
        return status, media_type, self._content(endpoint, body, question)

    def _content(self, endpoint: Endpoint, body: Body, question: JsonObject) -> JsonValue:
        schema = self._bundle.schema(body.schema)
        validator = self._bundle.validator(schema)
        for example in _examples(body):
            if validator.is_valid(example):
                return example
        key = json.dumps([endpoint.name, question], sort_keys=True, ensure_ascii=False)
        inventor = Inventor(root=self._bundle.whole({}), seed=f"{self._seed}/{key}", now=self._now)
        try:
            invented = inventor.invent(schema, asked(question, _FORMATS))
        except NothingFitsError as exc:
            raise _RefusedError(501, "urn:stand-in:nothing-fits") from exc
        if isinstance(invented, dict):
            # One page is all there is, whatever address was invented for the next one.
            ended = {**invented, **{name: None for name in _NEXT if name in invented}}
            if validator.is_valid(ended):
                return ended
        return invented


def _examples(body: Body) -> list[JsonValue]:
    described = body.described
    if described is None:
        return []
    own = [described.get("example")]
    # Swagger 2 has examples by media type, OpenAPI 3 by name with a value.
    named = described.get("examples")
    if named is not None:
        own += [each.get("value") or each for _, each in named.members()]
    return [each.value for each in own if each is not None]


def _answered(status: int, media_type: str, answer: JsonValue, how: Misbehaviour | None) -> Response:
    if not media_type:
        return Response(status_code=status)
    if how is Misbehaviour.BREAKS_CONTRACT:
        answer = {"unexpected": True}
    content = (
        answer.encode()
        if isinstance(answer, str) and not is_json(media_type)
        else json.dumps(answer, ensure_ascii=False).encode()
    )
    if how is Misbehaviour.HALF_WRITTEN:
        content = content[: len(content) // 2]
    if how is Misbehaviour.OVERSIZED:
        content = b"[" + b"0," * 10_000_000 + b"0]"
    return Response(content, status_code=status, media_type=media_type)


def _problem(refusal: _RefusedError) -> Response:
    content: dict[str, Any] = {"type": refusal.kind, "status": refusal.status}
    if refusal.places:
        content["invalidParams"] = [{"name": place} for place in refusal.places]
    return JSONResponse(content, status_code=refusal.status, media_type="application/problem+json")
