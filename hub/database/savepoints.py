# SPDX-License-Identifier: Apache-2.0
"""Savepoints that cost nothing where nothing is written.

Every unit of a transaction has a savepoint of its own, and many only append to the log, which is written when
the transaction ends. A savepoint is therefore set just before the first statement that needs it; setting and
releasing them one by one took PostgreSQL longer than the appends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, Engine, event

if TYPE_CHECKING:
    from collections.abc import Iterable

_PENDING = "heliograph_pending_savepoints"


def install_savepoints(engine: Engine) -> None:
    """Set the savepoints of an engine's transactions late."""
    dialect = cast("Any", engine.dialect)
    # SQLAlchemy would also compile the statement anew for every name, which takes longer than an append.
    dialect.do_savepoint = _set
    dialect.do_release_savepoint = _release
    dialect.do_rollback_to_savepoint = _roll_back
    event.listen(engine, "begin", _forget)
    event.listen(engine, "before_cursor_execute", _before_statement)


def _pending(connection: Connection) -> list[str]:
    found: list[str] = connection.info.setdefault(_PENDING, [])
    return found


def _forget(connection: Connection) -> None:
    connection.info[_PENDING] = []


def _set(connection: Connection, name: str) -> None:
    _pending(connection).append(f"SAVEPOINT {name}")


def _release(connection: Connection, name: str) -> None:
    pending = _pending(connection)
    if pending and pending[-1] == f"SAVEPOINT {name}":
        pending.pop()
    else:
        # The commit releases all that is left; before the next savepoint it goes out together with it.
        pending.append(f"RELEASE SAVEPOINT {name}")


def _roll_back(connection: Connection, name: str) -> None:
    pending = _pending(connection)
    if f"SAVEPOINT {name}" in pending:
        # Nothing was written since.
        del pending[pending.index(f"SAVEPOINT {name}") :]
        return
    # What is pending lies inside this savepoint and goes with it.
    pending.clear()
    _run(connection, [f"ROLLBACK TO SAVEPOINT {name}", f"RELEASE SAVEPOINT {name}"])


def _before_statement(connection: Connection, *_statement: object) -> None:
    pending = _pending(connection)
    if pending:
        statements = list(pending)
        pending.clear()
        _run(connection, statements)


def _run(connection: Connection, statements: Iterable[str]) -> None:
    cursor: Any = connection.connection.cursor()
    try:
        if connection.dialect.name == "postgresql":
            # One message for all; the server cannot prepare several statements as one.
            cursor.execute("; ".join(statements), prepare=False)
        else:
            for statement in statements:
                cursor.execute(statement)
    finally:
        cursor.close()
