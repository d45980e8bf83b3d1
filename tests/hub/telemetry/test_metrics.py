# SPDX-License-Identifier: Apache-2.0
"""Metrics as Prometheus's own parsers read them, of one process and of several."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from hub.telemetry import EXCHANGES, STEP_SECONDS, code_label, exposition, share_metrics

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """
import sys
from hub.telemetry import EXCHANGES, EXCHANGE_SECONDS, exposition
EXCHANGES.labels("s", "").inc(int(sys.argv[1]))
EXCHANGE_SECONDS.labels("s").observe(0.02)
if sys.argv[2:] == ["show"]:
    sys.stdout.buffer.write(exposition()[0])
"""


def sample(text: str, name: str, **labels: str) -> float:
    """Return one value as Prometheus reads it."""
    found = [
        each.value
        for family in read_text(text)
        for each in family.samples
        if each.name == name and labels.items() <= each.labels.items()
    ]
    assert len(found) == 1, (name, labels, found)
    return found[0]


def test_what_is_counted_is_read_by_prometheuss_parser() -> None:
    EXCHANGES.labels("test-service", "exchange.expired").inc()
    STEP_SECONDS.labels("test-step").observe(0.003)
    text, media_type = exposition()
    assert media_type.startswith("text/plain")
    read = text.decode()
    labels = {"service": "test-service", "code": "exchange.expired"}
    assert sample(read, "heliograph_exchanges_total", **labels) == 1
    assert sample(read, "heliograph_step_seconds_bucket", step="test-step", le="0.001") == 0
    assert sample(read, "heliograph_step_seconds_bucket", step="test-step", le="0.005") == 1
    assert sample(read, "heliograph_step_seconds_sum", step="test-step") == pytest.approx(0.003)
    assert sample(read, "process_cpu_seconds_total") > 0


def test_who_wants_openmetrics_gets_it() -> None:
    EXCHANGES.labels("test-open", "").inc()
    text, media_type = exposition("application/openmetrics-text; version=1.0.0")
    assert media_type.startswith("application/openmetrics-text")
    families = read_openmetrics(text.decode())  # type: ignore[no-untyped-call]  # it has no types
    assert "heliograph_exchanges" in {family.name for family in families}


def test_every_metric_has_the_projects_name_a_unit_and_an_explanation() -> None:
    families = list(read_text(exposition()[0].decode()))
    own = [each for each in families if each.name.startswith("heliograph_")]
    assert len(own) >= 10
    for family in own:
        assert len(family.documentation) > 20, family.name
        if family.type == "histogram":
            assert family.name.endswith(("_seconds", "_units")), family.name


def test_a_code_no_table_knows_becomes_no_series_of_its_own() -> None:
    assert code_label(None) == ""
    assert code_label("exchange.expired") == "exchange.expired"
    assert code_label("made.up-by-somebody") == "other"


def test_processes_that_share_a_folder_are_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    (tmp_path / "counter_1.db").write_bytes(b"of a process that ended long ago")
    share_metrics(tmp_path)
    assert list(tmp_path.iterdir()) == []

    def run(*arguments: str) -> bytes:
        command = [sys.executable, "-c", _PROGRAM, *arguments]
        return subprocess.run(command, capture_output=True, check=True, env=dict(os.environ)).stdout

    run("3")
    run("4")
    text = run("5", "show").decode()
    assert sample(text, "heliograph_exchanges_total", service="s") == 12
    assert sample(text, "heliograph_exchange_seconds_count", service="s") == 3
