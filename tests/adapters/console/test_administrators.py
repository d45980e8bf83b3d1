# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from adapters.console import Administrators
from adapters.console.administrators import generate_token
from adapters.console.passwords import hash_password, is_password, require_strong
from hub.clock import FixedClock, parse_instant
from hub.errors import AccessError, PortalError
from tests.adapters.console.bench import PASSWORD, kept_password, people
from tests.adapters.running import TODAY

if TYPE_CHECKING:
    from collections.abc import Callable


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(AccessError) as caught:
        work()
    assert caught.value.code == "access.not_authenticated"
    return caught.value.detail


def test_an_administrator_shows_a_password_or_a_token() -> None:
    known = people()
    administrators = Administrators(known.settings.administrators, FixedClock(TODAY))

    assert administrators.by_password("周敏", PASSWORD, address="10.0.0.1").name == "周敏"
    assert administrators.by_token(known.zhou, address="10.0.0.1").name == "周敏"
    assert administrators.by_token(known.li, address="10.0.0.1").name == "李强"


def test_whatever_is_wrong_is_told_alike() -> None:
    known = people()
    administrators = Administrators(known.settings.administrators, FixedClock(TODAY))

    told = {
        refused(lambda: administrators.by_password("周敏", PASSWORD + "x", address="1")),
        refused(lambda: administrators.by_password("周敏", "x" * 10_000, address="1")),
        refused(lambda: administrators.by_password("李强", PASSWORD, address="1")),
        refused(lambda: administrators.by_password("nobody", PASSWORD, address="1")),
        refused(lambda: administrators.by_token(generate_token()[0], address="1")),
        refused(lambda: administrators.by_token("\ud800", address="1")),
        refused(lambda: administrators.by_token(known.settings.administrators[0].name, address="1")),
    }
    assert len(told) == 1


def test_a_digest_is_no_token() -> None:
    known = people()
    administrators = Administrators(known.settings.administrators, FixedClock(TODAY))
    kept = known.settings.administrators[0].tokens[0].digest.reveal()

    refused(lambda: administrators.by_token(kept, address="1"))


def test_a_token_runs_out() -> None:
    known = people()
    last = FixedClock(parse_instant("2026-11-30T15:59:59.000Z"))
    after = FixedClock(parse_instant("2026-11-30T16:00:00.000Z"))

    assert Administrators(known.settings.administrators, last).by_token(known.li, address="1").name == "李强"
    refused(lambda: Administrators(known.settings.administrators, after).by_token(known.li, address="1"))


def test_guessing_ends_for_the_guesser_and_for_nobody_else() -> None:
    known = people()
    administrators = Administrators(known.settings.administrators, FixedClock(TODAY))
    for _ in range(10):
        refused(lambda: administrators.by_token("wrong", address="10.0.0.1"))

    with pytest.raises(PortalError):
        administrators.by_token(known.zhou, address="10.0.0.1")
    assert administrators.by_token(known.zhou, address="10.0.0.2").name == "周敏"


def test_what_is_kept_of_a_password_is_salted_and_dear() -> None:
    require_strong(kept_password())
    assert hash_password(PASSWORD) != kept_password()
    assert is_password(PASSWORD, kept_password())
    assert not is_password(PASSWORD + " ", kept_password())
    with pytest.raises(ValueError, match="12"):
        hash_password("short")


@pytest.mark.parametrize(
    "kept",
    [
        "a long enough password",
        "$argon2i$v=19$m=65536,t=3,p=4$MDAwMDAwMDAwMDAwMDAwMA$TZCCCJQw6qE40QoszdZDx3LhW/RG6J0UYvSQtFYYSrQ",
        "$argon2id$v=19$m=1024,t=3,p=4$MDAwMDAwMDAwMDAwMDAwMA$TZCCCJQw6qE40QoszdZDx3LhW/RG6J0UYvSQtFYYSrQ",
        "$argon2id$v=19$m=65536,t=1,p=4$MDAwMDAwMDAwMDAwMDAwMA$TZCCCJQw6qE40QoszdZDx3LhW/RG6J0UYvSQtFYYSrQ",
        "$argon2id$v=19$m=9999999,t=3,p=4$MDAwMDAwMDAwMDAwMDAwMA$TZCCCJQw6qE40QoszdZDx3LhW/RG6J0UYvSQtFYYSrQ",
    ],
)
def test_a_password_that_is_kept_cheaply_is_refused(kept: str) -> None:
    with pytest.raises(ValueError, match="argon2id") as caught:
        require_strong(kept)
    assert kept not in str(caught.value)


def settings_with(administrators: list[dict[str, Any]], **changes: Any) -> None:
    people(administrators=administrators, **changes)


@pytest.mark.parametrize(
    "administrators",
    [
        [],
        [{"name": "周敏"}],
        [{"name": "", "password": "env:ZHOU"}],
        [{"name": "a\nb", "password": "env:ZHOU"}],
        [{"name": "周敏", "password": "inline-password"}],
        [{"name": "周敏", "password": "env:LI_TOKEN"}],
        [{"name": "周敏", "tokens": [{"digest": "env:ZHOU"}]}],
        [{"name": "周敏", "password": "env:ZHOU"}, {"name": "周敏", "tokens": [{"digest": "env:LI_TOKEN"}]}],
        [{"name": "周敏", "password": "env:ZHOU"}, {"name": "李强", "password": "env:ZHOU"}],
        [{"name": "周敏", "tokens": [{"digest": "env:LI_TOKEN", "expires_on": "tomorrow"}]}],
    ],
)
def test_people_who_could_not_be_told_apart_or_not_sign_in_are_refused(
    administrators: list[dict[str, Any]],
) -> None:
    with pytest.raises(ValidationError):
        settings_with(administrators)


def test_four_eyes_take_two_people() -> None:
    with pytest.raises(ValidationError, match="two administrators"):
        settings_with([{"name": "周敏", "password": "env:ZHOU"}], four_eyes=True)
