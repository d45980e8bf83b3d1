# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from hub.errors import RegistryError
from hub.identifiers import MemberId, SubsystemId
from hub.registry import Action, Change, Title
from tests.hub.registry.conftest import FUND_SYSTEM, LABOUR_MEMBER, PROOF_SERVICE, RIGHT


@pytest.mark.parametrize("code", ["11510108MB1A00002N", "", "张三", "11510108mb1a00002m"])
def test_a_member_has_a_true_social_credit_code(code: str) -> None:
    with pytest.raises(RegistryError, match=r"registry\.member_invalid"):
        replace(LABOUR_MEMBER, id=MemberId(code))


@pytest.mark.parametrize(
    "url",
    [
        "https://gateway.example",
        "https://gateway.example:8443/path?query=1",
        "http://127.0.0.1:8101/",
        "http://[::1]:8101/",
    ],
)
def test_a_gateway_listens_at_an_http_address(url: str) -> None:
    assert replace(PROOF_SERVICE, gateway_url=url).gateway_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gateway.example",
        "//gateway.example/",
        "ftp://gateway.example/",
        "file:///etc/passwd",
        "https://",
        "https://:8443/",
        "https://user:secret@gateway.example/",
        "https://gateway.example/#part",
        "https://gateway.example:99999/",
        "https://gateway.example:0/",
        "https://gateway.example/a b",
        "https://gateway.example/\nX: y",
        "https://gateway.example/" + "a" * 200,
        "https://[::1/",
        "https://网关.example/",
    ],
)
def test_a_gateway_listens_nowhere_else(url: str) -> None:
    with pytest.raises(RegistryError, match="gateway_url"):
        replace(PROOF_SERVICE, gateway_url=url)


@pytest.mark.parametrize(
    ("entry", "field", "value"),
    [
        (FUND_SYSTEM, "id", "13510108MB1A00003J"),
        (PROOF_SERVICE, "id", "11510108MB1A00002M/employment"),
        (PROOF_SERVICE, "contract", "disability-employment-proof"),
        (PROOF_SERVICE, "timeout_seconds", 0),
        (PROOF_SERVICE, "timeout_seconds", 301),
        (RIGHT, "id", "Fund"),
        (RIGHT, "id", ""),
        (RIGHT, "consumer", "13510108MB1A00003J"),
        (RIGHT, "service", "11510108MB1A00002M/employment"),
        (RIGHT, "purposes", ()),
        (RIGHT, "purposes", ("a", "a")),
        (RIGHT, "purposes", ("*",)),
        (RIGHT, "purposes", ("",)),
        (RIGHT, "legal_basis", ""),
        (RIGHT, "legal_basis", "a\nb"),
        (RIGHT, "valid_until", date(2025, 12, 31)),
    ],
)
def test_an_entry_that_is_not_whole_is_refused_by_its_field(entry: Any, field: str, value: object) -> None:
    with pytest.raises(RegistryError, match=rf"registry\.entry_invalid: {field}"):
        replace(entry, **{field: value})


@pytest.mark.parametrize(("zh", "en"), [("", "a"), ("a", " "), ("a", "a "), ("a\t", "a"), ("a", "a" * 201)])
def test_a_title_is_there_in_both_languages(zh: str, en: str) -> None:
    with pytest.raises(RegistryError, match=r"registry\.entry_invalid"):
        Title(zh=zh, en=en)


def test_a_right_holds_from_its_first_to_its_last_day() -> None:
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 12, 31), date(2027, 1, 1)]
    assert [RIGHT.is_valid(day) for day in days] == [False, True, True, False]
    assert replace(RIGHT, valid_until=None).is_valid(date(2099, 1, 1))


def test_a_change_knows_what_it_does() -> None:
    other = replace(FUND_SYSTEM, id=SubsystemId("13510108MB1A00003J/register"))
    assert Change(None, other).action is Action.ADD
    assert Change(other, other).action is Action.CHANGE
    assert Change(other, None).action is Action.REMOVE
    assert Change(other, None).entry == other
