# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hub.accounts import Accounts, TokenId
from hub.errors import AccessError
from tests.hub.accounts.conftest import ADMINISTRATOR, GATEWAY, NOW

if TYPE_CHECKING:
    from pathlib import Path

    from hub.clock import FixedClock

DAY = timedelta(days=1)


def refusal(accounts: Accounts, secret: str) -> str:
    with pytest.raises(AccessError) as caught:
        accounts.authenticate(secret)
    assert caught.value.code == "access.not_authenticated"
    return str(caught.value)


def test_who_holds_a_token_is_its_principal(accounts: Accounts) -> None:
    first, second = accounts.issue(GATEWAY, DAY), accounts.issue(ADMINISTRATOR, DAY)
    assert accounts.authenticate(first.secret) == GATEWAY
    assert accounts.authenticate(second.secret) == ADMINISTRATOR
    assert first.secret != second.secret
    assert len(first.secret) == len("heliograph_") + 43


def test_a_token_ends_when_it_expires(accounts: Accounts, clock: FixedClock) -> None:
    issued = accounts.issue(GATEWAY, DAY)
    clock.move_to(NOW + DAY - timedelta(milliseconds=1))
    assert accounts.authenticate(issued.secret) == GATEWAY
    clock.move_to(NOW + DAY)
    refusal(accounts, issued.secret)


def test_a_token_is_not_valid_before_it_was_issued(accounts: Accounts, clock: FixedClock) -> None:
    issued = accounts.issue(GATEWAY, DAY)
    clock.move_to(NOW - timedelta(milliseconds=1))
    refusal(accounts, issued.secret)


def test_a_revoked_token_opens_nothing_from_then_on(accounts: Accounts, clock: FixedClock) -> None:
    revoked, kept = accounts.issue(GATEWAY, DAY), accounts.issue(GATEWAY, DAY)
    accounts.revoke(revoked.token.id)
    clock.move_to(NOW + timedelta(hours=1))
    accounts.revoke(revoked.token.id)
    refusal(accounts, revoked.secret)
    assert accounts.authenticate(kept.secret) == GATEWAY
    assert {token.id: token.revoked_at for token in accounts.tokens()} == {
        revoked.token.id: NOW,
        kept.token.id: None,
    }


def test_an_unknown_token_cannot_be_revoked(accounts: Accounts) -> None:
    with pytest.raises(AccessError, match=r"access\.token_unknown"):
        accounts.revoke(TokenId("0123456789abcdef"))


def test_every_near_miss_is_refused_in_the_same_words(accounts: Accounts) -> None:
    issued = accounts.issue(GATEWAY, DAY)
    revoked = accounts.issue(GATEWAY, DAY)
    accounts.revoke(revoked.token.id)
    secret = issued.secret
    guesses = [
        "",
        secret[:-1] + ("A" if secret[-1] != "A" else "B"),
        secret[:-1],
        secret + "A",
        secret + "\n",
        " " + secret,
        secret.removeprefix("heliograph_"),
        issued.token.id,
        revoked.secret,
        "é" * 43,
        "x" * 1_000_000,
    ]
    assert len({refusal(accounts, guess) for guess in guesses}) == 1


@pytest.mark.parametrize("lifetime", [timedelta(0), -DAY, timedelta(microseconds=999)])
def test_a_token_must_live_for_a_while(accounts: Accounts, lifetime: timedelta) -> None:
    with pytest.raises(AccessError, match="lifetime"):
        accounts.issue(GATEWAY, lifetime)


def test_the_secret_is_nowhere_but_in_the_callers_hand(accounts: Accounts, tmp_path: Path) -> None:
    issued = accounts.issue(GATEWAY, DAY)
    secret = issued.secret.removeprefix("heliograph_")
    assert secret not in repr(issued)
    assert secret not in repr(accounts.tokens())
    for file in tmp_path.iterdir():
        assert secret.encode() not in file.read_bytes()
    assert secret not in refusal(accounts, issued.secret + "x")
