# SPDX-License-Identifier: Apache-2.0
"""What a description says about a connection to a REST service."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPMethod
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from adapters.entry import ConnectionSettings, OutcomeCode
from adapters.nodes import CompiledExpression
from adapters.references import ReferredPort, ReferredText
from adapters.rest.authentication import Auth, OAuth2Auth
from adapters.rest.content import BodyFormat, Style
from adapters.rest.paging import PagingSettings
from adapters.web import TlsSettings


class AnswerFormat(StrEnum):
    """How an answer is read."""

    JSON = "json"
    XML = "xml"
    TEXT = "text"
    BINARY = "binary"


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


class RestSettings(ConnectionSettings):
    """A connection to a REST service.

    The request mapping gives an object with `path` (values of the path's `{names}`), `query`, `headers`,
    `cookies`, and `body`, or `form` and `files`, each where the service has it. A file is `{payload: name}`,
    for a large payload of the request, or `{base64: text}`, with `name` and `media_type`.

    Attributes:
        url: scheme, host and the part of the path that all calls share.
        port: TCP port in place of the one in `url`.
        path: the rest of the path, with `{names}`.
        headers: the same with every request.
        auth: one way to sign in, or several that are shown together (`adapters.rest.authentication`).
        body_format: how the body is written: json, form, multipart, xml, text, binary.
        body_type: its media type, where it is not the format's usual one.
        answer_format: how the answer is read: json, xml, text, binary.
        document: name of the answer's document, for `binary`: `answer` is then its `media_type` and `size`.
        styles: how lists and objects are written as parameters, by name: repeat (a=1&a=2, the usual one in
            the query), comma (the usual one elsewhere), space, pipe, deep (a[b]=1), json.
        paging: how to gather an answer that comes in pages (`adapters.rest.paging`).
        whole_answer: `answer` is `{status, headers, body}`, header names in small letters.
        for_each: an array of the request; the service is asked once for each element, `item` in the request
            mapping. `answer` is then an array of `{item, is_found, body}`.
        parallel: how many of these are asked at the same time.
        statuses: HTTP statuses that mean something other than usual.
        problems: the same for problem documents (RFC 9457), by their `type` or `code`.
        attempts: how often a request is sent that changes nothing, while the service is away or busy. What
            may change something is sent again only where it did not even arrive.
        idempotency_header: carries the message id to a service that does its work only once for each; None
            for one that knows no such header. It is sent with every method that may change something.
        deferred_seconds: how long the answer may take when the service says 202 Accepted: then it is asked
            again, with the same key, after its `Retry-After` or at the end of this time. Without it, 202 is
            an answer.
        probe_path: of a resource that may be read to try the connection, such as `/health`; without it, only
            the host is tried.
        encoding: of the answer, where the service is older than RFC 8259.
    """

    url: ReferredText
    port: ReferredPort | None = None
    path: str = ""
    method: Annotated[HTTPMethod, Field(strict=False)] = HTTPMethod.GET
    headers: dict[str, ReferredText] = Field(default={})
    auth: Annotated[tuple[Auth, ...], BeforeValidator(_listed), Field(strict=False)] = ()
    body_format: Annotated[BodyFormat, Field(strict=False)] = BodyFormat.JSON
    body_type: str | None = None
    answer_format: Annotated[AnswerFormat, Field(strict=False)] = AnswerFormat.JSON
    document: Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] | None = None
    styles: dict[str, Annotated[Style, Field(strict=False)]] = Field(default={})
    paging: PagingSettings | None = None
    whole_answer: bool = False
    for_each: CompiledExpression | None = None
    parallel: Annotated[int, Field(ge=1, le=16)] = 1
    statuses: dict[str, Annotated[OutcomeCode, Field(strict=False)]] = Field(default={})
    problems: dict[str, Annotated[OutcomeCode, Field(strict=False)]] = Field(default={})
    attempts: Annotated[int, Field(ge=1, le=5)] = 2
    idempotency_header: Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9-]{0,63}$")] | None = (
        "Idempotency-Key"
    )
    deferred_seconds: Annotated[int, Field(ge=1, le=30 * 86_400)] | None = None
    probe_path: Annotated[str, Field(pattern="^/[^?#{}]*$")] | None = None
    encoding: str = "utf-8"
    max_answer_bytes: Annotated[int, Field(ge=1024, le=200_000_000)] = 10_000_000
    tls: TlsSettings = TlsSettings()

    @model_validator(mode="after")
    def _check(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("url is an http or https address without a query")
        if self.path and not self.path.startswith("/"):
            raise ValueError("path starts with /")
        if (self.answer_format is AnswerFormat.BINARY) != (self.document is not None):
            raise ValueError("document belongs to answers that are binary, and these need one")
        if self.paging is not None and (self.whole_answer or self.answer_format is not AnswerFormat.JSON):
            raise ValueError("only JSON comes in pages, and without whole_answer")
        if len([each for each in self.auth if isinstance(each, OAuth2Auth)]) > 1:
            raise ValueError("one token is enough")
        return self
