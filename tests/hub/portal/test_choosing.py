# SPDX-License-Identifier: Apache-2.0
"""What a form chooses is what it showed, and nothing that came later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hub.errors import PortalError
from hub.outbox import DeliveryState
from hub.portal.choosing import Choice
from hub.portal.letter_filters import LetterFilters, read_number
from hub.portal.maintenance_pages import Asked

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
SERVICE = "11510108MB1A00002M/employment/echo"


class TestChoice:
    def test_ticked_and_listed_numbers_are_taken_once_each(self) -> None:
        choice = Choice.of({"letter-7": "1", "letter-3": "1", "numbers": "3 9"}, NOW)
        assert choice.numbers == (3, 9, 7)
        assert choice.to_form() == {"numbers": "3 9 7"}
        assert not choice.is_empty

    def test_all_that_were_found_are_those_of_that_moment(self) -> None:
        form = {"all": "1", "service": SERVICE, "letter-7": "1", "cursor": "40"}
        choice = Choice.of(form, NOW)
        carried = choice.to_form()
        assert carried == {"all": "1", "service": SERVICE, "before": "2026-11-23T03:00:00.000Z"}
        later = Choice.of(carried, NOW + timedelta(minutes=5))
        assert later.before == NOW
        assert later.to_form() == carried

    def test_nobody_chooses_from_the_future(self) -> None:
        assert Choice.of({"all": "1", "before": "2999-01-01T00:00:00.000Z"}, NOW).before == NOW

    def test_nothing_chosen_is_nothing(self) -> None:
        assert Choice.of({"service": SERVICE}, NOW).is_empty

    @pytest.mark.parametrize(
        "form",
        [
            {"numbers": "0"},
            {"numbers": "-1"},
            {"numbers": "1e3"},
            {"numbers": "1;2"},
            {"letter-": "1"},
            {"letter-x": "1"},
            {"numbers": "9" * 30},
            {"all": "1", "before": "yesterday"},
            {"all": "1", "service": "x"},
        ],
    )
    def test_a_form_that_was_bent_is_refused(self, form: dict[str, str]) -> None:
        with pytest.raises(PortalError) as refused:
            Choice.of(form, NOW)
        assert refused.value.code == "portal.form_invalid"


class TestLetterFilters:
    def test_they_become_a_search(self) -> None:
        filters = LetterFilters.of({"service": SERVICE, "first_day": "2026-11-01", "last_day": "2026-11-22"})
        search = filters.to_search(50, before=NOW)
        assert search.service == SERVICE
        assert search.state is DeliveryState.DEAD
        assert search.since == datetime(2026, 10, 31, 16, tzinfo=UTC)
        assert search.until == datetime(2026, 11, 22, 16, tzinfo=UTC)

    def test_the_earlier_end_counts(self) -> None:
        filters = LetterFilters.of({"last_day": "2026-11-30"})
        assert filters.to_search(50, before=NOW).until == NOW

    def test_an_address_says_the_same_again(self) -> None:
        filters = LetterFilters.of({"service": SERVICE, "cursor": "7", "other": "x"})
        assert filters.address() == f"/portal/dead-letters?service={SERVICE.replace('/', '%2F')}"
        number = read_number("12")
        assert number is not None
        assert filters.address(number).endswith("&cursor=12")


class TestAsked:
    def test_an_instant_counts_before_the_choice(self) -> None:
        asked = Asked.of({"reason": " new  disks ", "minutes": "15", "until": "2026-11-23T12:00"}, NOW)
        assert (asked.reason, asked.until, asked.mistakes) == (
            "new disks",
            datetime(2026, 11, 23, 4, tzinfo=UTC),
            (),
        )

    def test_a_choice_counts_from_now(self) -> None:
        assert Asked.of({"reason": "x", "minutes": "15"}, NOW).until == NOW + timedelta(minutes=15)

    @pytest.mark.parametrize("until", ["2026-11-23T10:59", "2026-12-25T00:00", "noon", "2026-11-23T25:00"])
    def test_what_is_no_instant_of_the_next_month_is_a_mistake(self, until: str) -> None:
        assert Asked.of({"reason": "x", "until": until}, NOW).mistakes == ("until",)
