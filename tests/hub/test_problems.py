# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import FastAPI, Query
from fastapi.testclient import TestClient

from hub.errors import Culprit, ExchangeError, Language, LogError, ReportedFaultError, TrustError, error_kinds
from hub.findings import finding_in, tell
from hub.problems import PROBLEM_MEDIA_TYPE, install_problems, preferred_language, require, status_of
from tests.hub.test_findings import EXPIRED


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    install_problems(app)

    def refused() -> None:
        raise LogError("log.entry_unknown", "no entry 7")

    def reported() -> None:
        raise ReportedFaultError(
            "adapter.of_tomorrow", "later", culprit=Culprit.RECIPIENT, is_retryable=False
        )

    def failed() -> None:
        raise RuntimeError("a secret of the hub's inside")

    def number(value: Annotated[int, Query()]) -> int:
        return value

    def forbidden() -> None:
        require(False, "not for you")  # noqa: FBT003 - reads as a sentence

    def untrusted() -> None:
        cause = TrustError("trust.certificate_expired", "in English", EXPIRED)
        raise ExchangeError("exchange.answer_untrusted", "wrapped") from cause

    for route in (refused, reported, failed, number, forbidden, untrusted):
        app.get(f"/{route.__name__}")(route)
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/refused", 404, "log.entry_unknown"),
        ("/reported", 502, "adapter.of_tomorrow"),
        ("/failed", 500, "exchange.internal"),
        ("/number?value=x", 400, "exchange.request_invalid"),
        ("/number", 400, "exchange.request_invalid"),
        ("/forbidden", 403, "access.role_missing"),
        ("/nowhere", 404, "exchange.request_invalid"),
    ],
)
def test_every_error_is_a_problem_document(client: TestClient, path: str, status: int, code: str) -> None:
    response = client.get(path, headers={"Accept-Language": "en"})
    problem = response.json()
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert response.headers["content-type"] == PROBLEM_MEDIA_TYPE
    assert set(problem) == {"type", "title", "status", "detail", "code", "culprit", "retryable", "cure"}
    assert "secret" not in response.text


def test_a_method_that_is_not_allowed_says_which_are(client: TestClient) -> None:
    response = client.post("/refused")
    assert (response.status_code, response.headers["allow"]) == (405, "GET")


def test_both_languages_say_the_same_code_in_their_own_words(client: TestClient) -> None:
    kind = error_kinds()["log.entry_unknown"]
    for language in Language:
        response = client.get("/refused", headers={"Accept-Language": language.value})
        assert response.json()["title"] == kind.message[language]
        assert response.json()["cure"] == kind.cure[language]
        assert response.headers["content-language"] == language.value


@pytest.mark.parametrize("language", Language)
def test_a_refused_certificate_is_named_with_reason_and_cure_in_the_callers_language(
    client: TestClient, language: Language
) -> None:
    problem = client.get("/untrusted", headers={"Accept-Language": language.value}).json()
    assert (problem["code"], problem["status"]) == ("exchange.answer_untrusted", 502)
    assert problem["finding"] == finding_in(EXPIRED, language)
    assert problem["detail"] == tell(EXPIRED, language)
    assert problem["cure"] == EXPIRED.cure[language]
    assert (problem["finding"]["code"], problem["finding"]["serial"]) == ("trust.certificate_expired", "3e9")


@pytest.mark.parametrize(
    ("accept", "language"),
    [("", "zh-CN"), ("*", "zh-CN"), ("EN-us", "en"), ("de,en;q=0.1,zh", "en"), ("zh-TW,en", "zh-CN")],
)
def test_the_language_named_first_wins(accept: str, language: str) -> None:
    assert preferred_language(accept).value == language


@pytest.mark.parametrize("code", sorted(error_kinds()))
def test_every_code_has_a_status_that_tells_who_is_at_fault(code: str) -> None:
    culprit = error_kinds()[code].culprit
    status = status_of(code, culprit)
    if culprit is Culprit.SENDER:
        assert 400 <= status < 500
    else:
        # What a department does not have, or has twice, is no failure of anybody's.
        assert 500 <= status < 600
