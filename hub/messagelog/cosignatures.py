# SPDX-License-Identifier: Apache-2.0
"""The cosignatures witnesses gave on the log's checkpoints; rows are only added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Column, Table, Text, bindparam, func, insert, select

from hub.clock import format_instant, parse_instant
from hub.database import NUMBER, keep_append_only, metadata

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from hub.tlog import VerifierKey

log_cosignatures = Table(
    "log_cosignatures",
    metadata,
    Column("size", NUMBER, primary_key=True, autoincrement=False),
    # Name and key id: a witness that changes its key is another one.
    Column("witness", Text, primary_key=True),
    Column("line", Text, nullable=False),
    Column("cosigned_at", Text, nullable=False),
    sqlite_strict=True,
)
keep_append_only(log_cosignatures)

# Built once: building a statement takes longer than running it.
_OF_SIZE = (
    select(log_cosignatures.c.line)
    .where(log_cosignatures.c.size == bindparam("of_size"))
    .order_by(log_cosignatures.c.cosigned_at, log_cosignatures.c.witness)
)
_SIZES = (
    select(log_cosignatures.c.size)
    .where(log_cosignatures.c.size >= bindparam("least"))
    .group_by(log_cosignatures.c.size)
    .having(func.count() >= bindparam("fewest"))
    .order_by(log_cosignatures.c.size.desc())
    .limit(bindparam("most"))
)


@dataclass(frozen=True)
class Cosignature:
    """A witness's statement about a checkpoint.

    Attributes:
        size: of the checkpoint.
        line: as it stands below the note, its newline included.
        cosigned_at: UTC, by the witness's clock.
    """

    size: int
    line: str
    cosigned_at: datetime


def keep_cosignature(connection: Connection, witness: VerifierKey, cosignature: Cosignature) -> None:
    """Keep a cosignature, unless this witness has cosigned that checkpoint before."""
    table, name = log_cosignatures, _name(witness)
    same = select(table.c.size).where(table.c.size == cosignature.size, table.c.witness == name)
    if connection.execute(same).one_or_none() is None:
        row = {
            "size": cosignature.size,
            "witness": name,
            "line": cosignature.line,
            "cosigned_at": format_instant(cosignature.cosigned_at),
        }
        connection.execute(insert(table), row)


def read_last_cosignature(connection: Connection, witness: VerifierKey) -> Cosignature | None:
    """Return a witness's cosignature on the largest checkpoint it cosigned."""
    table = log_cosignatures
    query = select(table).where(table.c.witness == _name(witness)).order_by(table.c.size.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else Cosignature(row.size, row.line, parse_instant(row.cosigned_at))


def read_lines(connection: Connection, size: int) -> tuple[str, ...]:
    """Return the lines of the cosignatures on the checkpoint of a size, oldest first."""
    return tuple(connection.execute(_OF_SIZE, {"of_size": size}).scalars())


def read_cosigned_sizes(connection: Connection, least: int, *, fewest: int, most: int) -> list[int]:
    """Return the largest sizes from `least` on that at least `fewest` witnesses cosigned, largest first."""
    found = connection.execute(_SIZES, {"least": least, "fewest": fewest, "most": most})
    return list(found.scalars())


def _name(witness: VerifierKey) -> str:
    return f"{witness.name}+{witness.key_id.hex()}"
