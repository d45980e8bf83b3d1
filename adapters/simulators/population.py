# SPDX-License-Identifier: Apache-2.0
"""The people and companies the stand-ins know: all invented, always the same, with valid check digits.

Two employers, 12 and 50 workers. Beside ordinary cases there is one of every case the counting rules decide:
a severe disability, a certificate that ends in the middle of the year, a suspended one, a reissued one,
soldiers' certificates, a dispatched worker counted by the other employer, a month without contributions,
somebody who left, and a name written differently. The register does not know people without a certificate.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date
from functools import cache

from adapters.invention.people import AREAS, GIVEN_NAMES, SURNAMES
from hub.identifiers import is_resident_id

EMPLOYERS = {
    "91510108MA6C00001C": "成都市成华区晨曦纸品有限公司",
    "91510108MA6C00002F": "成都市成华区长风物流有限公司",
}
"""USCC and name."""

FIRST_EMPLOYER, SECOND_EMPLOYER = EMPLOYERS
INSURANCES = ("110", "210", "310", "410", "510")
"""The insurance bureau's own codes: pension, unemployment, medical, work injury, maternity."""

_SEED = 788002


@dataclass(frozen=True)
class Certificate:
    """A certificate as the register keeps it.

    Attributes:
        category: GB/T 26341, 1 to 7; None for a soldier's certificate.
        valid_to: the last day; None without end.
        status: the register's own code, `0` in force.
    """

    number: str
    category: int | None
    grade: int
    valid_from: date
    valid_to: date | None
    status: str = "0"
    name: str | None = None

    @property
    def is_military(self) -> bool:
        """Tell whether it is a disabled soldier's certificate."""
        return self.category is None


@dataclass(frozen=True)
class Person:
    """Somebody invented."""

    person_id: str
    name: str
    certificate: Certificate | None = None


@dataclass(frozen=True)
class Engagement:
    """One person's work for one employer, as the labour bureau's file has it.

    Attributes:
        last_day: included; None while employed.
        counted_by: who counts a dispatched worker by agreement.
        paid_by: who pays the contributions, where it is another unit.
        unpaid_months: months `YYYY-MM` without contributions.
    """

    employer: str
    person: Person
    first_day: date
    last_day: date | None = None
    is_dispatched: bool = False
    counted_by: str | None = None
    paid_by: str | None = None
    base_yuan: str = "5213.00"
    unpaid_months: frozenset[str] = field(default=frozenset())

    def covers(self, month: str) -> bool:
        """Tell whether the person works for the employer on some day of the month."""
        return f"{self.first_day:%Y-%m}" <= month and (
            self.last_day is None or month <= f"{self.last_day:%Y-%m}"
        )


@dataclass(frozen=True)
class Population:
    """Everybody, as of one year."""

    engagements: tuple[Engagement, ...]

    def staff(self, employer: str, year: int) -> tuple[Engagement, ...]:
        """Return who works for an employer on some day of the year."""
        months = (f"{year}-{number:02d}" for number in range(1, 13))
        wanted = set(months)
        return tuple(
            one for one in self.engagements if one.employer == employer and any(one.covers(m) for m in wanted)
        )

    def person(self, person_id: str) -> Person | None:
        """Return a person who has a certificate."""
        return next(
            (
                one.person
                for one in self.engagements
                if one.person.person_id == person_id and one.person.certificate
            ),
            None,
        )


def months_until(year: int, until: date) -> tuple[str, ...]:
    """Return the months of the year that have begun on the day."""
    return tuple(f"{year}-{number:02d}" for number in range(1, 13) if date(year, number, 1) <= until)


@cache
def population(year: int) -> Population:
    """Return everybody, with the special cases placed in this year."""
    chance = random.Random(_SEED)  # noqa: S311 - reproducible invention, not a secret
    people = [_person(chance, number) for number in range(61)]
    specials = _specials(year, people)
    ordinary = [
        Engagement(
            employer=FIRST_EMPLOYER if number < 8 else SECOND_EMPLOYER,
            person=person,
            first_day=date(
                year - 1 - chance.randrange(6), 1 + chance.randrange(12), 1 + chance.randrange(28)
            ),
            base_yuan=f"{chance.randrange(4511, 12800)}.00",
        )
        for number, person in enumerate(people[len(specials) - 1 :])
    ]
    return Population((*specials, *ordinary))


def _specials(year: int, people: list[Person]) -> list[Engagement]:
    """One of every case the counting rules decide; the dispatched worker stands with both employers."""
    hired = date(year - 3, 4, 1)
    dispatched = _with_civil(people[3], 4, 3, year)
    soldier = Certificate(f"川军B{people[6].person_id[6:12]}", None, 2, date(2004, 8, 1), None)
    light_soldier = Certificate(f"川军C{people[7].person_id[6:12]}", None, 6, date(2011, 8, 1), None)
    return [
        Engagement(FIRST_EMPLOYER, _with_civil(people[0], 4, 4, year), hired),
        Engagement(FIRST_EMPLOYER, _with_civil(people[1], 1, 1, year), hired, base_yuan="6100.50"),
        Engagement(FIRST_EMPLOYER, _with_civil(people[2], 2, 3, year, valid_to=date(year, 6, 30)), hired),
        Engagement(FIRST_EMPLOYER, dispatched, hired, is_dispatched=True, counted_by=SECOND_EMPLOYER),
        Engagement(
            SECOND_EMPLOYER,
            dispatched,
            hired,
            is_dispatched=True,
            counted_by=SECOND_EMPLOYER,
            paid_by=FIRST_EMPLOYER,
        ),
        Engagement(
            SECOND_EMPLOYER,
            _with_civil(people[4], 4, 2, year, reissue="B1"),
            hired,
            unpaid_months=frozenset({f"{year}-03"}),
        ),
        Engagement(SECOND_EMPLOYER, _with_civil(people[5], 5, 4, year, status="1"), hired),
        Engagement(SECOND_EMPLOYER, _with(people[6], soldier), hired),
        Engagement(SECOND_EMPLOYER, _with(people[7], light_soldier), date(year, 2, 16)),
        Engagement(SECOND_EMPLOYER, _with_civil(people[8], 6, 2, year), hired, last_day=date(year, 7, 31)),
        Engagement(SECOND_EMPLOYER, _with_civil(people[9], 7, 3, year, name="欧阳建华"), hired),
    ]


def _with(person: Person, certificate: Certificate) -> Person:
    return Person(person.person_id, person.name, certificate)


def _with_civil(  # noqa: PLR0913 - one keyword for each thing that can be special
    person: Person,
    category: int,
    grade: int,
    year: int,
    *,
    valid_to: date | None = None,
    status: str = "0",
    reissue: str = "",
    name: str | None = None,
) -> Person:
    """Give somebody a certificate: 18 digits of the id, category and grade, and a count when reissued."""
    number = f"{person.person_id}{category}{grade}{reissue}"
    ends = valid_to or date(year + 4, 5, 31)
    starts = date(ends.year - 10, 6, 1)
    return _with(person, Certificate(number, category, grade, starts, ends, status, name))


def _person(chance: random.Random, number: int) -> Person:
    born = date(1966 + chance.randrange(36), 1 + chance.randrange(12), 1 + chance.randrange(28))
    stem = f"{chance.choice(AREAS)}{born:%Y%m%d}{100 + number * 3 % 900:03d}"
    person_id = next(stem + check for check in "0123456789X" if is_resident_id(stem + check))
    return Person(person_id, chance.choice(SURNAMES) + chance.choice(GIVEN_NAMES))
