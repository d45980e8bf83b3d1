# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.proof import certificate_identifier, check_character, is_certificate_identifier

LABOUR_BUREAU = "11510108MB1A00002M"

# Met in public systems.
PUBLIC = [
    "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U",
    "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.002.S",
    "1.2.156.3005.2.11100000MB03271699022.340100.000000016.001.9",
    "1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052201.002.0",
    "1.2.156.3005.2.11100000000013338W087.11370800MB28559184.37080001202411010001.001.3",
]
# Stands as a sample value in an interface description.
SAMPLE = "1.2.156.3005.2.11100000000013661B006.113700000045046442.209FA4E88F9E4C878F3E9BED2CE7EA49.001.M"


@pytest.mark.parametrize("identifier", PUBLIC)
def test_the_check_character_of_public_identifiers_computes(identifier: str) -> None:
    assert is_certificate_identifier(identifier)


def test_the_sample_of_an_interface_description_does_not_compute() -> None:
    assert not is_certificate_identifier(SAMPLE)
    assert is_certificate_identifier(SAMPLE[:-1] + "D")


def test_the_check_character_agrees_with_another_user_of_the_same_standard() -> None:
    # A1-2425G-ABC1234002-M is the published example of the Global Release Identifier, also MOD 37,36.
    assert check_character("A12425GABC1234002") == "M"


@given(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=30), st.data())
def test_every_single_wrong_character_is_caught(text: str, data: st.DataObject) -> None:
    whole = text + check_character(text)
    place = data.draw(st.integers(0, len(whole) - 1))
    wrong = data.draw(
        st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ").filter(lambda c: c != whole[place])
    )
    changed = whole[:place] + wrong + whole[place + 1 :]
    assert check_character(changed[:-1]) != changed[-1]


def test_an_identifier_is_made_in_the_standard_form() -> None:
    made = certificate_identifier(f"{LABOUR_BUREAU}001", LABOUR_BUREAU, "20250000017")
    assert re.fullmatch(
        r"1\.2\.156\.3005\.2\.11510108MB1A00002M001\.11510108MB1A00002M\.20250000017\.001\.[0-9A-Z]", made
    )
    assert is_certificate_identifier(made)
    assert certificate_identifier(f"{LABOUR_BUREAU}001", LABOUR_BUREAU, "20250000017", version=2) != made


@pytest.mark.parametrize(
    ("type_code", "issuer", "serial", "version"),
    [
        ("11510108MB1A000020001", LABOUR_BUREAU, "1", 1),
        (f"{LABOUR_BUREAU}01", LABOUR_BUREAU, "1", 1),
        (f"{LABOUR_BUREAU}001", "", "1", 1),
        (f"{LABOUR_BUREAU}001", LABOUR_BUREAU, "a1", 1),
        (f"{LABOUR_BUREAU}001", LABOUR_BUREAU, "1.2", 1),
        (f"{LABOUR_BUREAU}001", LABOUR_BUREAU, "1\n", 1),
        (f"{LABOUR_BUREAU}001", LABOUR_BUREAU, "1", 0),
        (f"{LABOUR_BUREAU}001", LABOUR_BUREAU, "1", 1000),
    ],
)
def test_a_piece_of_another_form_is_refused(type_code: str, issuer: str, serial: str, version: int) -> None:
    with pytest.raises(ValueError, match="certificate identifier"):
        certificate_identifier(type_code, issuer, serial, version=version)


@pytest.mark.parametrize("text", ["", "a", "Ä", " "])
def test_only_digits_and_capitals_have_a_check_character(text: str) -> None:
    with pytest.raises(ValueError, match="capital letters"):
        check_character(text)


@pytest.mark.parametrize("text", ["", PUBLIC[0] + "\n", PUBLIC[0].replace("3005", "3006"), PUBLIC[0].lower()])
def test_text_of_another_form_is_no_identifier(text: str) -> None:
    assert not is_certificate_identifier(text)
