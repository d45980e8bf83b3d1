# SPDX-License-Identifier: Apache-2.0
"""Commands beside the hub: what they change, and how they refuse."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import yaml

from hub.accounts import Accounts
from hub.cli import main
from hub.clock import SystemClock
from hub.database import Writer, open_database
from hub.demo.preparation import FUND, DemoFolder, Prepared, prepare
from hub.registry import Member, Registry
from tests.pki import PASSPHRASE, ServedPki

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def prepared(pki: ServedPki, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A hub's configuration and database; no process runs."""
    folder = tmp_path_factory.mktemp("administered")
    (folder / "passphrase").write_bytes(PASSPHRASE)
    return prepare(DemoFolder(folder), pki)


@dataclass(frozen=True)
class Done:
    returncode: object
    stdout: str
    stderr: str


def run(prepared: Prepared, *arguments: str) -> Done:
    """Run a command as its own process would, here, where it need not import everything again."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
        for name, value in prepared.environment.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["heliograph", *arguments, "--config", str(prepared.folder.hub_config)])
        with pytest.raises(SystemExit) as exit_:
            main()
    return Done(exit_.value.code, stdout.getvalue(), stderr.getvalue())


def test_a_token_that_is_issued_opens_what_it_says(prepared: Prepared) -> None:
    done = run(prepared, "accounts", "issue", "赵丽", "--role", "caseworker", "--subsystem", FUND)
    assert done.returncode == 0, done.stderr
    engine = open_database(f"sqlite:///{prepared.folder.path / 'data' / 'hub.sqlite'}")
    writer = Writer(engine)
    try:
        principal = Accounts(engine, writer, SystemClock()).authenticate(done.stdout.strip())
    finally:
        writer.close()
        engine.dispose()
    assert (principal.subject, principal.subsystem) == ("赵丽", FUND)


def test_a_role_that_does_not_exist_is_refused_in_words(prepared: Prepared) -> None:
    done = run(prepared, "accounts", "issue", "赵丽", "--role", "emperor")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "emperor" in done.stderr
    assert "caseworker" in done.stderr


def test_a_refusal_is_a_code_and_a_cure_and_json_for_programs(prepared: Prepared) -> None:
    done = run(prepared, "accounts", "issue", "赵丽", "--role", "caseworker")
    assert done.returncode == 1
    assert done.stderr.startswith("access.account_invalid:")
    missing = str(prepared.folder.path / "missing.yaml")
    done = run(prepared, "registry", "plan", missing, "--json")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, "registry.file_invalid")


def test_a_plan_changes_nothing_and_what_is_applied_is_there(prepared: Prepared, tmp_path: Path) -> None:
    file = tmp_path / "more.yaml"
    name = {"zh": "成华区教育局", "en": "Chenghua Education"}
    member = {"id": "11510108MB1A00001J", "status": "active", "names": name}
    file.write_text(yaml.safe_dump({"members": [member]}, allow_unicode=True), encoding="utf-8")

    planned = run(prepared, "registry", "plan", str(file), "--json")
    assert planned.returncode == 0, planned.stderr
    assert len(json.loads(planned.stdout)) == 1
    assert len(members(prepared)) == 0, "a plan writes nothing, not even the hub's own file"

    assert run(prepared, "registry", "apply", str(file)).returncode == 0
    assert [one.names.zh for one in members(prepared)] == ["成华区教育局"]


def members(prepared: Prepared) -> list[Member]:
    engine = open_database(f"sqlite:///{prepared.folder.path / 'data' / 'hub.sqlite'}")
    writer = Writer(engine)
    try:
        return list(Registry(engine, writer, SystemClock()).snapshot.all_of(Member))
    finally:
        writer.close()
        engine.dispose()


def test_a_log_without_checkpoints_has_no_time_stamps(prepared: Prepared) -> None:
    done = run(prepared, "log", "stamps")
    assert (done.returncode, "No checkpoint" in done.stdout) == (0, True), done.stderr
    assert json.loads(run(prepared, "log", "stamps", "--json").stdout) == {"waiting": [], "stamped": []}


def test_the_log_can_be_audited_and_an_empty_one_is_sound(prepared: Prepared) -> None:
    done = run(prepared, "log", "audit", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["size"] == 0
