# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hub.bundles import Missing, Selection, Why
from hub.bundles.missing import WORDS, why_not_read
from hub.errors import BundleError, EnvelopeError, ExchangeError, Language
from hub.identifiers import MessageId

ID = MessageId("0195f5b2-7c00-7000-8000-000000000001")
MARCH, APRIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "said", "label"),
    [
        ({"message": ID}, {"message": ID}, ID),
        ({"conversation": ID}, {"conversation": ID}, ID),
        ({"case": "李伟的案件"}, {"case": "李伟的案件"}, "case"),
        (
            {"since": MARCH, "until": APRIL},
            {"since": "2026-03-01T00:00:00.000Z", "until": "2026-04-01T00:00:00.000Z"},
            "period-20260301-20260401",
        ),
        ({"since": MARCH}, {"since": "2026-03-01T00:00:00.000Z", "until": None}, "period-20260301"),
        ({"until": APRIL}, {"since": None, "until": "2026-04-01T00:00:00.000Z"}, "period-20260401"),
    ],
)
def test_a_selection_says_what_was_asked_and_names_no_case_in_a_file_name(
    asked: dict[str, Any], said: dict[str, Any], label: str
) -> None:
    selection = Selection(**asked)
    assert selection.to_json() == said | {"party": None}
    assert selection.label == label


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"message": ID, "case": "1"},
        {"conversation": ID, "since": MARCH},
        {"since": APRIL, "until": MARCH},
        {"since": MARCH, "until": MARCH},
    ],
)
def test_a_selection_is_exactly_one_thing(asked: dict[str, Any]) -> None:
    with pytest.raises(BundleError) as refused:
        Selection(**asked)
    assert refused.value.code == "bundle.selection_invalid"


@pytest.mark.parametrize("why", Why)
def test_every_reason_is_told_in_both_languages(why: Why) -> None:
    line = Missing("log/checkpoint.ers", why).to_json()
    assert line == {
        "what": "log/checkpoint.ers",
        "why": why.value,
        "zh": WORDS[why][Language.ZH],
        "en": WORDS[why][Language.EN],
    }
    assert line["zh"].endswith("。")
    assert line["en"].endswith(".")


def test_why_a_container_is_not_given_follows_from_what_the_vault_said() -> None:
    assert why_not_read(ExchangeError("exchange.message_unknown")) is Why.NOT_KEPT
    assert why_not_read(EnvelopeError("envelope.not_a_zip")) is Why.UNREADABLE
