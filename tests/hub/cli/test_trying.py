# SPDX-License-Identifier: Apache-2.0
"""`heliograph simulate` and `heliograph adapters test`, as somebody types them: one beside the other."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HELIOGRAPH = [sys.executable, "-m", "hub.cli"]
CONTRACT = "disability-certificate/v1"


@contextmanager
def simulated(folder: Path, *options: str) -> Iterator[dict[str, Any]]:
    command = [*HELIOGRAPH, "simulate", CONTRACT, "--folder", str(folder), "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines: list[str] = []
        while not lines or lines[-1] not in {"}\n", ""}:
            lines.append(process.stdout.readline())
        try:
            yield json.loads("".join(lines))
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        assert process.stderr.read() == ""


def tried(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HELIOGRAPH, "adapters", "test", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("kind", ["rest", "sftp"])
def test_a_stand_in_passes_the_test_of_its_contract(kind: str, tmp_path: Path) -> None:
    with simulated(tmp_path, "--as", kind) as told:
        done = tried(told["description"], "--junit", str(tmp_path / "result.xml"), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["passed"] is True
    [suite] = etree.parse(tmp_path / "result.xml").getroot()
    assert suite.get("failures") == "0"


def test_a_faulty_stand_in_fails_it_with_code_and_cure(tmp_path: Path) -> None:
    with simulated(tmp_path, "--breaks-contract") as told:
        done = tried(told["description"], "--language", "zh-CN")
    assert done.returncode == 1
    assert "contract.response_invalid" in done.stdout
    assert "未通过" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--service", "13510108MB1A00003J/register/other"),
        ("--contracts", "{empty}"),
        ("--requests", "{empty}"),
    ],
)
def test_what_cannot_be_tested_is_told_apart_from_what_failed(
    arguments: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with simulated(tmp_path / "stand-in") as told:
        given = [each.format(empty=tmp_path / "empty") for each in arguments]
        done = tried(told["description"], *given)
    assert done.returncode == 2, done.stdout + done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--as", "telex"),
        ("--service", "nobody"),
        ("--record",),
        ("--share", "2"),
        ("--contracts", "/nowhere"),
    ],
)
def test_a_stand_in_that_cannot_be_is_refused_at_once(options: tuple[str, ...], tmp_path: Path) -> None:
    command = [*HELIOGRAPH, "simulate", CONTRACT, "--folder", str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
