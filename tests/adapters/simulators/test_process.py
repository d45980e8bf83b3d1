# SPDX-License-Identifier: Apache-2.0
"""The three stand-ins as the demonstration starts them: one process, three ports, one line when ready."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.adapters.running import DEMO, call_of, check_response, has_port_open, only_adapter

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.ports import JsonObject

EMPLOYER = "91510108MA6C00001C"
QUESTIONS: dict[str, JsonObject] = {
    "labour-bureau.yaml": {"employer": EMPLOYER, "year": 2025},
    "federation.yaml": {"person_ids": ["511622197901111001"]},
    "social-insurance.yaml": {"employer": EMPLOYER, "year": 2025},
}


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_one_process_answers_for_all_three_until_it_is_told_to_stop(tmp_path: Path, number: str) -> None:
    command = [
        sys.executable,
        "-m",
        "adapters.simulators",
        "--folder",
        str(tmp_path),
        "--today",
        "2026-03-02",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ready = json.loads(process.stdout.readline())["ready"]
        try:
            assert json.loads((tmp_path / "ports.json").read_text(encoding="utf-8")) == ready
            environment = json.loads((tmp_path / "environment.json").read_text(encoding="utf-8"))
            for name, question in QUESTIONS.items():
                with only_adapter(DEMO / name, environment) as configured:
                    answer = configured.adapter.answer(question, call_of(configured))
                check_response(configured.contract, answer.data)
        finally:
            process.send_signal(signal.Signals[number])
            assert process.wait(20) == 0
        assert process.stderr.read() == ""

    assert not any(has_port_open(port) for port in ready.values())
    assert (tmp_path / "environment.json").stat().st_mode & 0o077 == 0
