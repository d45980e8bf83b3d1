# SPDX-License-Identifier: Apache-2.0
"""Writes the next step of the database: `python -m tests.migration "Add the outbox"`.

The step is what the declared tables have more, less or otherwise than the head, compared on an SQLite
database. See `hub/migrations/__init__.py` for what to do with it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.operations.ops import CreateTableOp, OpContainer
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

import hub.app  # noqa: F401 - every slice declares its tables
from hub.database import head_revision, metadata, upgrade_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.operations.ops import DowngradeOps, MigrateOperation, UpgradeOps
    from sqlalchemy import Connection

VERSIONS = Path(__file__).parents[1] / "hub" / "migrations" / "versions"

_FILE = '''\
# SPDX-License-Identifier: Apache-2.0
"""{title}.

TODO: say why, and what happens to rows that are there.
"""

import sqlalchemy as sa
from alembic import op
{imports}
revision = {revision!r}
down_revision = {before!r}


def upgrade() -> None:
    """Go to this revision."""
    {up}


def downgrade() -> None:
    """Go back to the one before."""
    {down}
'''


def main(title: str) -> None:
    """Write the file and say its name."""
    before = head_revision()
    number = f"{int(before) + 1:04}"
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/hub.sqlite"
        upgrade_database(url)
        engine = create_engine(url)
        with engine.connect() as connection:
            text = step(connection, title, number, before)
        engine.dispose()
    if text is None:
        sys.exit("The declared tables are those of the head; there is nothing to do.")
    name = re.sub(r"\W+", "_", title.lower()).strip("_")
    path = VERSIONS / f"m{number}_{name}.py"
    path.write_text(text, encoding="utf-8")
    ruff = [Path(sys.executable).with_name("ruff")]
    subprocess.run([*ruff, "check", "--quiet", "--fix", "--ignore=TD,FIX", path], check=True)
    subprocess.run([*ruff, "format", "--quiet", path], check=True)
    sys.stdout.write(f"{path}\n")


def step(connection: Connection, title: str, revision: str, before: str | None) -> str | None:
    """Return the source of the step from a database's tables to the declared ones; none when equal."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    script = produce_migrations(context, metadata)
    up, down = script.upgrade_ops, script.downgrade_ops
    assert up is not None
    assert down is not None
    if up.is_empty():
        return None
    triggers = list(_triggers(up))
    for created in _tables(up):
        # Which tables are append-only is said by their triggers.
        created.info = {}
    upward = _statements(up, context) + "".join(f"\n    {each}" for each in triggers)
    return _FILE.format(
        title=title,
        revision=revision,
        before=before,
        imports="\nfrom hub.database import make_append_only\n" if triggers else "",
        up=upward,
        down=_statements(down, context),
    )


def _statements(operations: UpgradeOps | DowngradeOps, context: MigrationContext) -> str:
    text = render_python_code(operations, migration_context=context)
    # The place it is put into has the first line's indentation already.
    return "\n".join(line for line in text.splitlines() if not line.strip().startswith("# ###")).lstrip()


def _tables(operation: MigrateOperation) -> Iterator[CreateTableOp]:
    if isinstance(operation, CreateTableOp):
        yield operation
    elif isinstance(operation, OpContainer):
        for each in operation.ops:
            yield from _tables(each)


def _triggers(operation: MigrateOperation) -> Iterator[str]:
    for created in _tables(operation):
        if created.info.get("append_only"):
            keys = [column.name for column in metadata.tables[created.table_name].primary_key]
            names = ", ".join(f'"{name}"' for name in (created.table_name, *keys))
            yield f"make_append_only(op.get_bind(), {names})"


if __name__ == "__main__":
    main(sys.argv[1])
