# SPDX-License-Identifier: Apache-2.0
"""The commands against a console on a real port."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from adapters.console.passwords import is_password, require_strong
from adapters.register import Rules
from hub.cli import _add_commands, app
from hub.errors import HubError
from tests.adapters.console.bench import bench_in
from tests.adapters.register.building import ECHO, description
from tests.adapters.running import CONTRACTS, DEMO, running_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result

    from tests.adapters.console.bench import Bench


class Caller:
    """Runs commands as 周敏, or as 李强."""

    def __init__(self, bench: Bench, folder: Path, port: int) -> None:
        self.bench = bench
        self.folder = folder
        self._at = ["--gateway", f"http://127.0.0.1:{port}"]
        for name, token in (("zhou", bench.people.zhou), ("li", bench.people.li)):
            (folder / name).write_text(token, encoding="utf-8")
            (folder / name).chmod(0o600)

    def run(self, *words: str, who: str = "zhou", typed: str | None = None) -> Result:
        where = [*self._at, "--token-file", str(self.folder / who)]
        return CliRunner().invoke(app, ["adapters", *words, *where], input=typed)

    def write(self, **changes: Any) -> str:
        file = self.folder / "services.yaml"
        file.write_text(description(**changes), encoding="utf-8")
        return str(file)


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Caller]:
    _add_commands()
    bench = bench_in(tmp_path / "kept")
    with running_app(bench.client.app) as port:  # type: ignore[arg-type]
        yield Caller(bench, tmp_path, port)


def test_a_file_is_planned_applied_listed_and_taken_back(caller: Caller) -> None:
    file = caller.write(says="one")
    planned = caller.run("plan", file)
    assert planned.exit_code == 2
    assert "+  says: one" in planned.output

    applied = caller.run("apply", file, "--yes", "--note", "first")
    assert (applied.exit_code, "version 1: active, by 周敏" in applied.output) == (0, True)
    assert caller.run("plan", file).exit_code == 0
    caller.run("apply", caller.write(says="two"), "--yes")

    assert "-  says: one\n" in caller.run("diff", ECHO, "1", "2").output
    assert "version 2" in caller.run("list").output
    assert json.loads(caller.run("list", "--json").output)[0]["version"] == 2
    assert "version 1: active" in caller.run("rollback", ECHO).output
    shown = caller.run("show", ECHO).output
    assert "says: one" in shown
    assert "activated 1 by 周敏" in shown
    assert yaml.safe_load(caller.run("show", ECHO, "--version", "2").output)["connection"] == {"says": "two"}
    assert "retired" in caller.run("retire", ECHO).output


def test_nothing_is_applied_without_a_yes(caller: Caller) -> None:
    refused = caller.run("apply", caller.write(), typed="n\n")

    assert refused.exit_code == 1
    assert "+  says: one" in refused.output
    assert caller.bench.bench.register.services() == ()
    assert caller.run("apply", caller.write(), typed="y\n").exit_code == 0


def test_what_has_changed_since_the_plan_is_not_applied(caller: Caller) -> None:
    caller.run("apply", caller.write(says="one"), "--yes")
    register = caller.bench.bench.register
    asked = caller.bench.call("POST", "/adapters/apply", text=description(says="two"), bases={ECHO: "0" * 64})

    assert asked.json()["code"] == "adapter.version_conflict"
    assert len(register.versions(ECHO)) == 1


def test_another_person_approves_and_activates(tmp_path: Path) -> None:
    _add_commands()
    bench = bench_in(tmp_path / "kept", rules=Rules(four_eyes=True))
    with running_app(bench.client.app) as port:  # type: ignore[arg-type]
        caller = Caller(bench, tmp_path, port)
        assert "version 1: draft" in caller.run("apply", caller.write(), "--yes").output
        refused = caller.run("approve", ECHO, "1")
        assert isinstance(refused.exception, HubError)
        assert refused.exception.code == "adapter.own_version"
        assert "approved" in caller.run("approve", ECHO, "1", who="li").output
        assert "active" in caller.run("activate", ECHO, "1").output


def test_a_token_that_others_can_read_or_that_would_travel_in_plain_text_is_not_used(caller: Caller) -> None:
    (caller.folder / "zhou").chmod(0o644)
    exposed = caller.run("list")
    assert isinstance(exposed.exception, HubError)
    assert exposed.exception.code == "settings.secret_exposed"

    away = [
        "adapters",
        "list",
        "--gateway",
        "http://gateway.example",
        "--token-file",
        str(caller.folder / "li"),
    ]
    plain = CliRunner().invoke(app, away)
    assert isinstance(plain.exception, HubError)
    assert plain.exception.code == "settings.connection_unprotected"


def test_a_console_that_is_not_there_is_said_to_be_away(tmp_path: Path) -> None:
    _add_commands()
    (tmp_path / "token").write_text("x", encoding="utf-8")
    (tmp_path / "token").chmod(0o600)
    words = ["adapters", "list", "--gateway", "http://127.0.0.1:9", "--token-file", str(tmp_path / "token")]

    away = CliRunner().invoke(app, words)
    assert isinstance(away.exception, HubError)
    assert away.exception.code == "adapter.console_unreachable"


def test_a_preview_needs_no_gateway(tmp_path: Path) -> None:
    _add_commands()
    sample = tmp_path / "answer.json"
    sample.write_text('{"code": "0", "data": [], "more": 1}', encoding="utf-8")
    words = ["adapters", "preview", str(DEMO / "federation.yaml"), "--contracts", str(CONTRACTS)]

    tried = CliRunner().invoke(app, [*words, "--answer", str(sample)])
    assert tried.exit_code == 0
    assert "/more: not read" in tried.output
    assert "✓ /retrieved_at ← call.retrieved_at" in tried.output
    told = json.loads(CliRunner().invoke(app, [*words, "--answer", str(sample), "--json"]).output)
    assert told["answer"]["result"]["certificates"] == []
    sample.write_text('{"code": "1"}', encoding="utf-8")
    assert CliRunner().invoke(app, [*words, "--answer", str(sample)]).exit_code == 1


def test_passwords_and_tokens_are_made_and_what_is_kept_of_them(tmp_path: Path) -> None:
    _add_commands()
    typed = "a long enough password\n"
    made = CliRunner().invoke(app, ["adapters", "password", str(tmp_path / "zhou.argon2")], input=typed * 2)
    assert made.exit_code == 0
    kept = (tmp_path / "zhou.argon2").read_text(encoding="utf-8")
    require_strong(kept)
    assert is_password(typed.strip(), kept)

    assert CliRunner().invoke(app, ["adapters", "token", str(tmp_path / "token")]).exit_code == 0
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    assert len((tmp_path / "token.sha256").read_text(encoding="utf-8")) == 64
    short = CliRunner().invoke(app, ["adapters", "password", str(tmp_path / "x")], input="short\nshort\n")
    assert isinstance(short.exception, HubError)
