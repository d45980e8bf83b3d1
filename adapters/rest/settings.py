# SPDX-License-Identifier: Apache-2.0
"""What a description says about a connection to a JSON service."""

from __future__ import annotations

import base64
from enum import StrEnum
from http import HTTPMethod
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from adapters.entry import ConnectionSettings, OutcomeCode
from adapters.nodes import CompiledExpression
from adapters.references import (
    ReferredPort,
    ReferredText,
    SecretReference,
)
from adapters.web import TlsSettings


class AuthKind(StrEnum):
    """How this gateway shows who it is."""

    API_KEY = "api_key"
    BASIC = "basic"
    BEARER = "bearer"


class AuthSettings(ConnectionSettings):
    """Signing in.

    Attributes:
        header: where an API key goes.
        username: for `basic`.
        secret: the API key, the password or the token.
    """

    kind: Annotated[AuthKind, Field(strict=False)]
    secret: SecretReference
    header: str = "X-API-Key"
    username: ReferredText | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.kind is AuthKind.BASIC) != (self.username is not None):
            raise ValueError("a username belongs to basic, and basic needs one")
        return self

    def headers(self) -> dict[str, str]:
        """Return the header that signs in (RFC 6750 for bearer, RFC 7617 for basic)."""
        secret = self.secret.reveal()
        match self.kind:
            case AuthKind.API_KEY:
                return {self.header: secret}
            case AuthKind.BEARER:
                return {"Authorization": f"Bearer {secret}"}
            case AuthKind.BASIC:
                pair = base64.b64encode(f"{self.username}:{secret}".encode()).decode("ascii")
                return {"Authorization": f"Basic {pair}"}


class RestSettings(ConnectionSettings):
    """A connection to a JSON service.

    The request mapping gives an object with `path` (values of the path's `{names}`), `query` and `body`, each
    where the service has it.

    Attributes:
        url: scheme, host and the part of the path that all calls share.
        port: TCP port in place of the one in `url`.
        path: the rest of the path, with `{names}`.
        for_each: an array of the request; the service is asked once for each element, `item` in the request
            mapping. `answer` is then an array of `{item, is_found, body}`.
        parallel: how many of these are asked at the same time.
        statuses: HTTP statuses that mean something other than usual.
        idempotency_header: carries the message id to a service that does its work only once for each; None
            for one that knows no such header. It is sent with every method that may change something.
        deferred_seconds: how long the answer may take when the service says 202 Accepted: then it is asked
            again, with the same key, after its `Retry-After` or at the end of this time. Without it, 202 is
            an answer.
        encoding: of the answer, where the service is older than RFC 8259.
    """

    url: ReferredText
    port: ReferredPort | None = None
    path: str = ""
    method: Annotated[HTTPMethod, Field(strict=False)] = HTTPMethod.GET
    headers: dict[str, ReferredText] = Field(default={})
    auth: AuthSettings | None = None
    for_each: CompiledExpression | None = None
    parallel: Annotated[int, Field(ge=1, le=16)] = 1
    statuses: dict[str, Annotated[OutcomeCode, Field(strict=False)]] = Field(default={})
    idempotency_header: Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9-]{0,63}$")] | None = (
        "Idempotency-Key"
    )
    deferred_seconds: Annotated[int, Field(ge=1, le=30 * 86_400)] | None = None
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
        return self
