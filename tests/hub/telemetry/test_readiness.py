# SPDX-License-Identifier: Apache-2.0
"""Whether a process is ready: the worst counts, all is told, and a look that hangs is not begun twice."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from hub.errors import Language, LogError
from hub.telemetry import Condition, Readiness, Report, State, Verdict, disk_condition, needs, readiness

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ((State.OK, State.OK), Verdict.READY),
        ((State.OK, State.IMPAIRED), Verdict.IMPAIRED),
        ((State.FAILED, State.IMPAIRED), Verdict.NOT_READY),
        ((), Verdict.READY),
    ],
)
def test_the_worst_counts(states: tuple[State, ...], verdict: Verdict) -> None:
    names = ["database", "disk"]
    report = Report({name: Condition(state) for name, state in zip(names, states, strict=False)})
    assert report.verdict is verdict


def test_a_report_says_what_is_wrong_and_what_cures_it() -> None:
    report = Report({"database": Condition(State.FAILED, "TimeoutError"), "keys": Condition()})
    assert report.to_json() == {
        "status": "not_ready",
        "checks": [
            {
                "name": "database",
                "state": "failed",
                "detail": "TimeoutError",
                "message": {each.value: needs()["database"].message[each] for each in Language},
                "cure": {each.value: needs()["database"].cure[each] for each in Language},
            },
            {"name": "keys", "state": "ok"},
        ],
    }


def test_a_check_that_raises_has_failed_and_shows_nothing_but_its_code() -> None:
    def lost() -> Condition:
        raise LogError("log.rolled_back", "/secret/path")

    def odd() -> Condition:
        raise OSError("/secret/path")

    report = Readiness({"log_head": lost, "database": odd}).look()
    assert report.conditions["log_head"] == Condition(State.FAILED, "log.rolled_back")
    assert report.conditions["database"] == Condition(State.FAILED, "OSError")


def test_a_check_without_a_cure_is_no_check() -> None:
    with pytest.raises(KeyError, match="weather"):
        Readiness({"weather": Condition})


def test_one_look_serves_all_who_ask_at_the_same_time() -> None:
    looks: list[None] = []
    release = threading.Event()

    def check() -> Condition:
        looks.append(None)
        release.wait(10)
        return Condition()

    asked = Readiness({"database": check})
    reports: list[Report] = []
    threads = [threading.Thread(target=lambda: reports.append(asked.look())) for _ in range(8)]
    for thread in threads:
        thread.start()
    release.set()
    for thread in threads:
        thread.join()
    assert asked.look().verdict is Verdict.READY
    assert len(looks) == 1
    assert len(reports) == 8


def test_a_look_that_hangs_is_told_by_name_and_not_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_LONGEST_LOOK_SECONDS", 0.05)
    looks: list[None] = []
    release = threading.Event()

    def check() -> Condition:
        looks.append(None)
        release.wait(10)
        return Condition()

    asked = Readiness({"keys": Condition, "database": check})
    for _ in range(3):
        report = asked.look()
        assert report.verdict is Verdict.NOT_READY
        assert report.conditions["checks"].detail.endswith("database")
    assert len(looks) == 1
    release.set()


def test_a_disk_is_looked_at_for_what_is_left(tmp_path: Path) -> None:
    assert disk_condition(tmp_path, least_mebibytes=0).state is State.OK
    assert disk_condition(tmp_path, least_mebibytes=10**12).state is State.IMPAIRED


def test_every_need_is_told_in_both_languages() -> None:
    for name, need in needs().items():
        for texts in (need.message, need.cure):
            assert set(texts) == set(Language), name
            assert all(texts.values()), name
