# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.references import Surroundings
from adapters.sources import ShapeType
from adapters.tables import read_table
from adapters.tables.settings import DatabaseSettings, TableSettings
from tests.adapters.running import free_port
from tests.mariadb import PASSWORD

if TYPE_CHECKING:
    from tests.adapters.tables.departments import DepartmentDatabase


def settings_of(department: DepartmentDatabase) -> DatabaseSettings:
    around = Surroundings(Path("/"), department.environment)
    return DatabaseSettings.model_validate(dict(department.connection), context=around)


def test_each_table_and_view_is_an_operation_with_its_columns(department: DepartmentDatabase) -> None:
    department.fill()
    department.run(
        "CREATE VIEW v_cjr AS SELECT zjhm, dj FROM cjr_zsxx",
        "CREATE TABLE fsb (lsh INTEGER PRIMARY KEY, is_sync INTEGER)",
    )

    source = read_table(settings_of(department))

    assert (source.kind, source.is_usable) == ("table", True)
    outbox, people, view = sorted(
        source.operations, key=lambda each: ("fsb", "cjr_zsxx", "v_cjr").index(each.name)
    )
    assert [finding.code for finding in outbox.findings] == ["table.flag_suggested"]
    assert [finding.code for finding in view.findings] == ["table.no_key"]
    [rows, _] = people.answer.children
    types = {shape.name: shape.type for shape in rows.children}
    assert (rows.is_list, types["lsh"], types["xm"]) == (True, ShapeType.INTEGER, ShapeType.TEXT)
    assert (types["je"], types["yxqz"], types["gxsj"]) == (
        ShapeType.DECIMAL,
        ShapeType.DATE,
        ShapeType.INSTANT,
    )
    assert types["zp"] is ShapeType.BYTES
    assert {shape.name for shape in rows.children if shape.is_required} >= {"zjhm"}
    assert [shape.name for shape in people.request.children] == ["lsh"]
    assert PASSWORD not in json.dumps(source.as_json())


def test_what_was_read_is_a_connection_that_works(department: DepartmentDatabase) -> None:
    department.fill()
    [people] = read_table(settings_of(department)).operations

    around = Surroundings(Path("/"), department.environment)
    settings = TableSettings.model_validate(dict(people.connection), context=around)

    assert (settings.table, settings.by) == ("cjr_zsxx", ("lsh",))


def test_an_empty_database_and_one_that_is_not_there_are_findings(department: DepartmentDatabase) -> None:
    assert [finding.code for finding in read_table(settings_of(department)).findings] == ["table.none_seen"]
    place = {"engine": "postgresql", "host": "127.0.0.1", "port": free_port(), "database": "x"}
    for connection in (place, {**place, "engine": "oracle+oracledb"}):
        nowhere = DatabaseSettings.model_validate(connection, context=Surroundings(Path("/"), {}))
        source = read_table(nowhere, seconds=3)
        assert not source.is_usable
        assert [finding.code for finding in source.findings] == ["table.not_usable"]
