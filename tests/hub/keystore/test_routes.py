# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import FastAPI
from fastapi.testclient import TestClient

from hub.accounts import Principal, Role
from hub.clock import FixedClock
from hub.custody import Secret, read_request
from hub.identifiers import MemberId
from hub.keystore import KeyFolder, key_routes
from hub.problems import install_problems
from tests.hub.custody.authority import NOW, TestAuthority

if TYPE_CHECKING:
    from pathlib import Path

HIDDEN = "correct horse battery"
NEW = {"name": "hub-2027", "organization": "成华区数据局", "common_name": "报文签名"}
AUTHORITY = TestAuthority()


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    keys = KeyFolder(
        tmp_path,
        Secret("a test", HIDDEN),
        member=MemberId("11510108MB1A00001J"),
        signing_key=tmp_path / "hub.key.pem",
    )
    app = FastAPI()
    install_problems(app)
    principal = Principal(subject="Li Wei", roles=frozenset({Role.ADMINISTRATOR}))
    app.include_router(key_routes(keys, clock=FixedClock(NOW), authenticate=lambda: principal))
    return TestClient(app)


def test_an_administrator_makes_a_key_and_brings_its_certificate(client: TestClient) -> None:
    made = client.post("/api/v1/keys", json=NEW)
    assert (made.status_code, made.json()["certificate"]) == (201, None)
    asked = client.get("/api/v1/keys/hub-2027/request")
    assert asked.headers["content-type"] == "application/x-pem-file"
    leaf = AUTHORITY.answer(read_request(asked.content))
    content = leaf.public_bytes(Encoding.PEM) + AUTHORITY.certificate.public_bytes(Encoding.PEM)
    address = "/api/v1/keys/hub-2027/certificate"
    tried = client.put(f"{address}?dry_run=true", content=content)
    assert (tried.status_code, tried.json()["is_imported"]) == (200, False)
    assert client.get("/api/v1/keys").json()[0]["certificate"] is None
    brought = client.put(address, content=content)
    assert (brought.status_code, brought.json()["is_imported"]) == (200, True)
    assert len(brought.json()["certificates"]) == 2
    (listed,) = client.get("/api/v1/keys").json()
    assert listed["certificate"]["days_left"] == 365
    told = made.text + asked.text + tried.text + brought.text + str(listed)
    assert "PRIVATE KEY" not in told
    assert HIDDEN not in told


@pytest.mark.parametrize(
    ("method", "path", "body", "answered"),
    [
        ("POST", "/api/v1/keys", {**NEW, "name": "../x"}, (400, "trust.request_invalid")),
        ("POST", "/api/v1/keys", {**NEW, "use": "crl"}, (400, "trust.request_invalid")),
        ("POST", "/api/v1/keys", {**NEW, "algorithm": "rsa1024"}, (400, "exchange.request_invalid")),
        ("POST", "/api/v1/keys", {**NEW, "passphrase": "mine"}, (400, "exchange.request_invalid")),
        ("GET", "/api/v1/keys/none/request", None, (404, "trust.key_unknown")),
        ("PUT", "/api/v1/keys/none/certificate", {}, (404, "trust.key_unknown")),
    ],
)
def test_what_cannot_be_done_is_answered_with_its_code(
    client: TestClient, method: str, path: str, body: dict[str, str] | None, answered: tuple[int, str]
) -> None:
    answer = client.request(method, path, json=body)
    assert (answer.status_code, answer.json()["code"]) == answered
    assert client.get("/api/v1/keys").json() == []


def test_a_key_that_is_there_stays(client: TestClient) -> None:
    client.post("/api/v1/keys", json=NEW)
    before = client.get("/api/v1/keys/hub-2027/request").content
    again = client.post("/api/v1/keys", json=NEW)
    assert (again.status_code, again.json()["code"]) == (409, "trust.key_exists")
    assert client.get("/api/v1/keys/hub-2027/request").content == before


@pytest.mark.parametrize("content", [b"", b"rubbish", b"x" * 300_000])
def test_an_answer_that_cannot_be_read_changes_nothing(client: TestClient, content: bytes) -> None:
    client.post("/api/v1/keys", json=NEW)
    answer = client.put("/api/v1/keys/hub-2027/certificate", content=content)
    assert (answer.status_code, answer.json()["code"]) == (400, "trust.answer_unusable")
    assert client.get("/api/v1/keys").json()[0]["certificate"] is None
