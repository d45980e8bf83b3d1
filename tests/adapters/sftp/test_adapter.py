# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, cast

import asyncssh
import pytest

from adapters.configuration import load_adapters
from adapters.simulators.misbehaviour import Misbehaviour, StandIn
from adapters.simulators.population import FIRST_EMPLOYER, SECOND_EMPLOYER
from hub.errors import AdapterError
from tests.adapters.running import call_of, check_response, described, free_port, only_adapter

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.configuration import ConfiguredAdapter
    from adapters.ports import JsonObject
    from tests.adapters.running import RunningStandIns

DEMO = "social-insurance.yaml"
QUESTION: JsonObject = {"employer": SECOND_EMPLOYER, "year": 2026}


def refusal(configured: ConfiguredAdapter, *, seconds: float = 10.0) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        configured.adapter.answer(QUESTION, call_of(configured, timeout_seconds=seconds))
    return caught.value


def test_the_monthly_file_is_answered_in_the_words_of_the_contract(stand_ins: RunningStandIns) -> None:
    with stand_ins.adapter(DEMO) as configured:
        call = call_of(configured)
        answer = configured.adapter.answer(QUESTION, call)

    check_response("contribution-record/v1", answer.data)
    rows = cast("list[dict[str, Any]]", answer.data["contributions"])
    assert {len(row["insurances"]) for row in rows} == {5}
    unpaid = {row["person_id"] for row in rows if row["month"] == "2026-02"} - {
        row["person_id"] for row in rows if row["month"] == "2026-03"
    }
    assert len(unpaid) == 1
    assert {row.get("paid_by") for row in rows} == {None, FIRST_EMPLOYER}
    name = f"JFMX_{call.message_id}.csv"
    archive = stand_ins.folder / "sftp" / "archive"
    content = (archive / name).read_bytes()
    assert answer.data["file"] == {
        "name": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "rows": content.count(b"\r\n") - 1,
    }
    assert (archive / f"{name}.sha256").exists()


def test_nothing_is_left_in_inbox_and_outbox(stand_ins: RunningStandIns) -> None:
    with stand_ins.adapter(DEMO) as configured:
        configured.adapter.answer(QUESTION, call_of(configured))

    for name in ("inbox", "outbox"):
        assert not list((stand_ins.folder / "sftp" / name).iterdir())


def test_the_same_request_again_overwrites_nothing(stand_ins: RunningStandIns) -> None:
    with stand_ins.adapter(DEMO) as configured:
        call = call_of(configured)
        first = configured.adapter.answer(QUESTION, call)
        assert configured.adapter.answer(QUESTION, call) == first

    kept = {path.name for path in (stand_ins.folder / "sftp" / "archive").glob(f"*{call.message_id}*")}
    name = f"JFMX_{call.message_id}.csv"
    assert kept == {name, f"{name}.1", f"{name}.sha256", f"{name}.sha256.1"}


def test_a_half_written_file_is_waited_for(stand_ins: RunningStandIns) -> None:
    with (
        stand_ins.adapter(DEMO) as configured,
        stand_ins.misbehaving(StandIn.SFTP, Misbehaviour.HALF_WRITTEN),
    ):
        answer = configured.adapter.answer(QUESTION, call_of(configured))

    check_response("contribution-record/v1", answer.data)


def test_a_file_that_stays_other_than_its_digest_is_damaged_and_kept(stand_ins: RunningStandIns) -> None:
    with stand_ins.adapter(DEMO, connection__settle_seconds=0.3) as configured:
        call = call_of(configured)
        with (
            stand_ins.misbehaving(StandIn.SFTP, Misbehaviour.WRONG_DIGEST),
            pytest.raises(AdapterError) as caught,
        ):
            configured.adapter.answer(QUESTION, call)
        assert (caught.value.code, caught.value.is_retryable) == ("adapter.file_damaged", True)
        assert (stand_ins.folder / "sftp" / "archive" / f"JFMX_{call.message_id}.csv.damaged").exists()

        assert configured.adapter.answer(QUESTION, call).data


@pytest.mark.parametrize(
    ("how", "code", "detail"),
    [
        # Time runs out between two looks at the folder, or during one.
        (Misbehaviour.FAULT, "system_timeout", "no finished answer file|the server stopped answering"),
        (Misbehaviour.SLOW, "system_timeout", "no finished answer file|the server stopped answering"),
        (Misbehaviour.UNKNOWN_CODE, "mapping_failed", "险种类型"),
        (Misbehaviour.OVERSIZED, "answer_unreadable", "bytes"),
    ],
)
def test_a_bureau_that_misbehaves_is_refused(
    stand_ins: RunningStandIns, how: Misbehaviour, code: str, detail: str
) -> None:
    with stand_ins.adapter(DEMO, connection__max_answer_bytes=300_000) as configured:
        with stand_ins.misbehaving(StandIn.SFTP, how):
            error = refusal(configured, seconds=1.5)
        assert configured.adapter.answer(QUESTION, call_of(configured)).data

    assert error.code == f"adapter.{code}"
    assert re.search(detail, error.detail)


def other_key(kind: str) -> str:
    return str(asyncssh.generate_private_key(kind).export_public_key().decode().strip())


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
def test_another_host_key_is_refused_before_signing_in(
    stand_ins: RunningStandIns, tmp_path: Path, kind: str
) -> None:
    environment = {**stand_ins.environment, "SOCIAL_INSURANCE_HOST_KEY": other_key(kind)}
    with only_adapter(described(tmp_path, DEMO), environment) as configured:
        assert refusal(configured).code == "adapter.host_key_mismatch"


def test_any_of_several_pinned_keys_will_do(stand_ins: RunningStandIns, tmp_path: Path) -> None:
    keys = [other_key("ssh-ed25519"), "env:SOCIAL_INSURANCE_HOST_KEY", other_key("ssh-rsa")]
    path = described(tmp_path, DEMO, connection__host_keys=keys)
    with only_adapter(path, stand_ins.environment) as configured:
        assert configured.adapter.answer(QUESTION, call_of(configured)).data


def test_a_refused_sign_in_is_a_fault_of_the_system(stand_ins: RunningStandIns, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh").decode()
    environment = {**stand_ins.environment, "SOCIAL_INSURANCE_CLIENT_KEY": key}
    with only_adapter(described(tmp_path, DEMO), environment) as configured:
        error = refusal(configured)

    assert (error.code, error.detail) == ("adapter.system_fault", "the server refuses the sign-in")


def test_a_server_that_is_away_is_unreachable(stand_ins: RunningStandIns, tmp_path: Path) -> None:
    environment = {**stand_ins.environment, "SOCIAL_INSURANCE_PORT": str(free_port())}
    with only_adapter(described(tmp_path, DEMO), environment) as configured:
        assert refusal(configured).code == "adapter.system_unreachable"


def test_a_folder_that_is_not_there_is_named(stand_ins: RunningStandIns) -> None:
    with stand_ins.adapter(DEMO, connection__inbox="/nowhere") as configured:
        error = refusal(configured)

    assert (error.code, error.detail) == ("adapter.folder_missing", "/nowhere is not there")


@pytest.mark.parametrize(
    "changes",
    [
        {"connection__host_keys": []},
        {"connection__host_keys": ["not a key"]},
        {"connection__private_key": "env:SOCIAL_INSURANCE_PORT"},
        {"connection__private_key": None},
        {"connection__password": "env:SOCIAL_INSURANCE_PORT"},
        {"connection__archive": "/outbox/"},
        {"connection__answer": {"name": "fixed.csv"}},
        {"connection__answer": {"name": "../{message_id}"}},
        {"connection__answer": {"name": "{message_id}", "encoding": "klingon"}},
    ],
)
def test_a_connection_that_cannot_work_is_refused(
    stand_ins: RunningStandIns, tmp_path: Path, changes: dict[str, object]
) -> None:
    with pytest.raises(AdapterError) as caught:
        load_adapters(described(tmp_path, DEMO, **changes), environment=stand_ins.environment)

    assert caught.value.code == "adapter.configuration_invalid"
