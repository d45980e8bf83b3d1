# SPDX-License-Identifier: Apache-2.0
"""How the log is: its size, what was signed, stamped and countersigned, and the last audit."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.clock import format_instant, parse_instant
from hub.messagelog import store

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Engine

    from hub.messagelog.service import MessageLog
    from hub.messagelog.stamps import CheckpointStamps
    from hub.messagelog.tampering import AuditReport


@dataclass(frozen=True)
class LastCheckpoint:
    """The largest signed checkpoint; `signed_at` is None where it was not written down."""

    size: int
    signed_at: datetime | None


@dataclass(frozen=True)
class WitnessState:
    """The last checkpoint a witness countersigned; None where it has not yet."""

    name: str
    size: int | None
    cosigned_at: datetime | None


@dataclass(frozen=True)
class StampState:
    """The largest time-stamped checkpoint, and how many wait since when."""

    size: int | None
    stamped_at: datetime | None
    waiting: int
    waiting_since: datetime | None


@dataclass(frozen=True)
class LastAudit:
    """What the last audit said.

    Attributes:
        at: UTC; when it ended.
        size: how many entries there were.
        findings: how many things were wrong.
        first_entry: the first bad entry, if any is.
        compared: what outside the database was compared.
    """

    at: datetime
    size: int
    findings: int
    first_entry: int | None
    compared: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LogState:
    """How a log is at one instant."""

    origin: str
    verifier_key: str
    size: int
    last_checkpoint: LastCheckpoint | None
    witnesses: tuple[WitnessState, ...]
    stamps: StampState
    audit: LastAudit | None


class LogHealth:
    """Looks after a log; reads only.

    Args:
        engine: the log's.
        log: the log.
        stamps: its time stamps.
        notes: where the last audit is noted.
        witnesses: returns what the witnesses countersigned last.
    """

    def __init__(
        self,
        engine: Engine,
        log: MessageLog,
        stamps: CheckpointStamps,
        notes: AuditNotes,
        witnesses: Callable[[], tuple[WitnessState, ...]] = tuple,
    ) -> None:
        self._engine = engine
        self._log = log
        self._stamps = stamps
        self._notes = notes
        self._witnesses = witnesses

    def state(self) -> LogState:
        """Return how the log is now."""
        with self._engine.connect() as connection:
            size = store.read_size(connection)
            signing = store.read_last_signing(connection)
        waiting = self._stamps.waiting()
        stamped = next(iter(self._stamps.last_stamps(1)), None)
        return LogState(
            origin=self._log.origin,
            verifier_key=self._log.verifier.encode(),
            size=size,
            last_checkpoint=None if signing is None else LastCheckpoint(*signing),
            witnesses=self._witnesses(),
            stamps=StampState(
                size=None if stamped is None else stamped.size,
                stamped_at=None if stamped is None else stamped.stamped_at,
                waiting=len(waiting),
                waiting_since=min((each.since for each in waiting), default=None),
            ),
            audit=self._notes.read(),
        )


class AuditNotes:
    """A file that remembers what the last audit said; an audit writes nothing into the database it doubts."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, report: AuditReport, at: datetime) -> None:
        """Note a report; `at` is when the audit ended, UTC."""
        first = report.first
        note = {
            "at": format_instant(at),
            "size": report.size,
            "findings": len(report.findings) + report.unlisted,
            "first_entry": None if first is None else first.first,
            "compared": list(report.compared),
        }
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        draft.write_text(json.dumps(note), encoding="utf-8")
        draft.replace(self._path)

    def read(self) -> LastAudit | None:
        """Return what the last audit said; None when there was none or the note cannot be read."""
        try:
            note = json.loads(self._path.read_text(encoding="utf-8"))
            return LastAudit(
                at=parse_instant(note["at"]),
                size=note["size"],
                findings=note["findings"],
                first_entry=note["first_entry"],
                compared=tuple(note["compared"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            # Nothing rests on it; the next audit writes it anew.
            return None
