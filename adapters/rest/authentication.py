# SPDX-License-Identifier: Apache-2.0
"""How this gateway shows a REST service who it is.

    api_key  a secret in a header, the query or a cookie
    basic    a name and a password (RFC 7617)
    bearer   a token that was handed out (RFC 6750)
    jwt      a token this gateway makes and signs itself for each request (RFC 7519, HS256)
    hmac     a keyed digest over what the description says, such as DigiLocker's `x-digilocker-hmac`
    oauth2   a token from a token endpoint, by client credentials (RFC 6749 section 4.4)

Mutual TLS is a matter of the connection's `tls`, and goes with any of these or alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import replace
from email.utils import format_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import AfterValidator, Field, model_validator

from adapters.entry import ConnectionSettings
from adapters.references import ReferredText, SecretReference
from hub.clock import format_instant

if TYPE_CHECKING:
    from datetime import datetime

    from adapters.web import Outgoing

_PLACE = re.compile(r"\{([a-z0-9_]+)\}")
_OF_THE_REQUEST = ("method", "host", "path", "query", "sorted_query", "url", "body", "body_sha256")
_OF_THE_MOMENT = ("timestamp", "timestamp_ms", "date", "instant", "nonce")
_FACTS = frozenset((*_OF_THE_REQUEST, *_OF_THE_MOMENT))


class _Auth(ConnectionSettings):
    secret: SecretReference

    def sign(self, request: Outgoing, now: datetime) -> Outgoing:
        """Return the request with what shows who asks."""
        raise NotImplementedError


class ApiKeyAuth(_Auth):
    """A secret that goes with every request.

    Attributes:
        header: where it stands; `query` or `cookie` in its place.
    """

    kind: Literal["api_key"]
    header: str = "X-API-Key"
    query: str | None = None
    cookie: str | None = None

    def sign(self, request: Outgoing, now: datetime) -> Outgoing:
        """See `_Auth`."""
        del now
        secret = self.secret.reveal()
        if self.query is not None:
            return in_query(request, self.query, secret)
        if self.cookie is not None:
            pair = f"{self.cookie}={quote(secret, safe='')}"
            before = request.headers.get("Cookie")
            return with_header(request, "Cookie", f"{before}; {pair}" if before else pair)
        return with_header(request, self.header, secret)


class BasicAuth(_Auth):
    """A name and a password."""

    kind: Literal["basic"]
    username: ReferredText

    def sign(self, request: Outgoing, now: datetime) -> Outgoing:
        """See `_Auth`."""
        del now
        return with_header(request, "Authorization", basic(self.username, self.secret.reveal()))


class BearerAuth(_Auth):
    """A token."""

    kind: Literal["bearer"]

    def sign(self, request: Outgoing, now: datetime) -> Outgoing:
        """See `_Auth`."""
        del now
        return with_header(request, "Authorization", f"Bearer {self.secret.reveal()}")


class JwtAuth(_Auth):
    """A token made for each request, as the Dutch case systems (ZGW) want it.

    Attributes:
        client_id: `iss` and `client_id` of the token.
        claims: what else it says, such as `user_id`.
        lifetime_seconds: until `exp`.
    """

    kind: Literal["jwt"]
    client_id: ReferredText
    claims: dict[str, ReferredText] = Field(default={})
    lifetime_seconds: Annotated[int, Field(ge=10, le=3600)] = 60

    def sign(self, request: Outgoing, now: datetime) -> Outgoing:
        """See `_Auth`."""
        issued = int(now.timestamp())
        claims = {
            "iss": self.client_id,
            "client_id": self.client_id,
            "iat": issued,
            "exp": issued + self.lifetime_seconds,
            **self.claims,
        }
        parts = [_base64url(json.dumps(each).encode()) for each in ({"alg": "HS256", "typ": "JWT"}, claims)]
        signed = ".".join(parts)
        digest = hmac.digest(self.secret.reveal().encode(), signed.encode(), "sha256")
        return with_header(request, "Authorization", f"Bearer {signed}.{_base64url(digest)}")


class Algorithm(StrEnum):
    """Digests; the weak ones because there are systems that know no other."""

    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"
    SM3 = "sm3"
    SHA1 = "sha1"
    MD5 = "md5"


class SignatureEncoding(StrEnum):
    """How a digest is written."""

    BASE64 = "base64"
    BASE64URL = "base64url"
    HEX = "hex"
    HEX_UPPER = "hex_upper"


def _template(text: str) -> str:
    unknown = set(_PLACE.findall(text)) - _FACTS - {"signature", "secret"}
    if unknown:
        raise ValueError(f"knows no {', '.join(sorted(unknown))}; there are {', '.join(sorted(_FACTS))}")
    return text


Template = Annotated[str, AfterValidator(_template)]
"""A text with `{names}` of what a request is: see `HmacAuth`."""


class HmacAuth(_Auth):
    """A keyed digest over what the description says.

    Names in the templates: `{method} {host} {path} {query} {url} {body}`, `{sorted_query}` (parameters by
    name), `{body_sha256}` (hexadecimal), `{timestamp}` (Unix seconds), `{timestamp_ms}`, `{date}` (RFC 9110),
    `{instant}` (ISO 8601), `{nonce}` (32 hexadecimal digits); all of one request say the same instant.

    Attributes:
        sign: what is signed: the bytes of the body where nothing is said.
        is_keyed: false for systems that take a plain digest over a text with `{secret}` in it.
        header: where the signature stands, or `query` in its place.
        value: what stands there.
        headers: what else goes with the request, such as `X-Timestamp: "{timestamp}"`.
        parameters: likewise in the query, and part of what is signed.
        key_form: how the secret is written.
    """

    kind: Literal["hmac"]
    algorithm: Annotated[Algorithm, Field(strict=False)] = Algorithm.SHA256
    text: Template = Field(default="{body}", alias="sign")
    is_keyed: bool = True
    encoding: Annotated[SignatureEncoding, Field(strict=False)] = SignatureEncoding.BASE64
    key_form: Literal["text", "base64", "hex"] = "text"
    header: str = "X-Signature"
    query: str | None = None
    value: Template = "{signature}"
    headers: dict[str, Template] = Field(default={})
    parameters: dict[str, Template] = Field(default={})

    @model_validator(mode="after")
    def _check(self) -> Self:
        if "{body" in "".join(self.parameters.values()):
            raise ValueError("the body does not stand in the query")
        if self.is_keyed == ("{secret}" in self.text):
            raise ValueError("{secret} stands in what is signed exactly where is_keyed is false")
        if "{secret}" in "".join((self.value, *self.headers.values(), *self.parameters.values())):
            raise ValueError("the secret itself is never sent")
        try:
            self._key()
            hashlib.new(self.algorithm, usedforsecurity=False)
        except ValueError as exc:
            raise ValueError("the secret is not in this encoding, or this machine lacks the digest") from exc
        return self

    def sign(self, request: Outgoing, now: datetime) -> Outgoing:
        """See `_Auth`."""
        nonce = secrets.token_hex(16)
        for name, template in self.parameters.items():
            request = in_query(request, name, _filled(template, facts_of(request, now, nonce)).decode())
        facts = facts_of(request, now, nonce)
        if "{body" in "".join((self.text, self.value, *self.headers.values())):
            facts |= _body_facts(request)
        text = _filled(self.text, {**facts, "secret": self._key()})
        digest = (
            hmac.digest(self._key(), text, self.algorithm)
            if self.is_keyed
            else hashlib.new(self.algorithm, text, usedforsecurity=False).digest()
        )
        facts["signature"] = _encoded(digest, self.encoding).encode()
        for name, template in self.headers.items():
            request = with_header(request, name, _filled(template, facts).decode("latin-1"))
        value = _filled(self.value, facts).decode("latin-1")
        return (
            in_query(request, self.query, value) if self.query else with_header(request, self.header, value)
        )

    def _key(self) -> bytes:
        text = self.secret.reveal()
        if self.key_form == "base64":
            return base64.b64decode(text, validate=True)
        return bytes.fromhex(text) if self.key_form == "hex" else text.encode()


class OAuth2Auth(ConnectionSettings):
    """Client credentials; `adapters.rest.tokens` gets and keeps the token.

    Attributes:
        token_url: of the token endpoint.
        secret: of the client; None where it shows itself by its TLS certificate alone (RFC 8705).
        send_as: the secret in a header (RFC 6749 section 2.3.1) or in the `body`.
        parameters: what else the endpoint wants, such as `audience` or `resource`.
    """

    kind: Literal["oauth2"]
    token_url: ReferredText
    client_id: ReferredText
    secret: SecretReference | None = None
    send_as: Literal["header", "body"] = "header"
    scope: str | None = None
    parameters: dict[str, ReferredText] = Field(default={})

    @model_validator(mode="after")
    def _check(self) -> Self:
        parts = urlsplit(self.token_url)
        is_here = parts.hostname in {"127.0.0.1", "::1", "localhost"}
        if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
            raise ValueError("token_url is an https address: what goes there is the secret itself")
        if not parts.hostname or parts.fragment:
            raise ValueError("token_url is an address without a fragment")
        return self


Auth = Annotated[
    ApiKeyAuth | BasicAuth | BearerAuth | JwtAuth | HmacAuth | OAuth2Auth, Field(discriminator="kind")
]
"""One way to sign in."""


def with_header(request: Outgoing, name: str, value: str) -> Outgoing:
    """Return the request with a header."""
    return replace(request, headers={**request.headers, name: value})


def in_query(request: Outgoing, name: str, value: str) -> Outgoing:
    """Return the request with a parameter added to its address."""
    separator = "&" if urlsplit(request.url).query else "?"
    return replace(request, url=f"{request.url}{separator}{quote(name, safe='')}={quote(value, safe='')}")


def basic(username: str, password: str) -> str:
    """Return the value of the header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def facts_of(request: Outgoing, now: datetime, nonce: str) -> dict[str, bytes]:
    """Return what a signature's templates may name, without the body."""
    parts = urlsplit(request.url)
    pairs = sorted(parse_qsl(parts.query, keep_blank_values=True))
    texts = {
        "method": request.method,
        "host": parts.netloc,
        "path": parts.path or "/",
        "query": parts.query,
        "sorted_query": "&".join(f"{name}={value}" for name, value in pairs),
        "url": request.url,
        "timestamp": str(int(now.timestamp())),
        "timestamp_ms": str(int(now.timestamp() * 1000)),
        "date": format_datetime(now, usegmt=True),
        "instant": format_instant(now),
        "nonce": nonce,
    }
    return {name: text.encode() for name, text in texts.items()}


def _body_facts(request: Outgoing) -> dict[str, bytes]:
    """Return what is said of the body, which is read into memory only where a template names it."""
    content = request.content or b""
    body = content if isinstance(content, bytes) else b"".join(content)
    return {"body": body, "body_sha256": hashlib.sha256(body).hexdigest().encode()}


def _filled(template: str, facts: dict[str, bytes]) -> bytes:
    pieces = _PLACE.split(template)
    return b"".join(facts[piece] if number % 2 else piece.encode() for number, piece in enumerate(pieces))


def _encoded(digest: bytes, encoding: SignatureEncoding) -> str:
    match encoding:
        case SignatureEncoding.HEX:
            return digest.hex()
        case SignatureEncoding.HEX_UPPER:
            return digest.hex().upper()
        case SignatureEncoding.BASE64URL:
            return _base64url(digest)
        case SignatureEncoding.BASE64:
            return base64.b64encode(digest).decode("ascii")


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
