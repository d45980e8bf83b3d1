# SPDX-License-Identifier: Apache-2.0
"""Intakes as described, and what looks into them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from structlog.testing import capture_logs

from adapters.configuration import load_adapters, load_intakes
from adapters.intakes import IntakeRunner, build_intakes
from hub.errors import AdapterError
from hub.identifiers import SubsystemId
from tests.adapters.sftp.pickups import INTAKE, SUBSYSTEM

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from adapters.intakes import Intake, IntakeEntry, IntakeParts


@dataclass
class Unlucky:
    """An intake whose looks end as a test says."""

    failures: list[Exception | None]
    closed: list[str] = field(default_factory=list)
    runner: IntakeRunner | None = None

    def look(self, stopped: threading.Event) -> None:
        if len(self.failures) == 1:
            stopped.set()
        failure = self.failures.pop(0)
        if failure is not None:
            raise failure

    def close(self) -> None:
        self.closed.append("closed")


def written(folder: Path, *intakes: dict[str, Any]) -> Path:
    path = folder / "intakes.yaml"
    path.write_text(yaml.safe_dump({"intakes": list(intakes)}, allow_unicode=True), encoding="utf-8")
    return path


def test_what_fails_again_in_the_same_way_is_told_once_and_so_is_its_end() -> None:
    missing = AdapterError("adapter.folder_missing", "/out is not there")
    full = AdapterError("adapter.file_not_written", "/reports/a")
    intake = Unlucky([missing, missing, full, ValueError("unforeseen"), None, None, missing])
    with capture_logs() as logs:
        IntakeRunner(id="x", intake=intake, every_seconds=0.001).run()

    assert [(each["event"], each.get("code")) for each in logs] == [
        ("intake.failed", "adapter.folder_missing"),
        ("intake.failed", "adapter.file_not_written"),
        ("intake.failed_unforeseen", None),
        ("intake.recovered", "ValueError"),
        ("intake.failed", "adapter.folder_missing"),
    ]


def test_a_file_may_describe_intakes_only(tmp_path: Path) -> None:
    path = written(tmp_path, INTAKE)
    assert load_adapters(path, environment={}) == {}
    [configured] = load_intakes(path, environment={})
    assert (configured.kind, configured.entry.subsystem) == ("sftp", SUBSYSTEM)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"id": "Übung"}, "intakes.0.id"),
        ({"kind": "pigeon"}, "intakes.0.kind"),
        ({"service": "nobody"}, "intakes.0.service"),
        ({"contract": "notice"}, "intakes.0.contract"),
        ({"subsystem": "nobody"}, "intakes.0.subsystem"),
        ({"purpose": {"item": "1"}}, "intakes.0.purpose"),
        ({"whole": "page"}, "intakes.0.whole"),
        ({"every_seconds": 0}, "intakes.0.every_seconds"),
        ({"surprise": 1}, "intakes.0.surprise"),
    ],
)
def test_a_wrong_description_is_refused_with_its_place(
    tmp_path: Path, changes: dict[str, Any], place: str
) -> None:
    with pytest.raises(AdapterError) as caught:
        load_intakes(written(tmp_path, {**INTAKE, **changes}), environment={})

    assert caught.value.code == "adapter.configuration_invalid"
    assert place in caught.value.detail


def test_two_intakes_share_no_id_and_speak_for_this_gateway_only(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="described twice"):
        load_intakes(written(tmp_path, INTAKE, INTAKE), environment={})

    def build(entry: IntakeEntry, parts: IntakeParts) -> Intake:
        raise AssertionError((entry, parts))

    described = load_intakes(written(tmp_path, INTAKE), environment={}, factories={"sftp": build})
    for intakes, subsystems in ((described * 2, {SUBSYSTEM}), (described, set[str]())):
        with pytest.raises(AdapterError, match="configuration_invalid"):
            build_intakes(
                intakes,
                outgoing=None,  # type: ignore[arg-type]  # nothing is built
                client_for=lambda _: None,  # type: ignore[arg-type, return-value]  # likewise
                subsystems={SubsystemId(each) for each in subsystems},
                folder=tmp_path,
            )
