# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from datetime import date

import pytest

from adapters.simulators.population import (
    EMPLOYERS,
    FIRST_EMPLOYER,
    SECOND_EMPLOYER,
    Engagement,
    months_until,
    population,
)
from hub.identifiers import is_resident_id, is_uscc


def special(engagements: tuple[Engagement, ...]) -> list[Engagement]:
    return [one for one in engagements if one.person.certificate is not None]


@pytest.mark.parametrize("year", [2025, 2026])
def test_two_employers_have_12_and_50_workers(year: int) -> None:
    staffs = [population(year).staff(employer, year) for employer in (FIRST_EMPLOYER, SECOND_EMPLOYER)]

    assert [len(staff) for staff in staffs] == [12, 50]
    assert [len(special(staff)) for staff in staffs] == [4, 7]


def test_everybody_has_valid_numbers_and_is_there_once() -> None:
    engagements = population(2026).engagements

    assert all(is_uscc(employer) for employer in EMPLOYERS)
    assert all(is_resident_id(one.person.person_id) for one in engagements)
    assert len({one.person.person_id for one in engagements}) == len(engagements) - 1


def test_a_civil_certificate_number_is_id_category_and_grade() -> None:
    for one in special(population(2026).engagements):
        certificate = one.person.certificate
        assert certificate is not None
        if not certificate.is_military:
            expected = f"{one.person.person_id}{certificate.category}{certificate.grade}"
            assert re.fullmatch(rf"{expected}(B1)?", certificate.number)


def test_there_is_one_of_every_case_the_counting_rules_decide() -> None:
    people = special(population(2026).engagements)
    certificates = [one.person.certificate for one in people if one.person.certificate]

    assert any(c.grade == 1 and not c.is_military for c in certificates)
    assert any(c.valid_to == date(2026, 6, 30) for c in certificates)
    assert any(c.is_military and c.grade <= 3 for c in certificates)
    assert any(c.is_military and c.grade > 3 for c in certificates)
    assert any(c.status != "0" for c in certificates)
    assert any(c.name for c in certificates)
    assert any(one.unpaid_months == {"2026-03"} for one in people)
    assert any(one.last_day == date(2026, 7, 31) for one in people)
    assert [one.counted_by for one in people if one.is_dispatched] == [SECOND_EMPLOYER] * 2


def test_it_is_the_same_in_every_process() -> None:
    # A changed invention would change what the demonstration's proof says.
    assert population(2026).engagements[0].person.person_id == "511622197901111001"


def test_months_are_those_that_have_begun() -> None:
    assert months_until(2026, date(2026, 3, 1)) == ("2026-01", "2026-02", "2026-03")
    assert len(months_until(2025, date(2026, 3, 1))) == 12
    assert months_until(2027, date(2026, 3, 1)) == ()
