# SPDX-License-Identifier: Apache-2.0
"""Empty an inbox: what is finished is fetched, becomes messages, is moved away, and is told about.

Every step is written down before the next (`adapters.sftp.ledger`), so that a gateway or a connection that
dies anywhere goes on where it was: nothing is taken twice, nothing is lost, and nothing disappears.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import structlog

from adapters.sftp.connecting import Login, Stillness
from adapters.sftp.finishing import Watch
from adapters.sftp.ledger import FileState, KnownRow, Ledger, RowState
from adapters.sftp.passing import ContainerPassing, MessagesPassing, PayloadPassing
from adapters.sftp.pickupsettings import Content, PickupSettings
from adapters.sftp.reporting import Reporter
from adapters.sftp.session import opened
from hub.clock import format_instant
from hub.errors import AdapterError, HubError

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from pathlib import Path

    from adapters.intakes import IntakeEntry, IntakeParts
    from adapters.sftp.finishing import Finished
    from adapters.sftp.ledger import KnownFile
    from adapters.sftp.passing import Passing
    from adapters.sftp.session import Session

_WAYS: dict[Content, type[MessagesPassing | PayloadPassing | ContainerPassing]] = {
    Content.MESSAGES: MessagesPassing,
    Content.PAYLOAD: PayloadPassing,
    Content.CONTAINER: ContainerPassing,
}
_LONGEST_PAUSE_SECONDS = 300.0
_logger = structlog.get_logger(__name__)


class PickupIntake:
    """One inbox at one SFTP server.

    Args:
        entry: the intake as described.
        parts: what it works with.

    Raises:
        AdapterError: `adapter.configuration_invalid`.
    """

    def __init__(self, entry: IntakeEntry, parts: IntakeParts) -> None:
        self._entry = entry
        self._settings = settings = entry.settings(PickupSettings)
        if settings.content is not Content.CONTAINER and entry.request is None:
            raise AdapterError("adapter.configuration_invalid", f"{entry.at}: needs request")
        self._login = Login.of(settings, entry.guard((settings.host, settings.port)), at=entry.at)
        self._watch = Watch(settings.finished, settings.pattern, settings.sidecar, settings.sidecar_suffix)
        self._folder = parts.folder
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._ledger = Ledger(self._folder / "files.sqlite")
        self._way: Passing = _WAYS[settings.content](entry, settings, parts, self._ledger)
        self._reporter = Reporter(entry, settings, self._ledger, self._folder)
        # Since when a file is other than what stands beside it, by what was seen of it.
        self._damaged_since: dict[tuple[str, int | None, int | None, str], float] = {}
        self._follow_at: dict[int, tuple[float, float]] = {}
        self._reported: set[str] = set()

    def look(self, stopped: threading.Event) -> None:
        """Do all that can be done now; see `adapters.intakes.Intake`."""
        settings = self._settings
        self._put_all(stopped)
        done = [file for file in self._ledger.files(FileState.TAKEN) if self._is_settled(file)]
        with opened(self._login, Stillness(settings.idle_seconds)) as session:
            untold = self._tell_all(session, done)
            for file in self._ledger.files(FileState.PUT):
                self._move(session, file)
            sighting = self._watch.look(session, settings.inbox)
            self._report_waiting(sighting.waiting)
            for name in sighting.spent:
                session.archive(settings.inbox, name, settings.archive)
            known = {
                (file.name, file.size, file.modified_at)
                for file in self._ledger.files(FileState.FETCHED, FileState.PUT)
            }
            for found in sighting.finished:
                if stopped.is_set():
                    return
                state = (found.name, found.attributes.size, found.attributes.modified_at)
                if state not in known:
                    self._take(session, found, stopped)
        self._put_all(stopped)
        if untold is not None:
            raise untold

    def close(self) -> None:
        """Close the ledger; see `adapters.intakes.Intake`."""
        self._ledger.close()

    def _take(self, session: Session, found: Finished, stopped: threading.Event) -> None:
        """Fetch one file; what is wrong with it does not hold up the others."""
        try:
            self._fetch(session, found, stopped)
        except InterruptedError:
            return
        except AdapterError as error:
            if error.code == "adapter.file_unfinished":
                _logger.info("intake.file_changes", intake=self._entry.id, detail=error.detail)
                return
            if error.code not in {"adapter.file_unreadable", "adapter.file_damaged"}:
                raise
            self._put_away(session, found, error)

    def _fetch(self, session: Session, found: Finished, stopped: threading.Event) -> None:
        settings, attributes = self._settings, found.attributes
        size = attributes.size or 0
        if size > settings.most_bytes:
            raise AdapterError("adapter.file_unreadable", f"it has {size} bytes, more than are allowed")
        part = self._folder / f"{_short(found.name, size, attributes.modified_at)}.part"
        sha256 = session.fetch(f"{settings.inbox}/{found.name}", part, attributes, stopped.is_set)
        self._check(found, part, found.stated.problem(sha256=sha256, size=size, rows=None))
        if self._ledger.is_known(sha256):
            part.unlink()
            self._is_duplicate(session, found, sha256)
            return
        rows = self._counted(part)
        self._check(found, part, found.stated.problem(sha256=sha256, size=size, rows=rows))
        self._damaged_since.pop(_state(found), None)
        part.replace(self._local(sha256))
        self._ledger.begin(
            name=found.name,
            size=size,
            modified_at=attributes.modified_at,
            sha256=sha256,
            companions=found.companions,
            rows=rows,
            now=self._entry.clock.now(),
        )
        _logger.info("intake.fetched", intake=self._entry.id, bytes=size, rows=rows, sha256=sha256)

    def _counted(self, part: Path) -> int:
        try:
            return self._way.count(part)
        except AdapterError:
            part.unlink()
            raise

    def _check(self, found: Finished, part: Path, problem: str | None) -> None:
        """Give a file that is other than stated some time: what stands beside it may be on its way."""
        if problem is None:
            return
        state = _state(found)
        part.unlink(missing_ok=True)
        since = self._damaged_since.setdefault(state, time.monotonic())
        if time.monotonic() - since < self._settings.settle_seconds:
            raise AdapterError("adapter.file_unfinished", f"{found.name}: {problem}")
        del self._damaged_since[state]
        raise AdapterError("adapter.file_damaged", f"{found.name}: {problem}")

    def _is_duplicate(self, session: Session, found: Finished, sha256: str) -> None:
        settings = self._settings
        archived = session.archive(settings.inbox, found.name, settings.archive, suffix=".duplicate")
        self._move_companions(session, found.companions, settings.archive)
        facts = {"file": found.name, "state": "duplicate", "sha256": sha256, "bytes": found.attributes.size}
        self._reporter.acknowledge(
            session, archived, {**facts, "at": format_instant(self._entry.clock.now())}
        )
        _logger.info("intake.duplicate", intake=self._entry.id, sha256=sha256)

    def _put_away(self, session: Session, found: Finished, error: AdapterError) -> None:
        """Move a file that cannot be taken to where people look for it, and say why beside it."""
        settings = self._settings
        name = session.archive(settings.inbox, found.name, settings.errors)
        self._move_companions(session, found.companions, settings.errors)
        self._reporter.reject_file(session, name, error)
        _logger.warning("intake.file_rejected", intake=self._entry.id, code=error.code, detail=error.detail)

    def _move_companions(self, session: Session, names: tuple[str, ...], to: str) -> None:
        for name in names:
            if session.find(f"{self._settings.inbox}/{name}") is not None:
                session.archive(self._settings.inbox, name, to)

    def _put_all(self, stopped: threading.Event) -> None:
        """Turn what is here into messages, the first taken first."""
        for file in self._ledger.files(FileState.FETCHED):
            local = self._local(file.sha256)
            if not local.exists():
                self._ledger.give_up(file)
                continue
            try:
                is_done = self._way.put(file, local, stopped)
            except HubError as error:
                # Nothing of it, or nothing more of it, can become messages, now or later.
                refused = KnownRow(file.rows + 1, 0, None, RowState.REFUSED, error.code, error.detail)
                self._ledger.enter(file, [refused])
                is_done = True
            if not is_done:
                return
            self._ledger.was_put(file)
            local.unlink(missing_ok=True)

    def _move(self, session: Session, file: KnownFile) -> None:
        """Move a file out of the inbox, unless another one has taken its name meanwhile."""
        settings = self._settings
        present = session.find(f"{settings.inbox}/{file.name}")
        archived = None
        if present is not None and (present.size, present.modified_at) == (file.size, file.modified_at):
            archived = session.archive(settings.inbox, file.name, settings.archive)
            self._move_companions(session, file.companions, settings.archive)
        self._ledger.was_moved(file, archived)

    def _is_settled(self, file: KnownFile) -> bool:
        """Look what has become of a file's messages, ever more rarely."""
        now = time.monotonic()
        at, pause = self._follow_at.get(file.number, (now, self._entry.every_seconds / 2))
        if now < at:
            return False
        if self._way.follow(file):
            self._follow_at.pop(file.number, None)
            return True
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        self._follow_at[file.number] = (now + pause, pause)
        return False

    def _tell_all(self, session: Session, files: list[KnownFile]) -> AdapterError | None:
        """Tell about files; return why it failed. What cannot be told now does not hold up what is there."""
        failure = None
        for file in files:
            try:
                self._tell(session, file)
            except AdapterError as error:
                if error.code not in {"adapter.file_not_written", "adapter.folder_missing"}:
                    raise
                failure = failure or error
        return failure

    def _tell(self, session: Session, file: KnownFile) -> None:
        kept = [(what, self._folder / f"{file.number}.{what}.asice") for what in ("answer", "receipt")]
        acknowledged = self._reporter.tell(session, file, kept)
        if acknowledged is not None:
            self._compare_clocks(session, acknowledged)
        self._ledger.was_told(file)
        _logger.info("intake.settled", intake=self._entry.id, sha256=file.sha256)

    def _compare_clocks(self, session: Session, fresh: str) -> None:
        """Compare the time of a file written just now with ours; nothing here relies on the server's."""
        state = session.find(fresh)
        if state is None or state.modified_at is None:
            return
        seconds = round(state.modified_at - self._entry.clock.now().timestamp())
        if abs(seconds) < self._settings.clock_seconds:
            self._reported.discard("clock")
        elif "clock" not in self._reported:
            self._reported.add("clock")
            error = AdapterError("adapter.clock_off", f"the SFTP server's clock is {seconds} s ahead of ours")
            _logger.warning("intake.clock_off", intake=self._entry.id, code=error.code, detail=error.detail)

    def _report_waiting(self, waiting: Mapping[str, float]) -> None:
        """Report, once each, files that nobody finishes."""
        late = {name for name, seconds in waiting.items() if seconds >= self._settings.unfinished_seconds}
        for name in sorted(late - self._reported):
            error = AdapterError("adapter.file_unfinished", f"{self._settings.inbox}/{name}")
            _logger.warning(
                "intake.file_unfinished", intake=self._entry.id, code=error.code, detail=error.detail
            )
        self._reported = late | (self._reported & {"clock"})

    def _local(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.file"


def _state(found: Finished) -> tuple[str, int | None, int | None, str]:
    return found.name, found.attributes.size, found.attributes.modified_at, str(found.stated)


def _short(name: str, size: int, modified_at: int | None) -> str:
    """Return what a file that is being fetched is called here."""
    text = f"{name}\0{size}\0{modified_at}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:32]
