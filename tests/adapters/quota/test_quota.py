# SPDX-License-Identifier: Apache-2.0
"""The SOAP adapter with a WSDL that is really in use, and nothing but a description to make it fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub.contracts import load_contracts
from hub.errors import AdapterError
from hub.identifiers import ContractId
from tests.adapters.quota.stand_in import (
    BROKEN,
    EMPTY,
    ENDED,
    INCOMPLETE,
    QUOTA_WSDL,
    REFUSED,
    REGISTERED,
    UNKNOWN,
    quota_app,
    quota_environment,
)
from tests.adapters.running import call_of, only_adapter, running_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.configuration import ConfiguredAdapter

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(not QUOTA_WSDL.exists(), reason="needs the Dutch WSDL in ../shared/data")


@pytest.fixture(scope="module")
def quota() -> Iterator[ConfiguredAdapter]:
    with (
        running_app(quota_app()) as port,
        only_adapter(HERE / "quota.yaml", quota_environment(port)) as configured,
    ):
        yield configured


@pytest.mark.parametrize(
    ("number", "until", "grounds"),
    [
        (REGISTERED, None, [{"ground": "01", "from": "2015-01-01", "to": None}]),
        (
            ENDED,
            "2025-12-31",
            [
                {"ground": "02", "from": "2013-07-01", "to": "2019-12-31"},
                {"ground": None, "from": "2020-01-01", "to": None},
            ],
        ),
    ],
)
def test_a_registration_is_mapped_to_its_contract(
    quota: ConfiguredAdapter, number: str, until: str | None, grounds: list[object]
) -> None:
    answer = quota.adapter.answer({"citizen_number": number}, call_of(quota))

    assert answer.data == {
        "citizen_number": number,
        "registered_until": until,
        "grounds": grounds,
        "retrieved_at": "2026-09-15T04:00:00.000Z",
    }
    contract = load_contracts(HERE / "contracts")[ContractId("quota-registration/v1")]
    contract.check_response({"response.json": json.dumps(answer.data).encode()})


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (UNKNOWN, "record_not_found"),
        (REFUSED, "system_fault"),
        (BROKEN, "system_fault"),
        (INCOMPLETE, "mapping_failed"),
        (EMPTY, "mapping_failed"),
    ],
)
def test_what_is_no_registration_is_told_apart(quota: ConfiguredAdapter, number: str, code: str) -> None:
    with pytest.raises(AdapterError) as caught:
        quota.adapter.answer({"citizen_number": number}, call_of(quota))

    assert caught.value.code == f"adapter.{code}"
    assert number not in str(caught.value)


def test_the_register_s_own_fault_code_is_told(quota: ConfiguredAdapter) -> None:
    with pytest.raises(AdapterError, match="E100"):
        quota.adapter.answer({"citizen_number": BROKEN}, call_of(quota))


def test_the_wsdl_reads_nothing_outside_its_folder() -> None:
    environment = {**quota_environment(1), "QUOTA_FOLDER": str(QUOTA_WSDL.parent)}

    with (
        pytest.raises(AdapterError, match="out of its folder"),
        only_adapter(HERE / "quota.yaml", environment),
    ):
        pass
