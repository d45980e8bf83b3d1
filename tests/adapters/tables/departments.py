# SPDX-License-Identifier: Apache-2.0
"""A department's database on each engine, with invented people, and a description of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from sqlalchemy import URL, create_engine, make_url, text

from tests.mariadb import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.mariadb import MariaDbServer
    from tests.postgresql import PostgresServer

ENGINES = ("sqlite", "postgresql", "mariadb")

PEOPLE = """
CREATE TABLE cjr_zsxx (
    lsh INTEGER PRIMARY KEY, zjhm VARCHAR(18) NOT NULL, xm VARCHAR(40), dj INTEGER, je DECIMAL(12,2),
    yxqz DATE, gxsj {instant}, zp {bytes}, zt CHAR(4)
)
"""
_TYPES = {
    "sqlite": {"instant": "DATETIME", "bytes": "BLOB"},
    "postgresql": {"instant": "TIMESTAMP", "bytes": "BYTEA"},
    "mariadb": {"instant": "DATETIME", "bytes": "BLOB"},
}
_INSERT = "INSERT INTO cjr_zsxx VALUES (:lsh, :zjhm, :xm, :dj, :je, :yxqz, :gxsj, :zp, :zt)"
ROWS: tuple[dict[str, Any], ...] = (
    {"lsh": 1, "zjhm": "510108196001010015", "xm": "陈秀英", "dj": 2, "je": "1200.50"},
    {"lsh": 2, "zjhm": "510108197502020023", "xm": "O'Brien", "dj": 4, "je": "0.10"},
    {"lsh": 3, "zjhm": "510108197502020023", "xm": "李伟", "dj": None, "je": None},
)
_USUAL = {"yxqz": "2031-05-31", "gxsj": "2026-03-01 08:00:00", "zp": b"\x00\xff", "zt": "01"}


@dataclass(frozen=True)
class DepartmentDatabase:
    """A database as the department sees it."""

    engine: str
    connection: Mapping[str, Any]
    url: URL = field(default_factory=lambda: make_url("sqlite://"))
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *statements: str, **values: object) -> list[tuple[Any, ...]]:
        """Run statements as the department's own programs do; returns the last one's rows."""
        rows: list[tuple[Any, ...]] = []
        engine = create_engine(self.url)
        try:
            with engine.begin() as connection:
                for statement in statements:
                    result = connection.execute(text(statement), values)
                    rows = [tuple(row) for row in result] if result.returns_rows else []
        finally:
            engine.dispose()
        return rows

    def fill(self) -> None:
        """Make the table of certificates with three rows."""
        self.run(PEOPLE.format(**_TYPES[self.engine]))
        for row in ROWS:
            self.run(_INSERT, **_USUAL, **row)

    def describe(self, folder: Path, service: Mapping[str, Any], **connection: Any) -> Path:
        """Write a description of one service of this database."""
        described = {
            "service": "13510108MB1A00003J/register/disability-certificate",
            "contract": "disability-certificate/v1",
            "kind": "table",
            "timeout_seconds": 10,
            **service,
            "connection": {**self.connection, **connection},
        }
        path = folder / "tables.yaml"
        path.write_text(yaml.safe_dump({"services": [described]}, allow_unicode=True), encoding="utf-8")
        return path


@contextmanager
def department_database(
    engine: str, folder: Path, postgresql: PostgresServer | None, mariadb: MariaDbServer | None
) -> Iterator[DepartmentDatabase]:
    """Yield an empty database on an engine."""
    if engine == "postgresql":
        assert postgresql is not None
        with postgresql.database() as written:
            url = make_url(written)
            place: dict[str, Any] = {
                "host": str(postgresql.folder),
                "database": url.database,
                "username": "postgres",
            }
            yield DepartmentDatabase(engine, {"engine": engine, **place}, url)
    elif engine == "mariadb":
        assert mariadb is not None
        with mariadb.database() as name:
            url = URL.create(
                "mariadb+pymysql", USER, PASSWORD, "127.0.0.1", mariadb.port, name, {"charset": "utf8mb4"}
            )
            place = {"host": "127.0.0.1", "port": mariadb.port, "database": name, "username": USER}
            connection = {"engine": engine, **place, "password": "env:TABLES_PASSWORD"}
            yield DepartmentDatabase(engine, connection, url, {"TABLES_PASSWORD": PASSWORD})
    else:
        file = folder / "department.sqlite"
        file.touch()
        connection = {"engine": engine, "file": str(file)}
        yield DepartmentDatabase(engine, connection, make_url(f"sqlite:///{file}"))
