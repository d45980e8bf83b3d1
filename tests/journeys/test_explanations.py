# SPDX-License-Identifier: Apache-2.0
"""Asking a running hub why a certificate is believed, or why not."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from hub.accounts import Role
from hub.demo.preparation import FUND
from hub.errors import Language
from tests.hub.trust.strangers import certificate_naming_services, listener

if TYPE_CHECKING:
    from tests.journeys.world import World


def ask(world: World, body: Any, role: Role = Role.AUDITOR, language: str = "en") -> Any:
    subsystem = FUND if role in {Role.CASEWORKER, Role.GATEWAY} else None
    return world.http.post(
        f"{world.url}/api/v1/trust/explanations",
        json=body,
        headers={**world.token(role, subsystem), "Accept-Language": language},
    )


def pem(world: World, label: str) -> str:
    return world.pki.chain(label).read_text()


@pytest.mark.parametrize("role", Role)
def test_every_role_may_ask_and_reads_every_check_in_both_languages(world: World, role: Role) -> None:
    response = ask(world, {"certificates": pem(world, "labour-sign")}, role)
    assert response.status_code == 200, response.text
    told = response.json()
    assert (told["is_believed"], told["use"]) == (True, "envelope")
    assert [one["role"] for one in told["path"]] == ["leaf", "issuer", "anchor"]
    assert told["path"][0]["revocation"][0]["status"] == "good"
    for one in told["path"]:
        for finding in one["findings"]:
            assert set(finding["reason"]) == {language.value for language in Language}
            assert finding["clause"]


def test_der_in_base64_is_the_same_question(world: World) -> None:
    chain = [
        b64encode(each.public_bytes(Encoding.DER)).decode() for each in world.pki.certificates("labour-seal")
    ]
    told = ask(world, {"certificates": chain, "use": "seal"}).json()
    assert told["is_believed"] is True
    assert told["use"] == "seal"


def test_a_refused_certificate_is_a_good_answer_with_its_cure(world: World) -> None:
    response = ask(world, {"certificates": pem(world, "labour-revoked")})
    assert response.status_code == 200
    told = response.json()
    assert told["is_believed"] is False
    failed = [f for one in told["path"] for f in one["findings"] if f["code"]]
    assert "trust.certificate_revoked" in {finding["code"] for finding in failed}
    assert told["cures"]["zh-CN"]
    assert told["cures"]["en"]


def test_the_instant_decides(world: World) -> None:
    past = ask(world, {"certificates": pem(world, "labour-sign"), "at": "2020-01-01T00:00:00.000Z"}).json()
    assert past["at"] == "2020-01-01T00:00:00.000Z"
    assert past["is_believed"] is False


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"certificates": "nothing"}, "trust.certificate_unreadable"),
        ({"certificates": "数字证书"}, "trust.certificate_unreadable"),
        ({"certificates": ["AAAA"]}, "trust.certificate_unreadable"),
        ({"certificates": ["not base64!"]}, "trust.certificate_unreadable"),
        ({"certificates": []}, "exchange.request_invalid"),
        ({"certificates": ["AAAA"] * 7}, "exchange.request_invalid"),
        ({"certificates": "x" * 65537}, "exchange.request_invalid"),
        ({"certificates": "x", "use": "everything"}, "exchange.request_invalid"),
        ({"certificates": "x", "more": 1}, "exchange.request_invalid"),
        ({}, "exchange.request_invalid"),
    ],
)
def test_a_question_of_another_form_is_refused(world: World, body: Any, code: str) -> None:
    response = ask(world, body)
    assert (response.status_code, response.json()["code"]) == (400, code)


def test_an_instant_of_another_form_is_refused(world: World) -> None:
    response = ask(world, {"certificates": pem(world, "labour-sign"), "at": "yesterday"})
    assert (response.status_code, response.json()["code"]) == (400, "exchange.request_invalid")


@pytest.mark.parametrize("impersonates", [False, True])
def test_a_strangers_certificate_does_not_make_the_hub_call(world: World, *, impersonates: bool) -> None:
    issuer = world.pki.certificates("labour-sign")[1].subject if impersonates else None
    with listener() as (url, asked):
        chain = certificate_naming_services(url, issuer)
        response = ask(
            world, {"certificates": "".join(each.public_bytes(Encoding.PEM).decode() for each in chain)}
        )
        assert response.status_code == 200
        assert response.json()["is_believed"] is False
        assert asked == []
