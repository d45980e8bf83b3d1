# SPDX-License-Identifier: Apache-2.0
"""Invented staff for the tests: answers of the three departments, and the rule to count by."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from adapters.proof import (
    CountingRule,
    Party,
    SourceReference,
    certificate_identifier,
    compose,
    load_counting_rule,
)
from hub.clock import parse_instant
from hub.contracts import Contract, JsonObject, load_contracts
from hub.identifiers import ContractId, MemberId, MessageId, ServiceId

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

Rows: TypeAlias = list[dict[str, Any]]

CONTRACTS = Path(__file__).parents[3] / "contracts"
RULE_FILE = CONTRACTS / "disability-employment-proof" / "v1" / "counting.json"
LABOUR_BUREAU = MemberId("11510108MB1A00002M")
FEDERATION = MemberId("13510108MB1A00003J")
SOCIAL_INSURANCE = MemberId("12510108MB1A00004Q")
EMPLOYER = "91510108MA6C00001C"
OTHER_EMPLOYER = "91510108MA6C00002F"
MONTHS = [f"2025-{month:02d}" for month in range(1, 13)]
INSURED = ["pension", "medical", "unemployment", "work_injury", "maternity"]
ISSUED_AT = parse_instant("2026-03-02T01:15:36.120Z")


@cache
def rule() -> CountingRule:
    return load_counting_rule(RULE_FILE)


@cache
def contracts() -> Mapping[ContractId, Contract]:
    return load_contracts(CONTRACTS)


def person(serial: int) -> str:
    """Make an invented resident id number with a right check character."""
    body = f"51010819850312{serial:03d}"
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(body))
    return body + "10X98765432"[total % 11]


def worker(person_id: str, **other: object) -> dict[str, Any]:
    row = {"person_id": person_id, "name": "李晓荷", "employed_from": "2019-04-01", "employed_to": None}
    return row | {"kind": "direct", "counted_by": None} | other


def civil(person_id: str, grade: int = 3, **other: object) -> dict[str, Any]:
    row = {"person_id": person_id, "name": "李晓荷", "kind": "civil", "category": 4, "grade": grade}
    row |= {"certificate_number": f"{person_id}4{grade}", "status": "01"}
    return row | {"valid_from": "2018-06-11", "valid_to": "2028-06-10"} | other


def military(person_id: str, grade: int, **other: object) -> dict[str, Any]:
    row = {"person_id": person_id, "name": "李晓荷", "kind": "military", "category": None, "grade": grade}
    row |= {"certificate_number": f"川军A{person_id[-4:]}", "status": "01"}
    return row | {"valid_from": "2003-08-01", "valid_to": None} | other


def paid(person_id: str, months: Sequence[str] = tuple(MONTHS), insurances: Sequence[str] = INSURED) -> Rows:
    return [
        {"person_id": person_id, "month": month, "insurances": list(insurances), "base_yuan": "5213.00"}
        for month in months
    ]


def answers(
    workers: Rows, certificates: Rows, contributions: Rows, employees: Sequence[int] = (100,) * 12
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Make the three answers, as their contracts say."""
    everybody = {row["person_id"] for row in workers}
    certified = {row["person_id"] for row in certificates}
    retrieved = {"retrieved_at": "2026-03-02T01:15:30.250Z"}
    headcount = [{"month": m, "employees": n} for m, n in zip(MONTHS, employees, strict=True)]
    employer = {"uscc": EMPLOYER, "name": "成都锦芯精密制造有限公司"}
    file = {"name": "SBJF_2025.csv", "sha256": "3f" * 32, "rows": len(contributions)}
    return (
        {"employer": employer, "year": 2025, "headcount": headcount, "workers": workers} | retrieved,
        {"certificates": certificates, "not_found": sorted(everybody - certified)} | retrieved,
        {"employer": EMPLOYER, "year": 2025, "contributions": contributions, "file": file} | retrieved,
    )


def sources() -> list[SourceReference]:
    asked = [
        ("employment-record/v1", f"{LABOUR_BUREAU}/employment/employment-record", None),
        (
            "disability-certificate/v1",
            f"{FEDERATION}/register/disability-certificate",
            MessageId("0195538d-9a7c-7b3e-8f21-6d0c2a4e9b10"),
        ),
        (
            "contribution-record/v1",
            f"{SOCIAL_INSURANCE}/contributions/contribution-record",
            MessageId("0195538d-a1f0-7c55-9a02-11d3e7f8c644"),
        ),
    ]
    instants = ["2026-03-02T01:15:30.250Z", "2026-03-02T01:15:31.004Z", "2026-03-02T01:15:34.870Z"]
    return [
        SourceReference(ContractId(contract), ServiceId(service), message, f"{number:02d}" * 32, at)
        for number, ((contract, service, message), at) in enumerate(
            zip(asked, map(parse_instant, instants), strict=True), start=1
        )
    ]


def proof_of(
    given: tuple[dict[str, Any], dict[str, Any], dict[str, Any]],
    *,
    ratio: str = "0.015",
    issued_at: datetime = ISSUED_AT,
) -> JsonObject:
    """Compose a proof of the three answers."""
    return compose(
        *given,
        rule=rule(),
        issuer=Party(LABOUR_BUREAU, "成华区人力资源和社会保障局"),
        sources=sources(),
        proof_number=certificate_identifier(f"{LABOUR_BUREAU}001", LABOUR_BUREAU, "20250000017"),
        issued_at=issued_at,
        required_ratio=Decimal(ratio),
    )
