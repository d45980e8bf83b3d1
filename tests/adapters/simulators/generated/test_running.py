# SPDX-License-Identifier: Apache-2.0
"""Stand-ins generated from contracts, asked through the adapters that their own descriptions describe."""

from __future__ import annotations

import json
import stat
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING

import httpx2
import pytest
import yaml

from adapters.invention.people import resident_id
from adapters.simulators.generated import Misbehaviour, Misconduct, plan_for, running
from hub.contracts import Pattern, load_contracts
from hub.errors import AdapterError, ContractError
from tests.adapters.running import CONTRACTS, call_of, check_response, has_port_open, only_adapter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from adapters.configuration import ConfiguredAdapter

RECORDS = "disability-certificate/v1"
QUESTION = {"person_ids": ["511622197901111001"]}
KINDS = ["rest", "soap", "sftp"]


@contextmanager
def adapter(
    folder: Path, kind: str, contract: str = RECORDS, **wanted: object
) -> Iterator[ConfiguredAdapter]:
    """Run a stand-in, and build the adapter of its description."""
    plan = plan_for(CONTRACTS, contract, kind=kind, folder=folder, **wanted)
    with running(plan) as stand_in, only_adapter(stand_in.description) as configured:
        yield configured


ANSWERED = sorted(
    contract.id for contract in load_contracts(CONTRACTS).values() if contract.pattern is Pattern.REQUEST
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("contract", ANSWERED)
def test_every_contract_has_a_stand_in_whose_answers_keep_to_it(
    contract: str, kind: str, tmp_path: Path
) -> None:
    question = json.loads((CONTRACTS / contract / "examples" / "request.json").read_text(encoding="utf-8"))
    with adapter(tmp_path, kind, contract) as configured:
        answer = configured.adapter.answer(question, call_of(configured))
    known = load_contracts(CONTRACTS)[configured.contract]
    if sum(part.is_required for part in known.response) == 1:
        check_response(contract, answer.data)
    assert answer.data


@pytest.mark.parametrize("kind", KINDS)
def test_an_example_of_the_contract_is_answered_as_the_contract_says(kind: str, tmp_path: Path) -> None:
    examples = CONTRACTS / RECORDS / "examples"
    question = json.loads((examples / "request.json").read_text(encoding="utf-8"))
    with adapter(tmp_path, kind) as configured:
        answer = configured.adapter.answer(question, call_of(configured))
    assert answer.data == json.loads((examples / "response.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_of_the_reserved_area_is_known(kind: str, tmp_path: Path) -> None:
    nobody = resident_id(Random(1), is_nobody=True)  # noqa: S311 - reproducible, not a secret
    with adapter(tmp_path, kind) as configured, pytest.raises(AdapterError) as refused:
        configured.adapter.answer({"person_ids": [nobody]}, call_of(configured))
    assert refused.value.code == "adapter.record_not_found"


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_recorded_is_answered_again(kind: str, tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    with adapter(tmp_path / "a", kind, seed="1", samples=samples, is_recording=True) as configured:
        first = configured.adapter.answer(QUESTION, call_of(configured)).data
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in samples.iterdir())
    with adapter(tmp_path / "b", kind, seed="2") as configured:
        other = configured.adapter.answer(QUESTION, call_of(configured)).data
    with adapter(tmp_path / "c", kind, seed="2", samples=samples) as configured:
        again = configured.adapter.answer(QUESTION, call_of(configured)).data
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("kind", "way", "code"),
    [
        ("rest", Misbehaviour.FAULT, "adapter.system_fault"),
        ("rest", Misbehaviour.HALF_WRITTEN, "adapter.answer_unreadable"),
        ("rest", Misbehaviour.OVERSIZED, "adapter.answer_unreadable"),
        ("rest", Misbehaviour.SLOW, "adapter.system_timeout"),
        ("soap", Misbehaviour.FAULT, "adapter.system_fault"),
        ("soap", Misbehaviour.HALF_WRITTEN, "adapter.answer_unreadable"),
        ("soap", Misbehaviour.SLOW, "adapter.system_timeout"),
        ("sftp", Misbehaviour.FAULT, "adapter.system_timeout"),
        ("sftp", Misbehaviour.WRONG_DIGEST, "adapter.file_damaged"),
        ("sftp", Misbehaviour.SLOW, "adapter.system_timeout"),
    ],
)
def test_what_goes_wrong_on_demand_is_refused_with_its_code(
    kind: str, way: Misbehaviour, code: str, tmp_path: Path
) -> None:
    misconduct = Misconduct(ways=(way,), slow_seconds=30)
    seconds = 1.0 if code == "adapter.system_timeout" else 10.0
    with adapter(tmp_path, kind, misconduct=misconduct) as configured, pytest.raises(AdapterError) as refused:
        configured.adapter.answer(QUESTION, call_of(configured, timeout_seconds=seconds))
    assert refused.value.code == code


def test_a_file_that_appears_by_halves_is_read_when_it_is_whole(tmp_path: Path) -> None:
    misconduct = Misconduct(ways=(Misbehaviour.HALF_WRITTEN,))
    with adapter(tmp_path, "sftp", misconduct=misconduct) as configured:
        check_response(RECORDS, configured.adapter.answer(QUESTION, call_of(configured)).data)


@pytest.mark.parametrize("kind", ["rest", "sftp"])
def test_what_breaks_the_contract_can_be_asked_for(kind: str, tmp_path: Path) -> None:
    misconduct = Misconduct(ways=(Misbehaviour.BREAKS_CONTRACT,))
    with adapter(tmp_path, kind, misconduct=misconduct) as configured:
        answer = configured.adapter.answer(QUESTION, call_of(configured))
    with pytest.raises(ContractError, match="response_invalid"):
        check_response(RECORDS, answer.data)


def test_the_share_and_the_seed_decide_which_calls_go_wrong() -> None:
    def calls(seed: str, share: float) -> list[Misbehaviour | None]:
        misconduct = Misconduct(ways=(Misbehaviour.FAULT, Misbehaviour.SLOW), share=share, seed=seed)
        return [misconduct.of_next_call() for _ in range(400)]

    assert calls("a", 0.25) == calls("a", 0.25) != calls("b", 0.25)
    assert 50 < sum(each is not None for each in calls("a", 0.25)) < 150
    assert set(calls("a", 1.0)) == {Misbehaviour.FAULT, Misbehaviour.SLOW}
    assert set(calls("a", 0.0)) == {None}


def test_secrets_stand_beside_the_description_and_not_in_it(tmp_path: Path) -> None:
    plan = plan_for(CONTRACTS, RECORDS, kind="rest", folder=tmp_path)
    with running(plan) as stand_in:
        secret = (tmp_path / "api-key").read_text(encoding="utf-8")
        assert secret not in stand_in.description.read_text(encoding="utf-8")
        assert stat.S_IMODE((tmp_path / "api-key").stat().st_mode) == 0o600
        url = f"http://127.0.0.1:{stand_in.offer.port}/disability-certificate"
        with httpx2.Client(trust_env=False) as http:
            assert http.post(url, json=QUESTION).status_code == 401
            keyed = {"X-Stand-In-Key": secret}
            assert http.post(url, json=QUESTION, headers=keyed).status_code == 200
            assert http.post(url, json={"person_ids": []}, headers=keyed).status_code == 400
            assert http.post(url, content=b"{", headers=keyed).status_code == 400
    assert not has_port_open(stand_in.offer.port)


def test_a_question_repeated_under_its_key_is_answered_as_before(tmp_path: Path) -> None:
    with adapter(tmp_path, "rest", misconduct=Misconduct()) as configured:
        call = call_of(configured)
        answers = [configured.adapter.answer(QUESTION, call).data for _ in range(2)]
    assert answers[0] == answers[1]


def test_a_description_names_its_service(tmp_path: Path) -> None:
    service = "13510108MB1A00003J/register/disability-certificate"
    with running(plan_for(CONTRACTS, RECORDS, kind="rest", folder=tmp_path, service=service)) as stand_in:
        described = yaml.safe_load(stand_in.description.read_text(encoding="utf-8"))
    assert described["services"][0]["service"] == service == stand_in.service


@pytest.mark.parametrize(("contract", "kind"), [("nothing/v1", "rest"), (RECORDS, "telex")])
def test_an_unknown_contract_or_protocol_is_refused(contract: str, kind: str, tmp_path: Path) -> None:
    with (
        pytest.raises(AdapterError) as refused,
        running(plan_for(CONTRACTS, contract, kind=kind, folder=tmp_path)),
    ):
        pytest.fail("it runs")
    assert refused.value.code == "adapter.configuration_invalid"


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with running(plan_for(CONTRACTS, RECORDS, kind="rest", folder=tmp_path)) as stand_in:
        taken = plan_for(CONTRACTS, RECORDS, kind="rest", folder=tmp_path / "b", port=stand_in.offer.port)
        with pytest.raises(AdapterError, match="does not start"), running(taken):
            pytest.fail("two listen on one port")
