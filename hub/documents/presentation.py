# SPDX-License-Identifier: Apache-2.0
"""What the proof shows of its data, as the words and figures that stand on the page.

Pure. Ids and certificate numbers of persons are partly masked; the attached data carries them whole.

Source: contracts/disability-employment-proof/v1.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hub.clock import parse_instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    JsonObject = Mapping[str, Any]

CHINA = timezone(timedelta(hours=8), "Asia/Shanghai")
"""China has had one time without daylight saving since 1991."""

_CATEGORIES = ("视力", "听力", "言语", "肢体", "智力", "精神", "多重")
"""GB/T 26341-2010: categories 1 to 7."""

_KINDS = {"civil": "残疾人证", "military": "残疾军人证"}

REASON_MARKS = {
    "not_employed": "①",
    "counted_elsewhere": "②",
    "name_differs": "③",
    "certificate_not_effective": "④",
    "certificate_expired_before_review": "⑤",
    "certificate_not_valid_in_month": "⑥",
    "pension_missing": "⑦",
    "medical_missing": "⑧",
}
"""The mark in a month's cell that says why the person was not counted in it."""

_REASONS = {
    "not_employed": ("未在职", "not employed"),
    "counted_elsewhere": ("协商计入另一单位", "counted by another unit by agreement"),
    "name_differs": ("两处登记姓名不一致", "names differ between registers"),
    "certificate_not_effective": ("证件状态非有效", "certificate not in force"),
    "certificate_expired_before_review": ("审核之日证件已过有效期", "expired by the day of review"),
    "certificate_not_valid_in_month": ("当月证件不在有效期内", "not valid in the month"),
    "pension_missing": ("当月未缴养老保险", "no pension insurance paid"),
    "medical_missing": ("当月未缴医疗保险", "no medical insurance paid"),
}

_CONTRACTS = {
    "employment-record": ("用工记录", "employment record"),
    "disability-certificate": ("残疾人证件核验", "disability certificates"),
    "contribution-record": ("社会保险缴费记录", "social insurance contributions"),
}


def mask(number: str) -> str:
    """Show the first six and the last four characters; all but the last when it is too short for that.

    >>> mask("510107197909044163")
    '510107********4163'

    Source: GB/T 35273-2020 annex A (de-identified display of personal information).
    """
    if len(number) > 12:
        return f"{number[:6]}{'*' * (len(number) - 10)}{number[-4:]}"
    return "*" * (len(number) - 1) + number[-1:]


def percent(ratio: str) -> str:
    """Write a ratio as a percentage, exactly, with at least two decimals.

    It is not rounded: 0.014996 must not look like the 1.50% it does not reach.

    >>> percent("0.015"), percent("0.031250"), percent("0.014996")
    ('1.50%', '3.125%', '1.4996%')
    """
    return f"{_at_least_two_decimals(Decimal(ratio) * 100)}%"


def _at_least_two_decimals(number: Decimal) -> str:
    """Write a number exactly, without trailing zeros beyond the second decimal."""
    whole, _, fraction = f"{number:f}".partition(".")
    return f"{whole}.{fraction.rstrip('0'):0<2}"


def day_in_china(instant: str) -> str:
    """Write the day of an instant as it is in China.

    >>> day_in_china("2026-03-01T16:00:00.000Z")
    '2026年3月2日'
    """
    local = parse_instant(instant).astimezone(CHINA)
    return f"{local.year}年{local.month}月{local.day}日"


def minute_in_china(instant: str) -> str:
    """Write an instant to the second, as clocks in China show it."""
    return f"{parse_instant(instant).astimezone(CHINA):%Y-%m-%d %H:%M:%S}"


def issued_at(data: JsonObject) -> datetime:
    """Return when the proof was issued, UTC."""
    return parse_instant(data["issued_at"])


def present(data: JsonObject) -> dict[str, object]:
    """Turn the data of a proof into what its pages show.

    Args:
        data: content that keeps to disability-employment-proof/v1.
    """
    months = data["months"]
    met = sum(1 for month in months if month["is_met"])
    used = {cell["reason"] for person in data["persons"] for cell in person["months"]}
    return {
        "number": data["proof_number"],
        "issuer": data["issuer"],
        "employer": data["employer"],
        "year": str(data["year"]),
        "required_ratio": percent(data["required_ratio"]),
        "met": met,
        "out_of": len(months),
        "persons": [_person(person) for person in data["persons"]],
        "months": [_month(month) for month in months],
        "rule": data["rule"],
        "reasons": [
            {"mark": REASON_MARKS[reason], "zh": zh, "en": en}
            for reason, (zh, en) in _REASONS.items()
            if reason in used
        ],
        "sources": [_source(source) for source in data["sources"]],
        "issued_on": day_in_china(data["issued_at"]),
        "issued_on_en": f"{issued_at(data).astimezone(CHINA):%Y-%m-%d}",
        "issued_at": minute_in_china(data["issued_at"]),
    }


def _person(person: JsonObject) -> dict[str, object]:
    category = person["category"]
    return {
        "name": person["name"],
        "person_id": mask(person["person_id"]),
        "kind": _KINDS[person["kind"]],
        "certificate_number": mask(person["certificate_number"]),
        "severity": f"{_CATEGORIES[category - 1] if category else '伤残'}{person['grade']}级",
        "months": [_cell(cell) for cell in person["months"]],
        "months_counted": person["months_counted"],
        "weighted_months": person["weighted_months"],
    }


def _cell(cell: JsonObject) -> dict[str, object]:
    weight = cell["weight"]
    return {"weight": weight, "text": str(weight) if weight else REASON_MARKS[cell["reason"]]}


def _month(month: JsonObject) -> dict[str, object]:
    ratio = month["ratio"]
    return {
        "month": month["month"],
        "employees": month["employees"],
        "persons_counted": month["persons_counted"],
        "weighted_persons": month["weighted_persons"],
        "required_persons": _at_least_two_decimals(Decimal(month["required_persons"])),
        "ratio": "—" if ratio is None else percent(ratio),
        "is_met": month["is_met"],
    }


def _source(source: JsonObject) -> dict[str, object]:
    name = source["contract"].partition("/")[0]
    zh, en = _CONTRACTS.get(name, (name, name))
    return {
        "zh": zh,
        "en": en,
        "contract": source["contract"],
        "service": source["service"],
        "message_id": source["message_id"] or "",
        "sha256": source["response_sha256"],
        "answered_at": minute_in_china(source["answered_at"]),
    }
