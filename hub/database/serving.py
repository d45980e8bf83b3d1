# SPDX-License-Identifier: Apache-2.0
"""Who serves from a database just now: one process on SQLite, any number on PostgreSQL.

A claim is a lock that the system or the server takes away from a process that ended, however it ended.
Commands beside a hub hold none and may come and go.
"""

from __future__ import annotations

import fcntl
import secrets
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NewType

import structlog

from hub.database.engine import patience
from hub.errors import SettingsError

if TYPE_CHECKING:
    from io import TextIOWrapper

    from sqlalchemy import Connection, Engine

_logger = structlog.get_logger(__name__)

ServingNumber = NewType("ServingNumber", int)
"""Names a process that serves, for as long as it does: a random number of 31 bits."""

# The first half of a PostgreSQL lock whose second half is the process's number.
_LOCK_CLASS = 1_214_605_391
# Shared, so that a process whose connection broke has its claim again although the server may not have
# noticed yet and still counts the old one.
_LOCK = f"SELECT pg_advisory_lock_shared({_LOCK_CLASS}, %(number)s)"
_HOLDERS = (
    "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 "  # noqa: S608 - a constant
    f"AND classid = {_LOCK_CLASS} "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class ServingClaim:
    """A process's claim to serve from a database; `take` it, `keep` it, `release` it.

    Attributes:
        number: names the process to the others.
    """

    def __init__(self, engine: Engine) -> None:
        self.number = ServingNumber(secrets.randbits(31))
        self._engine = engine
        self._changing = threading.Lock()
        self._is_taken = False
        self._file: TextIOWrapper | None = None
        self._connection: Any = None

    def take(self) -> None:
        """Claim the database.

        Raises:
            SettingsError: `settings.database_in_use`: it is SQLite, and another process serves from it.
        """
        with self._changing:
            self._is_taken = True
            if self._engine.dialect.name == "postgresql":
                self._connect()
            elif self._engine.url.database not in {None, "", ":memory:"}:
                self._lock_file(Path(f"{self._engine.url.database}.serving"))

    def keep(self) -> None:
        """Claim again what was lost with a connection; to be called every second or so while serving."""
        with self._changing:
            if self._connection is None:
                # Nothing to lose on SQLite: a file's lock lasts as long as its process.
                if self._is_taken and self._engine.dialect.name == "postgresql":
                    self._connect()
                return
            try:
                self._connection.execute("SELECT 1")
            except self._engine.dialect.loaded_dbapi.Error:
                self._connection.close()
                self._connection = None
                self._connect()

    def living(self, connection: Connection) -> frozenset[ServingNumber]:
        """Return who serves now, this process included once it has claimed."""
        if self._engine.dialect.name != "postgresql":
            return frozenset({self.number} if self._is_taken else ())
        return frozenset(ServingNumber(each) for each in connection.exec_driver_sql(_HOLDERS).scalars())

    def release(self) -> None:
        """Serve no more."""
        with self._changing:
            self._is_taken = False
            if self._connection is not None:
                self._unlock(self._connection)
            for held in (self._file, self._connection):
                if held is not None:
                    held.close()
            self._file = self._connection = None

    def _unlock(self, connection: Any) -> None:
        """Let the others know at once; a server notices only a moment later that a connection was closed."""
        try:
            connection.execute("SELECT pg_advisory_unlock_all()")
        except self._engine.dialect.loaded_dbapi.Error as exc:
            # It was lost, and the lock with it.
            _logger.info("database.claim_lost_before_its_release", error=type(exc).__name__)

    def _lock_file(self, path: Path) -> None:
        file = path.open("w", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            file.close()
            raise SettingsError("settings.database_in_use", f"another process holds {path.name}") from exc
        # The file stays: removing it would let two processes lock two files of the same name.
        self._file = file

    def _connect(self) -> None:
        # Not one of the pool's: it is held for good, and must not be taken for another use.
        dialect = self._engine.dialect
        arguments, options = dialect.create_connect_args(self._engine.url)
        connection = dialect.loaded_dbapi.connect(
            *arguments, **options, **patience(self._engine.url), autocommit=True
        )
        connection.execute(_LOCK, {"number": self.number})
        self._connection = connection
