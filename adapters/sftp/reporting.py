# SPDX-License-Identifier: Apache-2.0
"""What a department is told about its files: an acknowledgement, the rows that were refused, and the answers.

<name>.ack.json     what became of the file: digest, rows, how many were processed and refused
<name>.reject.csv   one line for each refused row: where, why, and the row as it stood
<name>.answers.csv  (or .jsonl) the answers, in the department's words
<name>.answer.asice, <name>.receipt.asice   for a message the department has signed itself
"""

from __future__ import annotations

import csv
import hashlib
import json
from typing import TYPE_CHECKING

from adapters.sftp.ledger import RowState
from adapters.sftp.passing import facts_of
from adapters.sftp.pickupsettings import AnswerFormat
from hub.clock import format_instant
from hub.errors import AdapterError, Language, error_kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from adapters.intakes import IntakeEntry
    from adapters.ports import JsonObject, JsonValue
    from adapters.sftp.ledger import KnownFile, KnownRow, Ledger
    from adapters.sftp.pickupsettings import PickupSettings
    from adapters.sftp.session import Session

_LONGEST_NAME_BYTES = 230
"""Common file systems take 255 for a name, and a report's has an ending."""

_REJECT_COLUMNS = ("row", "line", "code", "reason_zh", "reason_en", "detail", "content")


class Reporter:
    """Writes what became of a file.

    Args:
        folder: on this machine, where reports are made before they are published.
    """

    def __init__(self, entry: IntakeEntry, settings: PickupSettings, ledger: Ledger, folder: Path) -> None:
        self._entry = entry
        self._settings = settings
        self._ledger = ledger
        self._folder = folder

    def tell(self, session: Session, file: KnownFile, kept: Iterable[tuple[str, Path]]) -> str | None:
        """Publish everything about a file, the acknowledgement last; return where that is.

        Args:
            session: at the server.
            file: of which everything is known.
            kept: signed containers to publish, by what they are.
        """
        reports = self._settings.reports
        if reports is None:
            return None
        name = _stem(file.archived_as or file.name)
        refused = self._ledger.count(file, RowState.REFUSED)
        processed = self._ledger.count(file, RowState.PROCESSED)
        if refused:
            self._publish(session, f"{name}.reject.csv", self._write_rejected(file))
        answers = self._write_answers(file)
        if answers is not None:
            suffix = "csv" if self._settings.answers.format is AnswerFormat.CSV else "jsonl"
            self._publish(session, f"{name}.answers.{suffix}", answers)
        for what, path in kept:
            if path.exists():
                self._publish(session, f"{name}.{what}.asice", path)
        self.acknowledge(session, name, self._about(file, processed, refused))
        return f"{reports}/{name}.ack.json"

    def acknowledge(self, session: Session, name: str, facts: JsonObject) -> None:
        """Publish an acknowledgement."""
        name = _stem(name)
        if self._settings.reports is not None:
            content = json.dumps(facts, ensure_ascii=False, indent=2) + "\n"
            session.publish(self._settings.reports, f"{name}.ack.json", content.encode())

    def reject_file(self, session: Session, name: str, error: AdapterError) -> None:
        """Put beside a file in the folder for errors why it is there."""
        kind = error_kinds()[error.code]
        facts = {
            "file": name,
            "state": "rejected",
            "code": error.code,
            "detail": error.detail,
            "message": {language.value: kind.message[language] for language in Language},
            "cure": {language.value: kind.cure[language] for language in Language},
            "at": format_instant(self._entry.clock.now()),
        }
        content = json.dumps(facts, ensure_ascii=False, indent=2) + "\n"
        session.publish(self._settings.errors, f"{_stem(name)}.reject.json", content.encode())

    def _about(self, file: KnownFile, processed: int, refused: int) -> JsonObject:
        return {
            "file": facts_of(file)["name"],
            "state": "processed" if not refused else "refused" if not processed else "partly-refused",
            "sha256": file.sha256,
            "bytes": file.size,
            "rows": file.rows,
            "processed": processed,
            "refused": refused,
            "taken_at": file.taken_at,
            "settled_at": format_instant(self._entry.clock.now()),
        }

    def _publish(self, session: Session, name: str, path: Path) -> None:
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        session.publish_file(self._settings.reports or "", name, path, sha256=digest)
        path.unlink()

    def _write_rejected(self, file: KnownFile) -> Path:
        path = self._folder / f"{file.number}.reject"
        with path.open("w", encoding=self._settings.report_encoding, errors="replace", newline="") as content:
            lines = csv.writer(content)
            lines.writerow(_REJECT_COLUMNS)
            for row in self._ledger.rows(file, RowState.REFUSED):
                kind = error_kinds().get(row.code or "")
                reasons = ("", "") if kind is None else (kind.message[Language.ZH], kind.message[Language.EN])
                lines.writerow((row.number, row.line, row.code, *reasons, row.detail, row.text))
        return path

    def _write_answers(self, file: KnownFile) -> Path | None:
        answered = ((row, row.answer) for row in self._ledger.rows(file, RowState.PROCESSED))
        words = (self._words(file, row, answer) for row, answer in answered if answer is not None)
        first = next(words, None)
        if first is None:
            return None
        path = self._folder / f"{file.number}.answers"
        form = self._settings.answers
        with path.open("w", encoding=form.encoding, errors="replace", newline="") as content:
            if form.format is AnswerFormat.JSON_LINES:
                for each in _chained(first, words):
                    content.write(json.dumps(each, ensure_ascii=False) + "\n")
                return path
            lines = csv.writer(content, delimiter=form.delimiter)
            lines.writerow(first)
            for each in _chained(first, words):
                lines.writerow(_cell(each.get(name)) for name in first)
        return path

    def _words(self, file: KnownFile, row: KnownRow, answer: JsonObject) -> JsonObject:
        words = self._entry.to_system(answer, {"file": facts_of(file, row)})
        return {"row": row.number, **words}


def _stem(name: str) -> str:
    """Return what reports about a file begin with: its name, shortened where nothing more would fit."""
    raw = name.encode("utf-8", "surrogateescape")
    if len(raw) <= _LONGEST_NAME_BYTES:
        return name
    digest = hashlib.sha256(raw).hexdigest()[:16]
    return f"{raw[: _LONGEST_NAME_BYTES - 17].decode('utf-8', 'ignore')}-{digest}"


def _chained(first: JsonObject, rest: Iterator[JsonObject]) -> Iterator[JsonObject]:
    yield first
    yield from rest


def _cell(value: JsonValue) -> str | int:
    if value is None:
        return ""
    return value if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False)
