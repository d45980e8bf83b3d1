# SPDX-License-Identifier: Apache-2.0
"""The log's health is what its tables and the last audit say."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from hub.accounts import Principal, Role
from hub.messagelog import AuditNotes, CheckpointStamps, LogHealth, log_health_routes
from hub.problems import install_problems
from tests.hub.messagelog.conftest import NOW, ORIGIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub.messagelog.conftest import RunningLog


def health_of(running: RunningLog, folder: Path) -> LogHealth:
    return LogHealth(
        running.engine, running.log, CheckpointStamps(running.engine), AuditNotes(folder / "audit.json")
    )


def test_an_empty_log_has_signed_and_stamped_nothing(running: RunningLog, tmp_path: Path) -> None:
    state = health_of(running, tmp_path).state()
    assert (state.size, state.last_checkpoint, state.audit, state.witnesses) == (0, None, None, ())
    assert (state.stamps.size, state.stamps.waiting) == (None, 0)
    assert (state.origin, state.verifier_key) == (ORIGIN, running.log.verifier.encode())


def test_size_checkpoint_and_the_last_audit_are_shown(running: RunningLog, tmp_path: Path) -> None:
    running.append_many(3)
    running.log.checkpoint()
    running.append()
    AuditNotes(tmp_path / "audit.json").write(running.log.audit().run(), NOW + timedelta(hours=1))
    state = health_of(running, tmp_path).state()
    assert state.size == 4
    assert state.last_checkpoint is not None
    assert state.last_checkpoint.size == 3
    assert state.last_checkpoint.signed_at is not None
    assert state.audit is not None
    assert (state.audit.at, state.audit.size, state.audit.findings) == (NOW + timedelta(hours=1), 4, 0)


@pytest.mark.parametrize("note", ["", "[]", '{"at": 5}', '{"at": "2026"}'])
def test_a_note_that_cannot_be_read_is_no_audit(running: RunningLog, tmp_path: Path, note: str) -> None:
    (tmp_path / "audit.json").write_text(note, encoding="utf-8")
    assert health_of(running, tmp_path).state().audit is None


@pytest.mark.parametrize(
    ("role", "status"), [(Role.AUDITOR, 200), (Role.OPERATOR, 200), (Role.CASEWORKER, 403)]
)
def test_the_health_is_shown_to_who_looks_after_the_log(
    running: RunningLog, tmp_path: Path, role: Role, status: int
) -> None:
    from hub.identifiers import SubsystemId

    app = FastAPI()
    install_problems(app)
    caller = Principal("Li Wei", frozenset({role}), SubsystemId("11510108MB1A00001J/fund"))
    app.include_router(log_health_routes(health_of(running, tmp_path), lambda: caller))
    answer = TestClient(app).get("/api/v1/log/health")
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["verifier_key"] == running.log.verifier.encode()
