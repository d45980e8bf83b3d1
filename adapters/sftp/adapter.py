# SPDX-License-Identifier: Apache-2.0
"""Ask a file-exchanging system and answer in the contract's words."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from adapters.bodies import read_csv, read_json, write_csv
from adapters.ports import Answer, Call, JsonObject, JsonValue
from adapters.probing import reach
from adapters.sftp.connecting import Deadline, Login
from adapters.sftp.session import Session, Waiting, opened
from adapters.sftp.settings import FileFormat, FileSettings, SftpSettings
from hub.errors import AdapterError

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.entry import ServiceEntry
    from adapters.sources import Probe


class SftpAdapter:
    """One kind of request file on one SFTP server, and its answer file where there is one.

    The request mapping gives one CSV row, or `rows`, or the JSON document. The answer's expressions see
    `answer.rows` (CSV) or `answer.document` (JSON), and `answer.file` with `name`, `sha256` and `rows`.

    Args:
        entry: the service as described.

    Raises:
        AdapterError: `adapter.configuration_invalid`, the description cannot be used.
    """

    def __init__(self, entry: ServiceEntry) -> None:
        self._entry = entry
        self._settings = settings = entry.settings(SftpSettings)
        if settings.request.format is not FileFormat.CONTAINER or settings.answer is not None:
            entry.translation  # noqa: B018 - raises where the description lacks it
        self._login = Login.of(settings, entry.guard((settings.host, settings.port)), at=entry.at)
        self._waiting = Waiting(settings.poll_seconds, settings.settle_seconds, settings.max_answer_bytes)

    def answer(self, request: JsonObject, call: Call) -> Answer:
        """Drop the request file and wait for the answer file; see `adapters.ports.Adapter`."""
        settings = self._settings
        content = self._content(request, call)
        request_name = settings.request.name.replace("{message_id}", call.message_id)
        deadline = Deadline(self._entry.seconds_for(call))
        with opened(self._login, deadline) as session:
            for name, file in call.files.items():
                self._drop_file(session, f"{call.message_id}_{name}", file)
            if settings.request.sidecar:
                self._drop_digest(session, request_name, hashlib.sha256(content).hexdigest())
            session.publish(settings.inbox, request_name, content)
            if settings.answer is None:
                return Answer({})
            answer_name = settings.answer.name.replace("{message_id}", call.message_id)
            answer, digest = self._fetch(session, answer_name)
            read = _read(answer, settings.answer, answer_name, digest)
            data = self._entry.translation.to_contract(read, request, call)
            # Only what was understood counts as processed; everything else stays where people look for it.
            self._put_away(session, answer_name)
        return Answer(data)

    def _content(self, request: JsonObject, call: Call) -> bytes:
        if self._settings.request.format is not FileFormat.CONTAINER:
            words = self._entry.translation.to_system(request, call)
            return _written(words, self._settings.request)
        if call.files:
            detail = "a message with large payloads is not kept as one container"
            raise AdapterError("adapter.mapping_failed", detail)
        return call.container

    def _drop_file(self, session: Session, name: str, file: Path) -> None:
        """Put down a large payload; it is read piece by piece."""
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if self._settings.request.sidecar:
            self._drop_digest(session, name, digest)
        session.publish_file(self._settings.inbox, name, file, sha256=digest)

    def _drop_digest(self, session: Session, name: str, digest: str) -> None:
        # It is there before its file, so whoever finds the file finds it too.
        session.publish(self._settings.inbox, f"{name}.sha256", f"{digest}  {name}\n".encode())

    def probe(self, seconds: float) -> Probe:
        """Connect to the server; see `adapters.ports.Adapter`."""
        at = f"{self._entry.at}.connection.host"
        return reach(self._settings.host, self._settings.port, seconds, at=at, guard=self._login.guard)

    def close(self) -> None:
        """Nothing stays open between calls."""

    def _fetch(self, session: Session, name: str) -> tuple[bytes, str]:
        try:
            return session.wait_for(self._settings.outbox, name, self._waiting)
        except AdapterError as exc:
            if exc.code == "adapter.file_damaged":
                # A file written again has to be seen, and this one kept for whoever looks into it.
                self._put_away(session, name, suffix=".damaged")
            raise

    def _put_away(self, session: Session, name: str, *, suffix: str = "") -> None:
        for each in (f"{name}.sha256", name):
            session.archive(self._settings.outbox, each, self._settings.archive, suffix=suffix)


def _written(words: JsonObject, form: FileSettings) -> bytes:
    if form.format is FileFormat.JSON:
        return json.dumps(words, ensure_ascii=False).encode(form.encoding)
    rows = words.get("rows")
    table = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else [words]
    return write_csv(table, encoding=form.encoding, delimiter=form.delimiter)


def _read(content: bytes, form: FileSettings, name: str, digest: str) -> JsonObject:
    if form.format is FileFormat.JSON:
        document: JsonValue = read_json(content, form.encoding)
        count = len(document) if isinstance(document, list) else 1
        return {"document": document, "file": {"name": name, "sha256": digest, "rows": count}}
    rows = read_csv(content, encoding=form.encoding, delimiter=form.delimiter, columns=form.columns)
    return {"rows": rows, "file": {"name": name, "sha256": digest, "rows": len(rows)}}
