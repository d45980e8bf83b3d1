# SPDX-License-Identifier: Apache-2.0
"""A hub that would like to read along: what it hands out is believed by nobody because it says so."""

from __future__ import annotations

from base64 import b64encode
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from adapters.secrecy import ASKED_AGAIN_AFTER, Secrecy
from hub.clock import FixedClock, SystemClock
from hub.custody import open_decryption_key
from hub.custody.secrets import Secret
from hub.errors import ExchangeError, HubError, TrustError
from hub.identifiers import MemberId
from hub.registry import fingerprint_of
from hub.trust import OnlineRevocation, Validator
from tests.journeys.serving import serving
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from tests.pki import ServedPki

LABOUR = MemberId("11510108MB1A00002M")


class ListingHub:
    """A hub that lists what it is told to, and counts how often it is asked."""

    def __init__(self, pki: ServedPki) -> None:
        self._pki = pki
        self.answer: Response = JSONResponse({})
        self.asked = 0

    def list(self, *labels: str) -> None:
        rows: list[dict[str, Any]] = []
        for label in labels:
            der = self._pki.certificates(label)[0].public_bytes(Encoding.DER)
            rows.append({"certificate": b64encode(der).decode()})
        self.answer = JSONResponse({"certificates": rows})

    async def _receive(self, _request: Request) -> Response:
        self.asked += 1
        return self.answer

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/api/v1/encryption-certificates/{member}", self._receive)])


@contextmanager
def listing(
    pki: ServedPki, pins: dict[MemberId, frozenset[str]] | None = None
) -> Iterator[tuple[ListingHub, Secrecy]]:
    hub, clock = ListingHub(pki), FixedClock(SystemClock().now())
    key = open_decryption_key(
        pki.key("federation-encryption"),
        pki.chain("federation-encryption"),
        Secret("test", pki.passphrase.decode()),
    )
    with serving(hub.app(), free_port()) as url, httpx2.Client() as http:
        yield (
            hub,
            Secrecy(
                keys=(key,),
                hub_url=url,
                http=http,
                validator=Validator(pki.approved(), OnlineRevocation()),
                clock=clock,
                pins=pins or {},
            ),
        )


def refusal_of(secrecy: Secrecy) -> HubError:
    with pytest.raises(HubError) as refused:
        secrecy.certificate_of(LABOUR)
    return refused.value


def test_the_latest_certificate_the_hub_lists_is_used_when_it_is_believed(pki: ServedPki) -> None:
    with listing(pki) as (hub, secrecy):
        hub.list("labour-encryption-next", "labour-encryption")
        assert secrecy.certificate_of(LABOUR) == pki.certificates("labour-encryption-next")[0]
        hub.list("labour-encryption-rsa")
        secrecy.forget(LABOUR)
        assert secrecy.certificate_of(LABOUR) == pki.certificates("labour-encryption-rsa")[0]


@pytest.mark.parametrize(
    ("swapped", "code"),
    [
        ("tax-encryption", "trust.wrong_member"),
        ("federation-encryption", "trust.wrong_member"),
        ("labour-encryption-unlisted", "trust.unknown_authority"),
        ("labour-encryption-revoked", "trust.certificate_revoked"),
        ("labour-encryption-expired", "trust.certificate_expired"),
        ("labour-sign", "trust.usage_not_allowed"),
        ("rogue/labour-sign", "trust.usage_not_allowed"),
    ],
)
def test_a_hub_cannot_put_another_certificate_in_its_place(pki: ServedPki, swapped: str, code: str) -> None:
    with listing(pki) as (hub, secrecy):
        hub.list(swapped)
        assert refusal_of(secrecy).code == code


def test_a_certificate_of_another_member_ends_the_search_even_before_a_good_one(pki: ServedPki) -> None:
    """Passing over it would hide that somebody tries."""
    with listing(pki) as (hub, secrecy):
        hub.list("tax-encryption", "labour-encryption")
        error = refusal_of(secrecy)
        assert isinstance(error, TrustError)
        assert error.finding is not None
        assert error.finding.reason_id == "encrypts_for_another"
        hub.list("labour-encryption-revoked", "labour-encryption")
        assert secrecy.certificate_of(LABOUR) == pki.certificates("labour-encryption")[0]


def test_a_pinned_member_is_encrypted_to_with_the_pinned_certificate_only(pki: ServedPki) -> None:
    """Even a certificate that an approved authority made for the member, wrongly, is not used."""
    pinned = fingerprint_of(pki.certificates("labour-encryption")[0])
    with listing(pki, {LABOUR: frozenset({pinned})}) as (hub, secrecy):
        hub.list("labour-encryption-next")
        assert refusal_of(secrecy).code == "trust.certificate_not_registered"
        hub.list("labour-encryption-next", "labour-encryption")
        assert secrecy.certificate_of(LABOUR) == pki.certificates("labour-encryption")[0]


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse({"certificates": [{"certificate": "bm8gY2VydGlmaWNhdGU="}]}),
        JSONResponse({"certificates": [{"certificate": "%"}]}),
        JSONResponse({"certificates": 7}),
        JSONResponse([]),
        PlainTextResponse("[" * 2000),
        PlainTextResponse("x" * 600_000),
        JSONResponse({"certificates": []}, status_code=503),
    ],
    ids=["no certificate", "no base64", "no list", "no object", "no JSON", "too much", "an error"],
)
def test_whatever_else_a_hub_answers_is_a_coded_refusal(pki: ServedPki, answer: Response) -> None:
    with listing(pki) as (hub, secrecy):
        hub.answer = answer
        assert refusal_of(secrecy).code == "exchange.undeliverable"


def test_a_member_without_certificates_is_said_to_have_none(pki: ServedPki) -> None:
    with listing(pki) as (hub, secrecy):
        hub.list()
        error = refusal_of(secrecy)
        assert isinstance(error, ExchangeError)
        assert error.code == "exchange.encryption_certificate_missing"


def test_a_hub_that_is_away_is_a_coded_refusal(pki: ServedPki) -> None:
    with listing(pki) as (_, secrecy):
        away = replace(secrecy, hub_url=f"http://127.0.0.1:{free_port()}")
        assert refusal_of(away).code == "exchange.undeliverable"


def test_the_hub_is_asked_again_after_five_minutes_and_not_before(pki: ServedPki) -> None:
    with listing(pki) as (hub, secrecy):
        hub.list("labour-encryption")
        for _ in range(3):
            secrecy.certificate_of(LABOUR)
        assert hub.asked == 1
        clock = secrecy.clock
        assert isinstance(clock, FixedClock)
        clock.move_to(clock.now() + ASKED_AGAIN_AFTER + timedelta(seconds=1))
        secrecy.certificate_of(LABOUR)
        assert hub.asked == 2
