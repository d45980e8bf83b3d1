# SPDX-License-Identifier: Apache-2.0
"""Whether a process can do its work now, what stands in its way, and what cures it.

Being alive is another question: a process that waits for its database is alive, and starting it again would
not help. So `/healthz` asks nobody, and `/readyz` asks everything it needs.
"""

from __future__ import annotations

import threading
import time
import tomllib
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import structlog

from hub.errors import HubError, Language

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_FRESH_SECONDS = 2.0
_LONGEST_LOOK_SECONDS = 5.0
_HANGING = "checks"
_MEBIBYTE = 1024 * 1024
LEAST_FREE_MEBIBYTES = 128
"""With less room than this on its disk, a process is not ready: the next write may fail."""
_logger = structlog.get_logger(__name__)


class State(StrEnum):
    """How one thing is that a process needs."""

    OK = "ok"
    IMPAIRED = "impaired"
    """Work goes on, but somebody has to look."""
    FAILED = "failed"
    """Work cannot go on."""


class Verdict(StrEnum):
    """How the process is."""

    READY = "ready"
    IMPAIRED = "impaired"
    NOT_READY = "not_ready"


@dataclass(frozen=True)
class Condition:
    """What a look at one thing found.

    Attributes:
        state: how it is.
        detail: the facts, in English, fit for anybody who can reach the port: no path, no address, no name.
    """

    state: State = State.OK
    detail: str = ""


@dataclass(frozen=True)
class Need:
    """What a check is about, and what cures it; one row of `readiness.toml`."""

    message: dict[Language, str]
    cure: dict[Language, str]


@cache
def needs() -> dict[str, Need]:
    """Return all that can be checked."""
    text = resources.files("hub.telemetry").joinpath("readiness.toml").read_text(encoding="utf-8")
    return {
        name: Need(
            message={Language.ZH: row["zh"], Language.EN: row["en"]},
            cure={Language.ZH: row["cure_zh"], Language.EN: row["cure_en"]},
        )
        for name, row in tomllib.loads(text).items()
    }


@dataclass(frozen=True)
class Report:
    """What every check found at one moment."""

    conditions: Mapping[str, Condition]

    @property
    def verdict(self) -> Verdict:
        """The worst of it."""
        states = {each.state for each in self.conditions.values()}
        if State.FAILED in states:
            return Verdict.NOT_READY
        return Verdict.IMPAIRED if State.IMPAIRED in states else Verdict.READY

    def to_json(self) -> dict[str, Any]:
        """Write it for programs and people; a cure stands where something is wrong."""
        return {
            "status": self.verdict.value,
            "checks": [
                {"name": name, "state": condition.state.value}
                | ({"detail": condition.detail} if condition.detail else {})
                | (_told(name) if condition.state is not State.OK else {})
                for name, condition in self.conditions.items()
            ],
        }


class Readiness:
    """Looks at everything a process needs; cheap to be asked often.

    One look serves all who ask within two seconds, and one that hangs is not begun a second time.

    Args:
        checks: by the names of `readiness.toml`, in the order in which they are looked at; each may block.
    """

    def __init__(self, checks: Mapping[str, Callable[[], Condition]]) -> None:
        unknown = checks.keys() - needs().keys()
        if unknown:
            raise KeyError(f"no row of readiness.toml: {', '.join(sorted(unknown))}")
        self._checks = dict(checks)
        self._lock = threading.Lock()
        self._looking: Future[Report] | None = None
        self._ended_at = 0.0
        self._looks_at = ""

    def look(self) -> Report:
        """Return how it is now; waits for five seconds at most."""
        with self._lock:
            looking = self._looking
            is_over = looking is not None and looking.done()
            if looking is None or (is_over and time.monotonic() > self._ended_at + _FRESH_SECONDS):
                looking = self._looking = Future()
                threading.Thread(target=self._run, args=(looking,), name="readiness", daemon=True).start()
        try:
            return looking.result(_LONGEST_LOOK_SECONDS)
        except TimeoutError:
            detail = f"no answer within {_LONGEST_LOOK_SECONDS:.0f} seconds: {self._looks_at}"
            return Report({_HANGING: Condition(State.FAILED, detail)})

    def _run(self, looking: Future[Report]) -> None:
        conditions = {}
        for name, check in self._checks.items():
            self._looks_at = name
            conditions[name] = _checked(name, check)
        self._ended_at = time.monotonic()
        looking.set_result(Report(conditions))


def disk_condition(folder: Path, *, least_mebibytes: int) -> Condition:
    """Look how much room is left on a folder's disk.

    Args:
        folder: of which the disk is meant.
        least_mebibytes: with less than this, somebody should look.
    """
    free = free_mebibytes(folder)
    if free < LEAST_FREE_MEBIBYTES:
        return Condition(State.FAILED, f"{free} MiB are left")
    if free < least_mebibytes:
        return Condition(State.IMPAIRED, f"{free} MiB are left")
    return Condition()


def free_mebibytes(folder: Path) -> int:
    """Return how much room a process of this user has on a folder's disk."""
    import shutil  # noqa: PLC0415 - loads the archive formats; only this needs it

    return shutil.disk_usage(folder).free // _MEBIBYTE


def _checked(name: str, check: Callable[[], Condition]) -> Condition:
    try:
        return check()
    except HubError as error:
        _logger.warning("readiness.failed", check=name, code=error.code, detail=error.detail)
        return Condition(State.FAILED, error.code)
    except Exception as error:
        # What a driver says may name hosts and paths: it goes into the log, not to whoever asks.
        _logger.exception("readiness.failed", check=name)
        return Condition(State.FAILED, type(error).__name__)


def _told(name: str) -> dict[str, Any]:
    need = needs()[name]
    return {
        "message": {language.value: text for language, text in need.message.items()},
        "cure": {language.value: text for language, text in need.cure.items()},
    }
