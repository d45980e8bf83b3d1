# SPDX-License-Identifier: Apache-2.0
"""Read a department's database as a source: its tables and views, and what can be asked of each.

Only names and types are read, never a row. A table with a column that looks like a flag can be sent from as
well; whether it is one, people say.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import exc, inspect
from sqlalchemy.types import NullType

from adapters.addresses import AddressGuard
from adapters.sources import Operation, Shape, ShapeType, Source, found
from adapters.tables.database import Database
from hub.clock import SystemClock
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Inspector
    from sqlalchemy.types import TypeEngine

    from adapters.addresses import AllowedAddress
    from adapters.ports import JsonObject
    from adapters.sources import SourceFinding
    from adapters.tables.settings import DatabaseSettings

MOST_TABLES = 500
"""How many tables of a schema are read."""

_FLAG = re.compile(
    r"is_?sync|sync(_?flag|_?status)?|sfts|tbbz|tb_?flag|cl(bz|zt)|sjzt|flag|status", re.IGNORECASE
)
_TYPES: dict[type, ShapeType] = {
    bool: ShapeType.BOOLEAN,
    int: ShapeType.INTEGER,
    Decimal: ShapeType.DECIMAL,
    float: ShapeType.DECIMAL,
    dt.datetime: ShapeType.INSTANT,
    dt.date: ShapeType.DATE,
    bytes: ShapeType.BYTES,
    str: ShapeType.TEXT,
    dt.time: ShapeType.TEXT,
    dt.timedelta: ShapeType.TEXT,
}


def read_table(
    settings: DatabaseSettings, *, seconds: float = 30.0, addresses: Iterable[AllowedAddress] = ()
) -> Source:
    """Return what a database offers: one operation for each table or view.

    Args:
        settings: where it is.
        seconds: the longest that reading may take.
        addresses: what may be connected to, where that is not just the settings' own address.
    """
    own = () if settings.is_local else ((settings.host or "", settings.port_number or 0),)
    title = settings.database or (settings.file.name if settings.file is not None else "")
    try:
        guard = AddressGuard(addresses, own=own)
        database = Database(settings, guard, seconds=seconds, at="connection", clock=SystemClock())
    except AdapterError as error:
        return Source("table", title, (), (_not_usable(error),))
    try:
        with database.transaction(seconds, reads_only=True) as connection:
            operations, findings = _operations(inspect(connection), settings)
    except AdapterError as error:
        return Source("table", title, (), (_not_usable(error),))
    finally:
        database.close()
    return Source("table", title, tuple(operations), tuple(findings))


def _not_usable(error: AdapterError) -> SourceFinding:
    return found("table.not_usable", "connection", fault=error.code, reason=error.detail)


def _operations(
    inspector: Inspector, settings: DatabaseSettings
) -> tuple[list[Operation], list[SourceFinding]]:
    schema, findings = settings.schema_name, []
    names = sorted({*inspector.get_table_names(schema), *inspector.get_view_names(schema)})
    if not names:
        findings.append(found("table.none_seen", "connection.schema", schema=schema or ""))
    if len(names) > MOST_TABLES:
        findings.append(found("table.more_tables", "connection.schema", limit=MOST_TABLES))
    return [_operation(inspector, name, settings) for name in names[:MOST_TABLES]], findings


def _operation(inspector: Inspector, name: str, settings: DatabaseSettings) -> Operation:
    schema, findings = settings.schema_name, []
    try:
        columns = inspector.get_columns(name, schema)
        key = list(inspector.get_pk_constraint(name, schema)["constrained_columns"])
        about = _comment(inspector, name, schema)
    except exc.SQLAlchemyError as error:
        unread = found("table.not_read", name, reason=type(error).__name__)
        return Operation(name, "", _object("request"), _object("answer"), {}, (unread,))
    shapes = [_shape(column) for column in columns]
    findings += [
        found("table.type_unknown", f"{name}.{column['name']}")
        for column in columns
        if isinstance(column["type"], NullType)
    ]
    if not key:
        findings.append(found("table.no_key", name))
    findings += [
        found("table.flag_suggested", f"{name}.{column['name']}", column=str(column["name"]))
        for column in columns
        if _FLAG.fullmatch(str(column["name"]))
    ]
    by = key or [str(column["name"]) for column in columns[:1]]
    rows = Shape("rows", ShapeType.OBJECT, is_list=True, children=tuple(shapes))
    asked = [shape for shape in shapes if shape.name in by]
    return Operation(
        name,
        about,
        _object("request", asked),
        _object("answer", [rows, Shape("count", ShapeType.INTEGER)]),
        _connection(settings, name, by),
        tuple(findings),
    )


def _connection(settings: DatabaseSettings, name: str, by: Sequence[str]) -> JsonObject:
    """Return the settings of this table; of the password only that there has to be one."""
    said = settings.model_dump(
        mode="json", by_alias=True, exclude={"password", "tls", "file"}, exclude_defaults=True
    )
    if settings.file is not None:
        said["file"] = str(settings.file)
    return {**said, "table": name, "by": list(by)}


def _object(name: str, children: Sequence[Shape] = ()) -> Shape:
    return Shape(name, ShapeType.OBJECT, children=tuple(children))


def _shape(column: Any) -> Shape:
    return Shape(
        str(column["name"]),
        _type_of(column["type"]),
        is_required=not column.get("nullable", True),
        codes=tuple(getattr(column["type"], "enums", ())),
        about=str(column.get("comment") or ""),
    )


def _type_of(column_type: TypeEngine[Any]) -> ShapeType:
    try:
        wanted = column_type.python_type
    except NotImplementedError:
        return ShapeType.ANY
    return next((shape for kind, shape in _TYPES.items() if issubclass(wanted, kind)), ShapeType.ANY)


def _comment(inspector: Inspector, name: str, schema: str | None) -> str:
    try:
        return str(inspector.get_table_comment(name, schema)["text"] or "")
    except NotImplementedError:
        return ""
