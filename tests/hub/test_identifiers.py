# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.identifiers import (
    ServiceId,
    SubsystemId,
    is_contract_id,
    is_message_id,
    is_resident_id,
    is_service_id,
    is_subsystem_id,
    is_uscc,
    member_of,
    new_message_id,
    subsystem_of,
)

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
DEMO_MEMBERS = [
    "11510108MB1A00001J",
    "11510108MB1A00002M",
    "13510108MB1A00003J",
    "12510108MB1A00004Q",
    "11510108MB1A00005Y",
    "11510108MB1A000062",
    "91510108MA6C00001C",
    "91510108MA6C00002F",
]


# The first three are the public codes of Huawei, Alibaba (China) and Tencent.
@pytest.mark.parametrize(
    "code", ["914403001922038216", "91330100799655058B", "9144030071526726XG", *DEMO_MEMBERS]
)
def test_a_true_social_credit_code_is_one(code: str) -> None:
    assert is_uscc(code)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "11510108MB1A00001",
        "11510108MB1A00001JJ",
        "11510108mb1a00001j",
        " 11510108MB1A0001J",
        "11510108MB1A0000IJ",
        "\uff111510108MB1A00001J",
        "11510108MB1A00001J\n",
    ],
)
def test_another_form_is_no_social_credit_code(text: str) -> None:
    assert not is_uscc(text)


@given(st.sampled_from(DEMO_MEMBERS), st.integers(0, 17), st.sampled_from(USCC_ALPHABET))
def test_a_social_credit_code_with_one_character_changed_is_refused(
    code: str, position: int, character: str
) -> None:
    changed = code[:position] + character + code[position + 1 :]
    assert is_uscc(changed) is (changed == code)


@pytest.mark.parametrize("number", ["11010519491231002X", "440524188001010014"])
def test_a_true_resident_id_is_one(number: str) -> None:
    # The two examples of GB 11643-1999.
    assert is_resident_id(number)


@pytest.mark.parametrize(
    "text", ["", "110105194912310021", "11010519491231002x", "01010519491231002X", "11010519491231002"]
)
def test_another_resident_id_is_refused(text: str) -> None:
    assert not is_resident_id(text)


@given(st.integers(0, 16), st.sampled_from("0123456789"))
def test_a_resident_id_with_one_digit_changed_is_refused(position: int, digit: str) -> None:
    number = "11010519491231002X"
    changed = number[:position] + digit + number[position + 1 :]
    assert is_resident_id(changed) is (changed == number)


@pytest.mark.parametrize(
    ("text", "is_subsystem", "is_service"),
    [
        ("11510108MB1A00002M/employment", True, False),
        ("11510108MB1A00002M/employment/proof", False, True),
        ("11510108MB1A00002M/employment-2/proof-v2", False, True),
        ("11510108MB1A00002M", False, False),
        ("11510108MB1A00002N/employment", False, False),
        ("11510108MB1A00002M/Employment", False, False),
        ("11510108MB1A00002M/-employment", False, False),
        ("11510108MB1A00002M/" + "e" * 41, False, False),
        ("11510108MB1A00002M/employment/", False, False),
        ("11510108MB1A00002M/../proof", False, False),
        ("11510108MB1A00002M/employment\n", False, False),
    ],
)
def test_ids_have_their_forms(text: str, *, is_subsystem: bool, is_service: bool) -> None:
    assert is_subsystem_id(text) is is_subsystem
    assert is_service_id(text) is is_service


def test_a_service_names_its_subsystem_and_member() -> None:
    service = ServiceId("11510108MB1A00002M/employment/proof")
    assert subsystem_of(service) == SubsystemId("11510108MB1A00002M/employment")
    assert member_of(service) == member_of(subsystem_of(service)) == "11510108MB1A00002M"


@pytest.mark.parametrize("text", ["employment-record/v1", "a/v12", "a/v999"])
def test_a_contract_id_is_one(text: str) -> None:
    assert is_contract_id(text)


@pytest.mark.parametrize(
    "text", ["", "a", "a/1", "a/v0", "a/v01", "a/v1000", "A/v1", "a/v1/v2", "../v1", "a/v1\n"]
)
def test_another_contract_id_is_refused(text: str) -> None:
    assert not is_contract_id(text)


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis adds the zone
def test_a_new_message_id_is_a_uuid_of_version_7_and_carries_its_time(now: datetime) -> None:
    text = new_message_id(now)
    assert is_message_id(text)
    value = uuid.UUID(text)
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert value.int >> 80 == (now - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def test_message_ids_of_one_instant_differ() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert len({new_message_id(now) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0195504E-8C00-7000-8000-000000000001",
        "0195504e-8c00-4000-8000-000000000001",
        "0195504e-8c00-7000-c000-000000000001",
        "0195504e8c0070008000000000000001",
        "{0195504e-8c00-7000-8000-000000000001}",
        "0195504e-8c00-7000-8000-000000000001\n",
    ],
)
def test_another_message_id_is_refused(text: str) -> None:
    assert not is_message_id(text)
