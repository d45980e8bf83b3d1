# SPDX-License-Identifier: Apache-2.0
"""How a file that was taken becomes messages, and what becomes of those.

Three ways: its rows (or its one document) through the gateway's queue; the file itself as a payload of any
size; or the file as it stands, when it is a message the department has signed already. Every way may be
broken off anywhere and begun again: the same file becomes the same messages.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import structlog

from adapters.hubclient import Question
from adapters.intakes import Whole
from adapters.largesender import LargeSender
from adapters.layouts import FileRow, read_document, read_rows
from adapters.queue import QueuedState
from adapters.sftp.ledger import KnownRow, RowState
from hub.envelope import FilePayload, open_announcement, open_envelope
from hub.errors import AdapterError, EnvelopeError, HubError, ReportedFaultError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from adapters.hubclient import MessageOutcome
    from adapters.intakes import IntakeEntry, IntakeParts
    from adapters.ports import JsonValue
    from adapters.queue import Queued
    from adapters.sftp.ledger import KnownFile, Ledger
    from adapters.sftp.pickupsettings import PayloadSettings, PickupSettings
    from hub.envelope import Envelope

_PAGE = 200
_MOST_CONTAINER_BYTES = 32 * 1024 * 1024
_logger = structlog.get_logger(__name__)


class Passing(Protocol):
    """One way for a file to become messages."""

    def count(self, local: Path) -> int:
        """Return how many rows a file has, having looked at all of them.

        Raises:
            AdapterError: the file as a whole cannot be taken.
        """
        ...

    def put(self, file: KnownFile, local: Path, stopped: threading.Event) -> bool:
        """Put a file's messages where they are kept; False when it has to be gone on with later."""
        ...

    def follow(self, file: KnownFile) -> bool:
        """Look what has become of a file's messages; True when that is known of all."""
        ...


class MessagesPassing:
    """Rows, or one document, in the contract's words, through the queue."""

    def __init__(
        self, entry: IntakeEntry, settings: PickupSettings, parts: IntakeParts, ledger: Ledger
    ) -> None:
        self._entry = entry
        self._settings = settings
        self._outgoing = parts.outgoing
        self._ledger = ledger

    def count(self, local: Path) -> int:
        """Return how many rows there are; see `Passing`."""
        if self._entry.whole is Whole.FILE:
            read_document(local, self._settings.layout)
            return 1
        return sum(1 for _ in read_rows(local, self._settings.layout))

    def put(self, file: KnownFile, local: Path, stopped: threading.Event) -> bool:
        """Put every row into the queue; one that cannot be is refused by itself. See `Passing`."""
        done_before = self._ledger.last_entered(file)
        entered: list[KnownRow] = []
        try:
            for row in self._rows(local):
                if row.number <= done_before:
                    continue
                if stopped.is_set():
                    return False
                entered.append(self._put_row(file, row))
                if len(entered) >= _PAGE:
                    self._ledger.enter(file, entered)
                    entered = []
        except HubError as error:
            if not error.is_retryable:
                raise
            _logger.info("intake.put_off", intake=self._entry.id, file=file.name, code=error.code)
            return False
        finally:
            self._ledger.enter(file, entered)
        return True

    def follow(self, file: KnownFile) -> bool:
        """Ask the queue; see `Passing`."""
        settled: list[KnownRow] = []
        is_all = True
        for row in self._ledger.rows(file, RowState.PUT):
            queued = None if row.key is None else self._outgoing.state_of(row.key)
            result = _result(row, queued)
            if result is None:
                is_all = False
                continue
            settled.append(result)
        self._ledger.settle(file, settled)
        for row in settled:
            if row.key is not None:
                self._outgoing.acknowledge(row.key)
        return is_all

    def _rows(self, local: Path) -> Iterator[FileRow]:
        if self._entry.whole is Whole.FILE:
            yield FileRow(1, 0, "", {"document": read_document(local, self._settings.layout)})
            return
        yield from read_rows(local, self._settings.layout)

    def _put_row(self, file: KnownFile, row: FileRow) -> KnownRow:
        key = f"{self._entry.id}/{file.sha256}/{row.number}"
        try:
            values = row.require()
            scope: dict[str, JsonValue] = {"file": facts_of(file, row)}
            scope |= values if self._entry.whole is Whole.FILE else {"row": values}
            question = self._question(scope)
            self._outgoing.put(key, question, origin=self._entry.id, sender=self._entry.subsystem)
        except HubError as error:
            if error.is_retryable:
                raise
            return KnownRow(row.number, row.line, None, RowState.REFUSED, error.code, error.detail, row.text)
        return KnownRow(row.number, row.line, key, RowState.PUT)

    def _question(self, scope: dict[str, JsonValue]) -> Question:
        entry = self._entry
        return Question(
            service=entry.service,
            contract=entry.contract,
            data=entry.to_contract(scope),
            purpose=entry.purpose,
            lifetime=timedelta(seconds=self._settings.lifetime_seconds),
        )


def facts_of(file: KnownFile, row: FileRow | KnownRow | None = None) -> dict[str, JsonValue]:
    """Return what mappings see as `file`."""
    facts: dict[str, JsonValue] = {
        "name": file.name.encode("utf-8", "replace").decode(),
        "sha256": file.sha256,
        "bytes": file.size,
        "rows": file.rows,
    }
    return facts if row is None else {**facts, "row": row.number, "line": row.line}


def _result(row: KnownRow, queued: Queued | None) -> KnownRow | None:
    """Return what has become of a row; None while that is not known."""
    if queued is None:
        # The queue forgets only what was taken note of.
        return KnownRow(row.number, row.line, row.key, RowState.PROCESSED)
    if queued.state is QueuedState.PROCESSED:
        return KnownRow(row.number, row.line, row.key, RowState.PROCESSED, answer=queued.answer)
    if queued.state is QueuedState.REFUSED:
        return KnownRow(row.number, row.line, row.key, RowState.REFUSED, queued.code, queued.detail)
    return None


class _Direct:
    """What the two ways have in common that do not go through the queue: one file, one message."""

    def __init__(
        self, entry: IntakeEntry, settings: PickupSettings, parts: IntakeParts, ledger: Ledger
    ) -> None:
        self._entry = entry
        self._settings = settings
        self._client = parts.client
        self._folder = parts.folder
        self._ledger = ledger

    def _refuse(self, file: KnownFile, error: HubError) -> bool:
        """Take note that a file's message is refused; False when it is to be tried again."""
        if error.is_retryable:
            _logger.info(
                "intake.put_off", intake=self._entry.id, file=file.name, code=error.code, detail=error.detail
            )
            return False
        refused = KnownRow(1, 0, None, RowState.REFUSED, error.code, error.detail)
        self._ledger.enter(file, [refused])
        self._ledger.settle(file, [refused])
        return True

    def _was_sent(self, file: KnownFile) -> bool:
        self._ledger.enter(file, [KnownRow(1, 0, None, RowState.PUT)])
        self._ledger.was_sent(file)
        return True

    def _follow(self, file: KnownFile, message: Envelope) -> MessageOutcome | None:
        try:
            outcome = self._client.outcome(message, self._entry.purpose)
        except HubError as error:
            if isinstance(error, ReportedFaultError) and error.code == "exchange.message_unknown":
                self._ledger.settle(file, [KnownRow(1, 0, None, RowState.REFUSED, error.code, error.detail)])
            return None
        if outcome.state == "processed":
            answer = None if outcome.answer is None else dict(outcome.answer.data)
            self._ledger.settle(file, [KnownRow(1, 0, None, RowState.PROCESSED, answer=answer)])
        elif outcome.state == "refused":
            code = outcome.code or "exchange.internal"
            self._ledger.settle(file, [KnownRow(1, 0, None, RowState.REFUSED, code, "")])
        return outcome


class PayloadPassing(_Direct):
    """The file itself, beside `request.json`."""

    def count(self, local: Path) -> int:
        """Return 1; see `Passing`."""
        del local
        return 1

    def put(self, file: KnownFile, local: Path, stopped: threading.Event) -> bool:
        """Announce the file and send what the hub does not have of it; see `Passing`."""
        if file.is_sent or stopped.is_set():
            return file.is_sent
        name = self._payload.name
        sender = LargeSender(client=self._client)
        try:
            if file.announcement is None:
                question = Question(
                    service=self._entry.service,
                    contract=self._entry.contract,
                    data=self._entry.to_contract({"file": facts_of(file)}),
                    purpose=self._entry.purpose,
                )
                part = FilePayload.of(name, self._payload.media_type, local)
                lifetime = timedelta(seconds=self._settings.lifetime_seconds)
                message = sender.sign(question, [part], lifetime=lifetime)
                # From here on it is this message, however often it is begun again.
                self._ledger.was_signed(file, message.raw)
            else:
                message = open_announcement(file.announcement)
            sender.send(message, {name: local})
        except HubError as error:
            return self._refuse(file, error)
        return self._was_sent(file)

    def follow(self, file: KnownFile) -> bool:
        """Ask the hub; see `Passing`."""
        if self._ledger.count(file, RowState.PUT) == 0 or file.announcement is None:
            return True
        self._follow(file, open_announcement(file.announcement))
        return self._ledger.count(file, RowState.PUT) == 0

    @property
    def _payload(self) -> PayloadSettings:
        if self._settings.payload is None:
            raise TypeError("the settings were checked")
        return self._settings.payload


class ContainerPassing(_Direct):
    """A message the department has signed: passed on as it stands, by the octet."""

    def count(self, local: Path) -> int:
        """Return 1 for a message of this intake's subsystem; see `Passing`."""
        size = local.stat().st_size
        if size > _MOST_CONTAINER_BYTES:
            raise AdapterError("adapter.file_unreadable", f"a container of {size} bytes")
        try:
            header = open_envelope(local.read_bytes()).header
        except EnvelopeError as exc:
            raise AdapterError("adapter.file_unreadable", f"{exc.code}: {exc.detail}") from exc
        if header.sender != self._entry.subsystem:
            raise AdapterError("adapter.file_unreadable", f"a message of {header.sender}")
        return 1

    def put(self, file: KnownFile, local: Path, stopped: threading.Event) -> bool:
        """Send the file; see `Passing`."""
        if file.is_sent or stopped.is_set():
            return file.is_sent
        try:
            raw = local.read_bytes()
            self._ledger.was_signed(file, raw)
            self._client.send_again(open_envelope(raw))
        except HubError as error:
            return self._refuse(file, error)
        return self._was_sent(file)

    def follow(self, file: KnownFile) -> bool:
        """Ask the hub; see `Passing`."""
        if self._ledger.count(file, RowState.PUT) == 0 or file.announcement is None:
            return True
        outcome = self._follow(file, open_envelope(file.announcement))
        is_settled = self._ledger.count(file, RowState.PUT) == 0
        if is_settled and outcome is not None:
            if outcome.answer is not None:
                self._kept(file, "answer").write_bytes(outcome.answer.response.raw)
            if outcome.receipt is not None:
                self._kept(file, "receipt").write_bytes(outcome.receipt.raw)
        return is_settled

    def _kept(self, file: KnownFile, name: str) -> Path:
        """Return where what came back is kept until it was told."""
        return self._folder / f"{file.number}.{name}.asice"
