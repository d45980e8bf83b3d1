# SPDX-License-Identifier: Apache-2.0
"""Send the rows of a department's table, each once, and write back what became of them.

Three steps, each safe to be cut off after: a row is claimed (its flag says so in the department's own
table), its message is put into the gateway's queue under a key that follows from the row, and the flag is
set to its end when the message has come to its own. What is repeated after a power cut finds that key again.

A row that is set to wait once more is a new message only when its content has changed or it was refused.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from adapters.hubclient import Question
from adapters.queuestore import QueuedState
from adapters.tables.database import Database
from adapters.tables.intakesettings import TableIntakeSettings
from adapters.tables.sending import Outcome, SendingTable, WaitingRow, key_text
from adapters.tables.taken import TakenRow, TakenRows
from hub.errors import AdapterError, HubError

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from adapters.intakes import IntakeEntry, IntakeParts
    from adapters.ports import JsonObject
    from adapters.queuestore import Queued
    from adapters.tables.intakesettings import FlagSettings, WatermarkSettings

_logger = structlog.get_logger(__name__)
_MOST_ATTEMPTS = 1_000


class TableIntake:
    """One table whose rows are sent.

    Args:
        entry: the intake as described.
        parts: what it works with.

    Raises:
        AdapterError: `adapter.configuration_invalid`.
    """

    def __init__(self, entry: IntakeEntry, parts: IntakeParts) -> None:
        self._entry = entry
        self._outgoing = parts.outgoing
        self._settings = settings = entry.settings(TableIntakeSettings)
        if entry.request is None:
            raise AdapterError("adapter.configuration_invalid", f"{entry.at}: needs request")
        own = () if settings.is_local else ((settings.host or "", settings.port_number or 0),)
        self._database = Database(
            settings,
            entry.guard(*own),
            seconds=settings.timeout_seconds,
            at=f"{entry.at}.connection",
            clock=entry.clock,
        )
        self._taken = TakenRows(parts.folder)
        self._table = SendingTable(settings, self._database, self._taken.own_name)

    def look(self, stopped: threading.Event) -> None:
        """Write back what has ended, take what is there, and clean up; see `adapters.intakes.Intake`."""
        self._settle(stopped)
        flag, mark = self._settings.flag, self._settings.watermark
        if flag is not None:
            self._take_waiting(flag, stopped)
            if self._settings.clean_up is not None:
                self._table.clean_up(flag, self._settings.clean_up, self._entry.clock.now())
        elif mark is not None:
            self._take_new(mark, stopped)

    def close(self) -> None:
        """Give back connections."""
        self._database.close()
        self._taken.close()

    def _take_waiting(self, flag: FlagSettings, stopped: threading.Event) -> None:
        while not stopped.is_set():
            noted: dict[str, TakenRow] = {}

            def note(rows: Sequence[WaitingRow], noted: dict[str, TakenRow] = noted) -> None:
                noted.update({key_text(row.key): self._as_taken(row) for row in rows})
                self._taken.take(noted.values())

            rows = self._table.claim(flag, note)
            claimed = {key_text(row.key) for row in rows}
            self._taken.drop(taken for key, taken in noted.items() if key not in claimed)
            for row in rows:
                self._send(row, noted[key_text(row.key)])
            if len(noted) < self._settings.batch_rows:
                return

    def _take_new(self, mark: WatermarkSettings, stopped: threading.Event) -> None:
        known = self._taken.watermark
        beyond: WaitingRow | None = None
        while not stopped.is_set():
            rows = self._table.after(mark, None if known is None else json.loads(known), beyond)
            for row in rows:
                taken = self._as_taken(row)
                if self._outgoing.state_of(taken.message_key) is None and not self._taken.is_refused(
                    taken.digest
                ):
                    self._taken.take([taken])
                    self._send(row, taken)
            if rows:
                beyond = rows[-1]
                self._reach(beyond)
            if len(rows) < self._settings.batch_rows:
                return

    def _reach(self, row: WaitingRow) -> None:
        """Remember a row's place; a look that begins further back does not undo it."""
        place = json.dumps(row.place)
        self._taken.reach(place)

    def _as_taken(self, row: WaitingRow) -> TakenRow:
        """Return what is remembered of a row, with the key its message has or will have."""
        key = key_text(row.key)
        content = json.dumps(row.content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(f"{key}\n{content}".encode()).hexdigest()
        message_key = base = f"{self._entry.id}:{digest}"
        if self._settings.flag is not None:
            for attempt in range(2, _MOST_ATTEMPTS):
                known = self._outgoing.state_of(message_key)
                if known is None or known.state is not QueuedState.REFUSED:
                    break
                message_key = f"{base}#{attempt}"
        return TakenRow(key, digest, message_key)

    def _send(self, row: WaitingRow, taken: TakenRow) -> None:
        """Put a row's message into the queue; one bad row does not keep the others.

        Raises:
            HubError: the queue takes nothing now; the row stays taken and is put there later.
        """
        try:
            data = self._entry.to_contract({"row": row.content})
            question = Question(
                service=self._entry.service,
                contract=self._entry.contract,
                data=data,
                purpose=self._entry.purpose,
                lifetime=timedelta(hours=self._settings.lifetime_hours),
            )
            message_id = self._outgoing.put(
                taken.message_key, question, origin=self._entry.id, sender=self._entry.subsystem
            )
        except HubError as error:
            if error.is_retryable:
                raise
            self._refuse(taken, error)
            return
        self._taken.sent(taken, message_id)

    def _refuse(self, taken: TakenRow, error: HubError) -> None:
        _logger.warning(
            "intake.row_refused",
            intake=self._entry.id,
            row=taken.digest,
            code=error.code,
            detail=error.detail,
        )
        refused = Outcome(
            f"not-sent:{taken.digest[:27]}", is_processed=False, code=error.code, detail=error.detail
        )
        self._table.settle(json.loads(taken.row_key), refused, None)
        if self._settings.watermark is not None:
            self._taken.refuse(taken.digest)
        self._taken.drop([taken])

    def _settle(self, stopped: threading.Event) -> None:
        """Write back what has ended, and put into the queue what a power cut kept from it."""
        for taken in self._taken.in_hand():
            if stopped.is_set():
                return
            queued = self._outgoing.state_of(taken.message_key)
            if queued is None:
                self._resume(taken)
            elif queued.state in {QueuedState.PROCESSED, QueuedState.REFUSED}:
                self._end(taken, queued)

    def _resume(self, taken: TakenRow) -> None:
        flag, key = self._settings.flag, json.loads(taken.row_key)
        if flag is None:
            # Its watermark was not reached yet, so it is read again.
            self._taken.drop([taken])
            return
        row = self._table.taken_again(flag, key)
        if row is None:
            self._taken.drop([taken])
        elif self._as_taken(row).digest != taken.digest:
            self._table.release(flag, key)
            self._taken.drop([taken])
        else:
            self._send(row, taken)

    def _end(self, taken: TakenRow, queued: Queued) -> None:
        is_processed = queued.state is QueuedState.PROCESSED
        answer = queued.answer
        outcome = Outcome(
            queued.message_id, is_processed, None if is_processed else queued.code, queued.detail
        )

        def words(row: JsonObject) -> JsonObject:
            return self._entry.to_system(answer, {"row": row}) if answer is not None else {}

        has_words = is_processed and answer is not None and self._entry.response is not None
        key = json.loads(taken.row_key)
        try:
            self._table.settle(key, outcome, words if has_words else None)
        except AdapterError as error:
            if error.is_retryable:
                raise
            _logger.warning(
                "intake.answer_not_written",
                intake=self._entry.id,
                row=taken.digest,
                code=error.code,
                detail=error.detail,
            )
            if not has_words:
                return
            unfit = Outcome(queued.message_id, is_processed=False, code=error.code, detail=error.detail)
            self._table.settle(key, unfit, None)
        self._outgoing.acknowledge(taken.message_key)
        self._taken.drop([taken])
