# SPDX-License-Identifier: Apache-2.0
"""What the role that serves may do in a PostgreSQL database, and nothing more.

The tables belong to a role of their own, which makes them and is used for nothing else. The serving role may
add rows to append-only tables and read them; it can neither change what is there nor take the triggers away.
On SQLite whoever may write the file may do everything: there the log's proofs are the protection.

Source: PostgreSQL documentation, section 5.8 (privileges).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.database.revisions import version_table
from hub.database.tables import APPEND_ONLY, metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

_TO_ADD = "SELECT, INSERT"
_TO_WORK = "SELECT, INSERT, UPDATE, DELETE"
_SERVING = (
    "SELECT DISTINCT r.rolname FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a "
    "JOIN pg_roles r ON r.oid = a.grantee WHERE c.oid = to_regclass('public.log_entries') "
    "AND a.privilege_type = 'INSERT' AND a.grantee <> c.relowner ORDER BY 1"
)


def grants(role: str, tables: MetaData = metadata) -> tuple[str, ...]:
    """Return the statements, to be run by the owner of the tables after they were made.

    Running them again takes back whatever else the role was given meanwhile.

    Args:
        role: the name of the role that serves.
        tables: every table of the hub; their slices must have been imported.

    Raises:
        ValueError: this can be no role's name.
    """
    who = _quoted(role)
    return (
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        f"REVOKE ALL ON SCHEMA public FROM {who}",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, {who}",
        f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, {who}",
        f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC, {who}",
        f"GRANT USAGE ON SCHEMA public TO {who}",
        *grants_to_use(role, tables),
    )


def grants_to_use(role: str, tables: MetaData) -> tuple[str, ...]:
    """Return the statements that let a role work on the tables, and take nothing away."""
    who = _quoted(role)
    return (
        f'GRANT SELECT ON "{version_table.name}" TO {who}',
        *(
            f'GRANT {_TO_ADD if table.info.get(APPEND_ONLY) else _TO_WORK} ON "{table.name}" TO {who}'
            for table in tables.sorted_tables
        ),
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {who}",
    )


def roles_that_serve(connection: Connection) -> tuple[str, ...]:
    """Return the roles that were let work on the owner's tables: those that may add to the log."""
    return tuple(connection.exec_driver_sql(_SERVING).scalars())


def _quoted(role: str) -> str:
    if not role or len(role.encode("utf-8")) > 63 or not role.isprintable():
        raise ValueError("a role's name is 1 to 63 printable bytes")
    return '"' + role.replace('"', '""') + '"'
