# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from hub.accounts import Accounts, Principal, Role, authenticated
from hub.problems import install_problems
from hub.registry import AccessRight, Registry, RegistryEntry, registry_routes
from hub.registry.schemas import write_entry
from tests.hub.registry.conftest import (
    EMPLOYMENT_SYSTEM,
    ENTRIES,
    FUND,
    LABOUR,
    LABOUR_MEMBER,
    PROOF,
    PROOF_SERVICE,
    RIGHT,
    RunningRegistry,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PATHS: dict[str, RegistryEntry] = {
    f"/api/v1/members/{LABOUR}": LABOUR_MEMBER,
    f"/api/v1/subsystems/{EMPLOYMENT_SYSTEM.id}": EMPLOYMENT_SYSTEM,
    f"/api/v1/services/{PROOF}": PROOF_SERVICE,
    f"/api/v1/access-rights/{RIGHT.id}": RIGHT,
}


@pytest.fixture
def accounts(running: RunningRegistry) -> Accounts:
    return Accounts(running.engine, running.writer, running.clock)


@pytest.fixture
def client(running: RunningRegistry, registry: Registry, accounts: Accounts) -> Iterator[TestClient]:
    assert registry is running.registry
    app = FastAPI()
    install_problems(app)
    app.include_router(registry_routes(registry, authenticated(accounts)))
    with TestClient(app) as client:
        yield client


def headers(accounts: Accounts, role: Role) -> dict[str, str]:
    subsystem = FUND if role in {Role.GATEWAY, Role.CASEWORKER} else None
    principal = Principal(f"the {role}", frozenset({role}), subsystem)
    return {"Authorization": f"Bearer {accounts.issue(principal, timedelta(days=1)).secret}"}


@pytest.fixture
def administrator(accounts: Accounts) -> dict[str, str]:
    return headers(accounts, Role.ADMINISTRATOR)


@pytest.mark.parametrize("role", list(Role))
def test_every_caller_may_look(client: TestClient, accounts: Accounts, role: Role) -> None:
    credentials = headers(accounts, role)
    for path, entry in PATHS.items():
        assert client.get(path, headers=credentials).json() == write_entry(entry)
        listed = client.get("/".join(path.split("/")[:4]), headers=credentials).json()
        assert listed == [
            write_entry(each) for each in sorted(ENTRIES, key=lambda e: e.id) if type(each) is type(entry)
        ]


@pytest.mark.parametrize("path", [*PATHS, "/api/v1/members", "/api/v1/registry-changes"])
def test_nobody_looks_or_changes_without_saying_who_it_is(client: TestClient, path: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = client.request(method, path)
        assert answer.status_code in {401, 405}, method
        assert answer.status_code == 401 or path in {"/api/v1/members", "/api/v1/registry-changes"}


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATOR])
@pytest.mark.parametrize("path", PATHS)
def test_only_administrators_change(
    client: TestClient, registry: Registry, accounts: Accounts, role: Role, path: str
) -> None:
    before = registry.snapshot
    credentials = headers(accounts, role)
    for method in ("PUT", "DELETE"):
        answer = client.request(method, path, headers=credentials, json=write_entry(PATHS[path]))
        assert (answer.status_code, answer.json()["code"]) == (403, "access.role_missing")
    assert registry.snapshot is before


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/v1/members/11510108MB1A00001J", "registry.member_unknown"),
        ("/api/v1/subsystems/11510108MB1A00001J/x", "registry.subsystem_unknown"),
        ("/api/v1/services/11510108MB1A00001J/x/y", "registry.service_unknown"),
        ("/api/v1/access-rights/none", "registry.access_right_unknown"),
    ],
)
def test_what_is_not_there_is_not_found(
    client: TestClient, administrator: dict[str, str], path: str, code: str
) -> None:
    for method in ("GET", "DELETE"):
        answer = client.request(method, path, headers=administrator)
        assert (answer.status_code, answer.json()["code"]) == (404, code)


def test_what_was_read_can_be_edited_and_put_back(
    client: TestClient, registry: Registry, administrator: dict[str, str]
) -> None:
    path = f"/api/v1/services/{PROOF}"
    entry = client.get(path, headers=administrator).json()
    entry["timeout_seconds"] = 60
    answer = client.put(path, headers=administrator, json=entry)
    assert (answer.status_code, answer.json()) == (200, entry)
    assert registry.require_service(PROOF).timeout_seconds == 60
    assert registry.changes()[-1].by == "the administrator"


def test_an_entry_is_added_and_removed(
    client: TestClient, registry: Registry, administrator: dict[str, str]
) -> None:
    path = "/api/v1/access-rights/second"
    body = write_entry(RIGHT) | {"id": "second", "valid_until": None}
    assert client.put(path, headers=administrator, json=body).status_code == 201
    assert client.put(path, headers=administrator, json=body).status_code == 200
    assert registry.require_entry(AccessRight, "second").valid_until is None
    answer = client.delete(path, headers=administrator)
    assert (answer.status_code, answer.content) == (204, b"")
    assert registry.snapshot.find(AccessRight, "second") is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "registry.entry_invalid"),
        (b"[1]", "registry.entry_invalid"),
        (b'{"id":"' + b"x" * 100_001 + b'"}', "registry.entry_invalid"),
    ],
)
def test_a_body_that_is_no_entry_is_refused(
    client: TestClient, administrator: dict[str, str], body: bytes, code: str
) -> None:
    answer = client.put(f"/api/v1/members/{LABOUR}", headers=administrator, content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_an_entry_is_put_at_its_own_address_only(client: TestClient, administrator: dict[str, str]) -> None:
    answer = client.put(
        "/api/v1/members/11510108MB1A00001J", headers=administrator, json=write_entry(LABOUR_MEMBER)
    )
    assert answer.json()["detail"] == "id: not the one in the address"


def test_an_entry_in_use_is_not_removed(client: TestClient, administrator: dict[str, str]) -> None:
    answer = client.delete(f"/api/v1/members/{LABOUR}", headers=administrator)
    assert (answer.status_code, answer.json()["code"]) == (409, "registry.entry_in_use")


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.ADMINISTRATOR])
def test_auditors_and_administrators_read_the_changes(
    client: TestClient, accounts: Accounts, role: Role
) -> None:
    answer = client.get("/api/v1/registry-changes?after=5&limit=1", headers=headers(accounts, role))
    assert answer.json() == [
        {
            "sequence": 6,
            "at": "2026-03-01T08:00:00.000Z",
            "by": "set-up",
            "action": "add",
            "kind": "access-right",
            "id": RIGHT.id,
            "before": None,
            "after": write_entry(RIGHT),
        }
    ]


@pytest.mark.parametrize("role", [Role.GATEWAY, Role.CASEWORKER, Role.OPERATOR])
def test_nobody_else_reads_the_changes(client: TestClient, accounts: Accounts, role: Role) -> None:
    answer = client.get("/api/v1/registry-changes", headers=headers(accounts, role))
    assert answer.json()["code"] == "access.role_missing"


def test_the_routes_describe_the_body_they_take(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    put = description["paths"]["/api/v1/services/{entry_id}"]["put"]
    schema = put["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["required"]) == {"id", "contract", "timeout_seconds", "titles"}
    assert put["security"]
