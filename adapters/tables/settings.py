# SPDX-License-Identifier: Apache-2.0
"""What a description says about a database, and about what is asked of it or written into it."""

from __future__ import annotations

from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from adapters.entry import ConnectionSettings
from adapters.references import ReferredPath, ReferredPort, ReferredText, SecretReference
from adapters.tables.statements import require_query
from adapters.web import TlsSettings

DRIVERS = {
    "postgresql": ("postgresql+psycopg", 5432),
    "mariadb": ("mariadb+pymysql", 3306),
    "mysql": ("mysql+pymysql", 3306),
    "sqlite": ("sqlite", None),
}
"""What is installed with a gateway, and each one's usual port."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as exc:
        raise ValueError("no such time zone") from exc
    return name


Column = Annotated[str, Field(min_length=1, max_length=128)]
"""The name of a column or a table, as the database has it; it is always quoted."""


class DatabaseSettings(ConnectionSettings):
    """Where a database is, and how to sign in.

    Attributes:
        engine: `postgresql`, `mariadb`, `mysql` or `sqlite`; or a dialect and driver of SQLAlchemy that was
            installed beside the gateway, such as `oracle+oracledb`.
        host: a name or an address; or, for PostgreSQL and MariaDB, the path of a local socket.
        database: its name; for Oracle its service.
        file: of SQLite, in place of host and database.
        schema: of all tables that are named; the user's own without it.
        time_zone: what instants without an offset are in.
        tls: where it is there, the connection is encrypted and the server's certificate held to `host`.
        trim: whether blanks at the end of texts are left out, as fixed-width columns fill themselves up.
    """

    engine: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\+[a-z][a-z0-9_]*)?$")]
    host: ReferredText | None = None
    port: ReferredPort | None = None
    database: ReferredText | None = None
    file: ReferredPath | None = None
    username: ReferredText | None = None
    password: SecretReference | None = None
    tls: TlsSettings | None = None
    schema_name: Column | None = Field(default=None, alias="schema")
    time_zone: Annotated[str, AfterValidator(_zone)] = "Asia/Shanghai"
    trim: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.engine == "sqlite") != (self.file is not None):
            raise ValueError("a file belongs to sqlite, and sqlite needs one")
        if self.engine == "sqlite":
            if self.host or self.port or self.database or self.username or self.password or self.tls:
                raise ValueError("sqlite has a file and nothing else")
        elif self.host is None or self.database is None:
            raise ValueError("host and database say where it is")
        elif self.port_number is None and not self.is_local:
            raise ValueError("the port of this engine has to be said")
        return self

    @property
    def is_local(self) -> bool:
        """Whether the database is reached without the network."""
        return self.host is None or self.host.startswith("/")

    @property
    def port_number(self) -> int | None:
        """The TCP port; the engine's usual one where none is said."""
        return self.port or DRIVERS.get(self.engine, ("", None))[1]

    @property
    def driver(self) -> str:
        """The dialect and driver, as SQLAlchemy calls them."""
        return DRIVERS.get(self.engine, (self.engine, None))[0]


class WaitSettings(ConnectionSettings):
    """Where the system writes its answer to a row that was put into its table.

    Attributes:
        table: read until a row for the message is there.
        message_id: the column that holds the message's id.
        ready: columns and the values they have when the answer is complete; without any, the row's being
            there says so.
        poll_seconds: how often it is looked for.
        deferred_seconds: how long the system may take altogether. Without it, the call waits as long as it
            may and the answer is late then.
    """

    table: Column
    message_id: Column
    ready: dict[Column, str | int | bool] = Field(default={})
    poll_seconds: Annotated[float, Field(ge=0.05, le=60)] = 0.5
    deferred_seconds: Annotated[int, Field(ge=1, le=30 * 86_400)] | None = None


class PutSettings(ConnectionSettings):
    """A table that takes what arrives: one row for each message, or several.

    The request mapping gives the row as an object of columns, or `rows`, an array of them.

    Attributes:
        message_id: the column that holds the message's id. By it a message that comes again is known, so it
            needs an index.
        answer: where an answer appears; None where nothing is answered.
    """

    table: Column
    message_id: Column
    answer: WaitSettings | None = None


class TableSettings(DatabaseSettings):
    """A database that answers questions, or takes messages: exactly one of `query`, `table` and `put`.

    `answer` in the answer's expressions has `rows`, each an object of columns, and `count`.

    Attributes:
        query: one SELECT with parameters written `:name`; the request mapping gives an object of exactly
            these. An array fits `IN :name`.
        table: a table or view to read without writing SQL.
        columns: what is read of it; all where nothing is said.
        by: the columns the request mapping gives values for; an array means any of them.
        order_by: columns.
        put: what arrives is written instead.
        max_rows: an answer with more is refused rather than cut.
        max_answer_bytes: likewise, of all values as text.
    """

    query: Annotated[str, AfterValidator(require_query)] | None = None
    table: Column | None = None
    columns: tuple[Column, ...] = Field(default=(), strict=False)
    by: tuple[Column, ...] = Field(default=(), strict=False)
    order_by: tuple[Column, ...] = Field(default=(), strict=False)
    put: PutSettings | None = None
    max_rows: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    max_answer_bytes: Annotated[int, Field(ge=1024, le=200_000_000)] = 10_000_000

    @model_validator(mode="after")
    def _check_question(self) -> Self:
        if sum(each is not None for each in (self.query, self.table, self.put)) != 1:
            raise ValueError("say exactly one of query, table and put")
        if self.table is None and (self.columns or self.by or self.order_by):
            raise ValueError("columns, by and order_by belong to table")
        if self.table is not None and not self.by:
            raise ValueError("by says which columns a question is about; a whole table is never answered")
        return self
