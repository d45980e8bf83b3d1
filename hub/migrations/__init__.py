# SPDX-License-Identifier: Apache-2.0
"""How the tables of a database in use become those of a newer version, step by step and back.

Each file in `versions` is one step; together they are one line from the first (`m0001_baseline`, the tables
as they were before there were steps) to the newest, the head. `hub.database` runs them; nothing imports them.

After a table was declared or changed in its slice's `store.py`:

    .venv/bin/python -m tests.migration "Add the outbox"

writes the next file from what the declarations and the head differ in. Read it, say in its docstring why,
and run `pytest tests/hub/migrations`: there the steps have to end in exactly the declared tables, on both
kinds of database, and to go down again. When somebody else landed a step meanwhile, there are two of one
number and the tests say so: delete your file and write it again.

What a step may not do:

- import a slice: slices change, a step describes what was. `make_append_only` of `hub.database` is fixed.
- change a row of an append-only table, or rebuild such a table (`batch_alter_table`) without making its
  triggers again. A new column is added empty, and who reads old rows knows that it is.
- be changed after it was released.

SQLite adds and drops columns and indexes in place; what else `ALTER TABLE` does elsewhere needs
`op.batch_alter_table`, which copies the table.
"""

__all__: list[str] = []
