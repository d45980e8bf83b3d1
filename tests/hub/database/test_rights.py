# SPDX-License-Identifier: Apache-2.0
"""The statements for the serving role; on a server, tests/journeys/test_database_roles.py tries them."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from hub.database import grants, keep_append_only


def test_append_only_tables_are_only_added_to() -> None:
    tables = MetaData()
    keep_append_only(Table("kept", tables, Column("number", Integer, primary_key=True)))
    Table("changing", tables, Column("number", Integer, primary_key=True))
    statements = grants("hub", tables)
    assert 'GRANT SELECT, INSERT ON "kept" TO "hub"' in statements
    assert 'GRANT SELECT, INSERT, UPDATE, DELETE ON "changing" TO "hub"' in statements
    first_grant = next(index for index, each in enumerate(statements) if each.startswith("GRANT"))
    assert all(each.startswith("REVOKE") for each in statements[:first_grant])


def test_a_role_with_quotes_in_its_name_stays_one_name() -> None:
    assert grants('a"; DROP TABLE b; --', MetaData())[1].endswith('FROM "a""; DROP TABLE b; --"')


@pytest.mark.parametrize("name", ["", "a\nb", "a\x00b", "角" * 22])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        grants(name, MetaData())
