# SPDX-License-Identifier: Apache-2.0
"""The database: one engine, one writing transaction at a time, group commit, and tables nobody can rewrite.

All writes of a process go through one `Writer` thread. It puts every unit of work that is waiting into one
transaction, so many callers share one disk flush, and nobody is told "done" before the flush. A unit that
fails is rolled back alone, to its savepoint.

Several processes may write to one database, one transaction at a time: SQLite lets nobody else in, and on
PostgreSQL every writer takes the same lock before it reads anything. A unit may therefore read and then write
what follows from it on both.

A database knows the revision of its tables. Opening one of another revision is refused; `upgrade_database`
and `downgrade_database` take it there, by the steps in `hub/migrations`.
"""

from hub.database.checking import check_database
from hub.database.engine import is_writing
from hub.database.inserting import insert_rows
from hub.database.migrating import current_revision, downgrade_database, upgrade_database
from hub.database.opening import open_database
from hub.database.revisions import BASE, Revision, head_revision, known_revisions
from hub.database.rights import grants
from hub.database.serving import ServingClaim, ServingNumber
from hub.database.tables import NUMBER, keep_append_only, make_append_only, metadata
from hub.database.writer import Writer

__all__ = [
    "BASE",
    "NUMBER",
    "Revision",
    "ServingClaim",
    "ServingNumber",
    "Writer",
    "check_database",
    "current_revision",
    "downgrade_database",
    "grants",
    "head_revision",
    "insert_rows",
    "is_writing",
    "keep_append_only",
    "known_revisions",
    "make_append_only",
    "metadata",
    "open_database",
    "upgrade_database",
]
