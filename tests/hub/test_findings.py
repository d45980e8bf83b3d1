# SPDX-License-Identifier: Apache-2.0
"""What is said about a refused certificate, and how it travels."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.errors import Culprit, ExchangeError, Finding, Language, LogError, ReportedFaultError, TrustError
from hub.findings import (
    finding_in,
    finding_to_json,
    logged,
    read_finding,
    spoken_instant,
    tell,
    with_spoken_instants,
)

AT = datetime(2026, 12, 31, 20, 30, tzinfo=UTC)
EXPIRED = Finding(
    reason_id="expired",
    code="trust.certificate_expired",
    clause="RFC 5280 6.1.3 (a)(2)",
    subject="CN=成华区残疾人联合会",
    issuer="CN=开发用CA",
    serial="3e9",
    at=AT,
    reason={
        Language.EN: "It expired at 2026-11-30T16:00:00.000Z.",
        Language.ZH: "证书已于2026-11-30T16:00:00.000Z到期。",
    },
    cure={Language.EN: "Renew it.", Language.ZH: "请更换证书。"},
)


def test_people_read_the_certificate_the_clause_and_the_time_in_their_own_words() -> None:
    assert tell(EXPIRED, Language.EN) == (
        "It expired at 2026-11-30T16:00:00.000Z; certificate 'CN=成华区残疾人联合会' (issuer 'CN=开发用CA', "
        "serial 3e9); checked for 2026-12-31T20:30:00.000Z [RFC 5280 6.1.3 (a)(2)]"
    )
    assert tell(EXPIRED, Language.ZH) == (
        "证书已于2026年12月1日00:00:00（北京时间）到期；证书：CN=成华区残疾人联合会（签发者：CN=开发用CA，"
        "序列号：3e9）；核验时点：2027年1月1日04:30:00（北京时间）。依据：RFC 5280 6.1.3 (a)(2)"
    )


def test_a_finding_about_no_certificate_and_no_time_names_none() -> None:
    bare = replace(EXPIRED, subject="", issuer="", serial="", at=None)
    assert tell(bare, Language.EN) == "It expired at 2026-11-30T16:00:00.000Z [RFC 5280 6.1.3 (a)(2)]"
    assert "证书：" not in tell(bare, Language.ZH)
    assert finding_to_json(bare)["at"] is None
    assert read_finding(finding_to_json(bare)) == bare


def test_what_only_looks_like_an_instant_stays_as_it_is() -> None:
    assert with_spoken_instants("2026-13-01T00:00:00.000Z", Language.ZH) == "2026-13-01T00:00:00.000Z"
    assert spoken_instant(AT, Language.EN) == "2026-12-31T20:30:00.000Z"


def test_a_hostile_name_brings_no_control_characters_to_people_or_logs() -> None:
    hostile = replace(EXPIRED, subject="CN=\x1b[2Jvalid\u202e")
    error = TrustError("trust.certificate_expired", "", hostile)
    for text in (tell(hostile, Language.EN), tell(hostile, Language.ZH), *logged(error).values()):
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_a_finding_says_after_the_wire_what_it_said_before() -> None:
    assert read_finding(json.loads(json.dumps(finding_to_json(EXPIRED)))) == EXPIRED


def test_a_name_too_long_for_the_wire_is_cut_so_that_the_finding_can_be_read() -> None:
    told = finding_to_json(replace(EXPIRED, subject="CN=" + "x" * 5000))
    assert len(read_finding(told).subject) == 1000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("more", 1),
        ("reason", {"en": "only English"}),
        ("reason", {"en": "a", "fr": "b"}),
        ("cure", {"en": "a", "zh-CN": "b", "fr": "c"}),
        ("serial", "not hexadecimal"),
        ("at", "yesterday"),
        ("at", 1),
        ("code", "TRUST"),
        ("subject", "x" * 1001),
        ("subject", None),
        ("reason_id", ""),
    ],
)
def test_a_finding_of_another_form_is_not_read(name: str, value: object) -> None:
    fields: dict[str, Any] = {**finding_to_json(EXPIRED), name: value}
    with pytest.raises(ValueError, match="not a finding"):
        read_finding(fields)


@pytest.mark.parametrize("name", list(finding_to_json(EXPIRED)))
def test_a_finding_that_lacks_a_field_is_not_read(name: str) -> None:
    fields = finding_to_json(EXPIRED)
    del fields[name]
    with pytest.raises(ValueError, match="not a finding"):
        read_finding(fields)


def test_people_who_read_one_language_get_one() -> None:
    chinese = finding_in(EXPIRED, Language.ZH)
    assert chinese["reason"] == "证书已于2026年12月1日00:00:00（北京时间）到期。"
    assert chinese["cure"] == "请更换证书。"
    assert (chinese["clause"], chinese["serial"]) == (EXPIRED.clause, EXPIRED.serial)


def wrapped(cause: Exception) -> ExchangeError:
    error = ExchangeError("exchange.answer_untrusted", "the answer")
    error.__cause__ = cause
    return error


def test_an_error_raised_from_a_refused_certificate_carries_its_finding_on() -> None:
    refused = TrustError("trust.certificate_expired", "", EXPIRED)
    assert wrapped(refused).finding == EXPIRED
    assert wrapped(LogError("log.entry_unknown")).finding is None
    assert wrapped(ValueError()).finding is None
    reported = ReportedFaultError(
        "trust.of_tomorrow", "", culprit=Culprit.SENDER, is_retryable=False, finding=EXPIRED
    )
    assert reported.finding == EXPIRED


def test_a_log_line_names_the_certificate_and_the_cure_and_nothing_where_none_was_refused() -> None:
    assert logged(wrapped(TrustError("trust.certificate_expired", "", EXPIRED))) == {
        "reason": "expired",
        "clause": EXPIRED.clause,
        "certificate": EXPIRED.subject,
        "issuer": EXPIRED.issuer,
        "serial": "3e9",
        "checked_for": "2026-12-31T20:30:00.000Z",
        "cure": "Renew it.",
    }
    assert logged(LogError("log.entry_unknown")) == {}
