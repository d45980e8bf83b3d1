# SPDX-License-Identifier: Apache-2.0
"""What the vault needs from time to time, in a thread of its own: nothing here makes a message wait.

keys that other processes destroyed     forgotten
erasures a crash cut off                completed
the keys of the month that begins       made, a day before
what was kept long enough               told by an alarm; erased where the settings say so
months that are over                    archived where the settings say so; an alarm while that fails
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from hub.clock import format_instant
from hub.errors import HubError

if TYPE_CHECKING:
    from hub.alarms import AlarmSink
    from hub.clock import Clock
    from hub.database import Writer
    from hub.vault.archiving import Archiver
    from hub.vault.erasure import ErasableKey, Eraser
    from hub.vault.service import Vault

AHEAD = timedelta(days=1)

_PAUSE_SECONDS = 60.0
_BY = "erase_when_due"
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class VaultUpkeep:
    """Looks after the vault while the hub serves.

    Attributes:
        retentions: the periods the contracts ask for.
        archives: where a month that is over goes; None leaves it in the database.
        erases: whether what is due is erased.
    """

    vault: Vault
    eraser: Eraser
    archiver: Archiver
    writer: Writer
    alarms: AlarmSink
    clock: Clock
    retentions: frozenset[str]
    archives: str | None
    erases: bool
    _stopped: threading.Event = field(default_factory=threading.Event)
    _has_looked: threading.Event = field(default_factory=threading.Event)
    _told: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Look again and again, until `stop`."""
        while True:
            try:
                self.look()
            except Exception:
                if self._stopped.is_set():
                    return
                # The database or a token may be away for a while; the next look may succeed.
                _logger.exception("vault.not_looked_after")
            if self._stopped.wait(_PAUSE_SECONDS):
                return

    def stop(self) -> None:
        """Let `run` end; what it is at goes on after the next start."""
        self._stopped.set()

    def look(self) -> None:
        """Do what there is to do at present."""
        self.vault.refresh()
        self.eraser.resume()
        self.vault.prepare(self.writer, self.retentions, ahead=AHEAD)
        self._erase_what_is_due()
        if self.archives is not None:
            self._archive(self.archives)

    def _erase_what_is_due(self) -> None:
        due = self.eraser.due(self.clock.now())
        for each in due:
            if self.erases and not each.holds:
                self.eraser.erase(each.key_id, reason="retention over", by=_BY)
            elif not each.holds:
                self._tell(each)
        if not self._has_looked.is_set():
            # An alarm of before this start may be over.
            self._told.update(map(str, self.vault.keys_on_record))
            self._has_looked.set()
        waiting = set() if self.erases else {str(each.key_id) for each in due if not each.holds}
        for subject in self._told - waiting:
            self.alarms.clear("vault.erasure_due", subject)
        self._told.intersection_update(waiting)

    def _tell(self, due: ErasableKey) -> None:
        subject, since = str(due.key_id), due.retention_ends_at
        detail = f"{due.containers} containers, since {format_instant(since) if since else 'never'}"
        self.alarms.raise_alarm("vault.erasure_due", subject, detail)
        self._told.add(subject)

    def _archive(self, url: str) -> None:
        for month in sorted({key_id.month for key_id in self.archiver.waiting(self.clock.now())}):
            try:
                self.archiver.archive_month(month, url, told=self._look_up)
            except HubError as exc:
                if exc.code != "vault.archiving":
                    self.alarms.raise_alarm("vault.not_archived", month, f"{exc.code}: {exc.detail}")
            else:
                self.alarms.clear("vault.not_archived", month)

    def _look_up(self, _rows: int) -> None:
        if self._stopped.is_set():
            raise InterruptedError("the hub ends; archiving goes on after the next start")
