# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from adapters.entry import settings_of
from adapters.references import Surroundings
from adapters.rest.authentication import OAuth2Auth
from adapters.rest.settings import RestSettings
from adapters.web import Outgoing
from hub.clock import parse_instant
from hub.errors import AdapterError

NOW = parse_instant("2026-03-01T08:00:00.000Z")
BODY = '{"uid": "证"}'.encode()
REQUEST = Outgoing("POST", "https://hr.example.cn/api/pull?b=2&a=1", headers={}, content=BODY)


def signed(auth: Any, request: Outgoing = REQUEST) -> Outgoing:
    connection = {"url": "https://hr.example.cn", "auth": auth}
    around = Surroundings(Path(), {"KEY": "s3cret", "KEY64": "czNjcmV0"})
    for each in settings_of(RestSettings, connection, around, at="x").auth:
        assert not isinstance(each, OAuth2Auth)
        request = each.sign(request, NOW)
    return request


def test_digilockers_keyed_digest_over_the_body_is_made() -> None:
    auth = {"kind": "hmac", "secret": "env:KEY", "header": "x-digilocker-hmac"}
    expected = base64.b64encode(hmac.new(b"s3cret", BODY, hashlib.sha256).digest()).decode()

    assert signed(auth).headers["x-digilocker-hmac"] == expected


def test_what_is_signed_is_declared() -> None:
    auth = {
        "kind": "hmac",
        "secret": "env:KEY64",
        "key_form": "base64",
        "algorithm": "sha512",
        "encoding": "hex",
        "sign": "{method}\n{host}{path}\n{sorted_query}\n{timestamp}\n{body_sha256}",
        "header": "Authorization",
        "value": "HX app:{signature}",
        "headers": {"X-Time": "{timestamp}"},
    }
    text = f"POST\nhr.example.cn/api/pull\na=1&b=2\n1772352000\n{hashlib.sha256(BODY).hexdigest()}"
    digest = hmac.new(b"s3cret", text.encode(), "sha512").hexdigest()
    request = signed(auth)

    assert request.headers == {"X-Time": "1772352000", "Authorization": f"HX app:{digest}"}


def test_a_plain_digest_over_sorted_parameters_and_the_secret_is_made() -> None:
    auth = {
        "kind": "hmac",
        "secret": "env:KEY",
        "is_keyed": False,
        "algorithm": "md5",
        "encoding": "hex_upper",
        "sign": "{secret}{sorted_query}{secret}",
        "query": "sign",
        "parameters": {"timestamp": "{timestamp_ms}"},
    }
    text = "s3creta=1&b=2&timestamp=1772352000000s3cret"
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().upper()

    assert signed(auth).url == f"{REQUEST.url}&timestamp=1772352000000&sign={digest}"


def test_a_changed_body_has_another_signature() -> None:
    auth = {"kind": "hmac", "secret": "env:KEY"}
    changed = Outgoing("POST", REQUEST.url, content=BODY + b" ")

    assert signed(auth).headers != signed(auth, changed).headers


def test_a_body_from_files_is_signed_as_it_is_sent(tmp_path: Path) -> None:
    from adapters.rest.content import Content

    file = tmp_path / "a"
    file.write_bytes(BODY[4:])
    auth = {"kind": "hmac", "secret": "env:KEY"}

    assert signed(auth, Outgoing("POST", REQUEST.url, content=Content("x/y", (BODY[:4], file)))) is not None
    assert (
        signed(auth, Outgoing("POST", REQUEST.url, content=Content("x/y", (BODY[:4], file)))).headers
        == signed(auth).headers
    )


def test_a_token_is_made_and_signed_for_each_request() -> None:
    auth = {"kind": "jwt", "client_id": "hub", "secret": "env:KEY", "claims": {"user_id": "zhou"}}
    scheme, _, token = signed(auth).headers["Authorization"].partition(" ")
    head, claims, signature = token.split(".")
    digest = hmac.new(b"s3cret", f"{head}.{claims}".encode(), "sha256").digest()

    assert scheme == "Bearer"
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["exp"] == 1772352060
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["user_id"] == "zhou"
    assert signature == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_keys_go_where_the_system_wants_them() -> None:
    query = {"kind": "api_key", "query": "appkey", "secret": "env:KEY"}
    cookie = {"kind": "api_key", "cookie": "sid", "secret": "env:KEY"}
    request = signed([query, cookie, {"kind": "bearer", "secret": "env:KEY"}])

    assert request.url.endswith("&appkey=s3cret")
    assert request.headers == {"Cookie": "sid=s3cret", "Authorization": "Bearer s3cret"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "hmac", "secret": "env:KEY", "sign": "{nobody}"},
        {"kind": "hmac", "secret": "env:KEY", "sign": "{secret}"},
        {"kind": "hmac", "secret": "env:KEY", "is_keyed": False},
        {"kind": "hmac", "secret": "env:KEY", "headers": {"X": "{secret}"}},
        {"kind": "hmac", "secret": "env:KEY", "key_form": "hex"},
        {"kind": "hmac", "secret": "env:KEY", "parameters": {"b": "{body}"}},
        {"kind": "hmac", "secret": "s3cret"},
        {"kind": "kerberos", "secret": "env:KEY"},
        {"kind": "basic", "secret": "env:KEY"},
        {"kind": "oauth2", "token_url": "http://id.example.cn/token", "client_id": "x", "secret": "env:KEY"},
        [{"kind": "oauth2", "token_url": "https://id.example.cn/token", "client_id": "x"}] * 2,
    ],
)
def test_a_wrong_way_to_sign_in_stops_the_gateway_without_telling_the_secret(wrong: object) -> None:
    with pytest.raises(AdapterError) as caught:
        signed(wrong)

    assert caught.value.code == "adapter.configuration_invalid"
    assert "s3cret" not in str(caught.value)
