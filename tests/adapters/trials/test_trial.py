# SPDX-License-Identifier: Apache-2.0
"""The contract test, against systems that do one thing wrong each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from adapters.trials import CaseKind, contract_cases, trial
from hub.contracts import load_contracts
from hub.errors import AdapterError
from hub.identifiers import ContractId
from tests.adapters.running import CONTRACTS
from tests.adapters.trials import systems
from tests.adapters.trials.systems import CONTRACT, KNOWN, Scripted, configured

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from adapters.ports import Call, JsonObject
    from adapters.trials import Trial

KNOWN_CONTRACTS = load_contracts(CONTRACTS)
OTHER = "510108196305059657"


def put(adapter: Scripted, samples: Path | None = None, *, is_repeatable: bool = True) -> Trial:
    cases = contract_cases(CONTRACTS, KNOWN_CONTRACTS[CONTRACT], samples)
    return trial(configured(adapter, is_repeatable=is_repeatable), KNOWN_CONTRACTS[CONTRACT], cases)


def failed(found: Trial) -> dict[CaseKind, str]:
    return {case.kind: case.code for case in found.cases if not case.passed}


def samples_of(folder: Path, *persons: str) -> Path:
    for number, person in enumerate(persons):
        (folder / f"{number}.request.json").write_text(json.dumps({"person_ids": [person]}), encoding="utf-8")
        (folder / f"{number}.answer.json").write_text("{}", encoding="utf-8")
    return folder


def test_an_honest_system_passes_and_every_kind_of_case_is_put(tmp_path: Path) -> None:
    found = put(Scripted(), samples_of(tmp_path, KNOWN, OTHER))
    assert failed(found) == {}
    assert found.passed
    assert {case.kind for case in found.cases} == set(CaseKind)


@pytest.mark.parametrize(
    ("script", "kinds"),
    [
        (systems.breaks_contract, {CaseKind.EXAMPLE: "contract.response_invalid", CaseKind.ANSWERED: ""}),
        (systems.finds_nothing, {CaseKind.ANSWERED: ""}),
        (systems.makes_up, {CaseKind.UNKNOWN: ""}),
        (systems.is_late, {CaseKind.TIME_LIMIT: "adapter.system_timeout"}),
        (systems.crashes, {CaseKind.EXAMPLE: "adapter.system_fault", CaseKind.ANSWERED: ""}),
        (systems.counts_on(), {CaseKind.REPEATED: "", CaseKind.AT_ONCE: ""}),
    ],
)
def test_one_thing_wrong_is_found_under_its_name(
    script: Callable[[JsonObject, Call], JsonObject], kinds: dict[CaseKind, str]
) -> None:
    found = failed(put(Scripted(script)))
    assert not kinds.keys() - found.keys()
    assert {kind: found[kind] for kind in kinds} == kinds
    assert found.keys() <= {*kinds, CaseKind.UNKNOWN}


def test_calls_that_are_mixed_up_are_found(tmp_path: Path) -> None:
    found = put(Scripted(systems.mixes_up()), samples_of(tmp_path, KNOWN, OTHER))
    assert CaseKind.AT_ONCE in failed(found)


def test_a_system_that_is_not_there_fails_at_the_connection() -> None:
    assert failed(put(Scripted(is_reachable=False))) == {CaseKind.CONNECTION: "adapter.system_unreachable"}


def test_a_department_has_to_find_its_own_samples(tmp_path: Path) -> None:
    found = put(Scripted(systems.finds_nothing), samples_of(tmp_path, KNOWN))
    assert failed(found)[CaseKind.SAMPLE] == "adapter.record_not_found"


def test_an_answer_that_comes_later_is_no_failure() -> None:
    found = put(Scripted(systems.defers))
    assert failed(found).keys() <= {CaseKind.UNKNOWN}


def test_what_must_not_be_repeated_is_not_repeated() -> None:
    adapter = Scripted()
    found = put(adapter, is_repeatable=False)
    assert CaseKind.REPEATED not in {case.kind for case in found.cases}
    assert len({call.message_id for call in adapter.calls}) == len(adapter.calls)


def test_a_repetition_has_the_same_message_id() -> None:
    adapter = Scripted()
    put(adapter)
    assert len({call.message_id for call in adapter.calls}) == len(adapter.calls) - 1


def test_a_request_that_breaks_the_contract_never_reaches_the_system() -> None:
    asked: list[JsonObject] = []

    def script(request: JsonObject, call: Call) -> JsonObject:
        asked.append(request)
        return systems.honest(request, call)

    put(Scripted(script))
    for request in asked:
        KNOWN_CONTRACTS[CONTRACT].check_request({"request.json": json.dumps(request).encode()})


@pytest.mark.parametrize("may_act", [False, True])
def test_a_message_with_an_effect_is_sent_only_if_it_may(*, may_act: bool) -> None:
    notice = KNOWN_CONTRACTS[ContractId("notice/v1")]
    adapter = Scripted(lambda _request, _call: {})
    found = trial(
        configured(adapter, contract=notice.id), notice, contract_cases(CONTRACTS, notice), may_act=may_act
    )
    assert found.passed
    assert bool(adapter.calls) == may_act


def test_progress_is_told_to_its_end() -> None:
    told: list[tuple[int, int]] = []
    cases = contract_cases(CONTRACTS, KNOWN_CONTRACTS[CONTRACT])
    trial(
        configured(Scripted()),
        KNOWN_CONTRACTS[CONTRACT],
        cases,
        on_case=lambda done, of: told.append((done, of)),
    )
    assert told[-1][0] == told[-1][1] == len(told)


@pytest.mark.parametrize("content", [b"{", b'{"a": 1, "a": 2}', None])
def test_samples_that_cannot_be_read_are_said(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(AdapterError) as refused:
        contract_cases(CONTRACTS, KNOWN_CONTRACTS[CONTRACT], tmp_path)
    assert refused.value.code == "adapter.configuration_invalid"


@pytest.mark.parametrize("contract", sorted(KNOWN_CONTRACTS))
def test_every_contract_has_cases_and_asks_about_nobody_where_about_people(contract: ContractId) -> None:
    known = KNOWN_CONTRACTS[contract]
    kinds = {case.kind for case in contract_cases(CONTRACTS, known)}
    assert {CaseKind.EXAMPLE, CaseKind.INVALID} <= kinds
    schemas = " ".join(json.dumps(part.schema or {}) for part in known.request)
    asks_about_people = "resident-id" in schemas or "uscc" in schemas
    assert asks_about_people == (CaseKind.UNKNOWN in kinds)
