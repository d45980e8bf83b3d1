# SPDX-License-Identifier: Apache-2.0
# Annotations are evaluated here: FastAPI could not find the local names of a route in their text.
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from hub.accounts import Accounts, Principal, authenticated
from hub.problems import install_problems
from tests.hub.accounts.conftest import GATEWAY


@pytest.fixture
def client(accounts: Accounts) -> Iterator[TestClient]:
    app = FastAPI()
    install_problems(app)

    def who(principal: Annotated[Principal, Depends(authenticated(accounts))]) -> str:
        return principal.subject

    app.get("/who")(who)
    with TestClient(app) as client:
        yield client


def test_a_bearer_token_shows_who_calls(accounts: Accounts, client: TestClient) -> None:
    secret = accounts.issue(GATEWAY, timedelta(days=1)).secret
    for scheme in ("Bearer", "bearer"):
        answer = client.get("/who", headers={"Authorization": f"{scheme} {secret}"})
        assert (answer.status_code, answer.json()) == (200, "federation gateway")


def test_a_caller_who_shows_nothing_or_something_else_is_refused(
    accounts: Accounts, client: TestClient
) -> None:
    secret = accounts.issue(GATEWAY, timedelta(days=1)).secret
    for headers in (
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {secret}"},
        {"Authorization": secret},
        {"Authorization": f"Bearer {secret}x"},
        {"X-Token": secret},
    ):
        answer = client.get("/who", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["code"] == "access.not_authenticated"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert secret not in answer.text
    assert client.get("/who", params={"access_token": secret}).status_code == 401
