# SPDX-License-Identifier: Apache-2.0
"""What the witness remembers: every checkpoint it cosigned, and every one that did not fit.

Both tables only grow, so the latest checkpoint of a log is the largest, and nothing can make the witness
forget one. Sizes go up to 2^64 - 1, more than a database's integers hold; they are texts of 20 digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Column, LargeBinary, Table, Text, and_, exists, func, insert, select

from hub.clock import format_instant, parse_instant
from hub.database import keep_append_only, metadata

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

witness_checkpoints = Table(
    "witness_checkpoints",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("size", Text, primary_key=True),
    Column("root", LargeBinary(32), nullable=False),
    # The checkpoint with the signatures that were verified and the cosignature that was given.
    Column("note", Text, nullable=False),
    Column("cosigned_at", Text, nullable=False),
    sqlite_strict=True,
)
keep_append_only(witness_checkpoints)

witness_evidence = Table(
    "witness_evidence",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("size", Text, primary_key=True),
    Column("root", LargeBinary(32), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("known_size", Text, nullable=False),
    # The request with the signatures that were verified.
    Column("submission", LargeBinary, nullable=False),
    Column("shown_at", Text, nullable=False),
    sqlite_strict=True,
)
keep_append_only(witness_evidence)

MOST_EVIDENCE = 1_000
"""Kept of one log. More proves nothing more, and a hostile log could go on for ever."""

_DIGITS = 20


class EvidenceKind(StrEnum):
    """What is wrong with a checkpoint that the log signed."""

    FORKED = "forked"
    """The log signed another root of the same size: it has two histories. This proves it to anybody."""
    UNPROVEN = "unproven"
    """The proof does not lead there from what is known: a fork, or a proof that somebody else spoiled."""
    SMALLER = "smaller"
    """It is smaller than what is known: an old one sent again, or a log that was rolled back."""


class Head(NamedTuple):
    """The latest checkpoint of a log that was cosigned.

    Attributes:
        size: 0 when there was none, or an empty one.
        root: None when there was none.
        note: with the cosignature; empty when there was none.
        cosigned_at: None when there was none.
    """

    size: int
    root: bytes | None
    note: str
    cosigned_at: datetime | None


@dataclass(frozen=True)
class Evidence:
    """A checkpoint that was refused and kept.

    Attributes:
        origin: the log's.
        size: of the checkpoint.
        root: of the checkpoint.
        kind: what is wrong with it.
        known_size: the size known then.
        submission: the request, with the signatures that were verified and no others.
        shown_at: UTC.
    """

    origin: str
    size: int
    root: bytes
    kind: EvidenceKind
    known_size: int
    submission: bytes
    shown_at: datetime


def read_head(connection: Connection, origin: str) -> Head:
    """Return the latest checkpoint of a log that was cosigned."""
    query = select(witness_checkpoints).where(witness_checkpoints.c.origin == origin)
    row = connection.execute(query.order_by(witness_checkpoints.c.size.desc()).limit(1)).one_or_none()
    if row is None:
        return Head(0, None, "", None)
    return Head(int(row.size), row.root, row.note, parse_instant(row.cosigned_at))


class Roots(NamedTuple):
    """The roots a log signed for one size.

    Attributes:
        cosigned: none or one.
        refused: those of kept evidence.
    """

    cosigned: frozenset[bytes]
    refused: frozenset[bytes]


def read_roots(connection: Connection, origin: str, size: int) -> Roots:
    """Return every root that the log signed for this size, as far as it was shown here."""
    found = []
    for table in (witness_checkpoints, witness_evidence):
        query = select(table.c.root).where(table.c.origin == origin, table.c.size == _digits(size))
        found.append(frozenset(connection.execute(query).scalars()))
    return Roots(*found)


def insert_checkpoint(connection: Connection, origin: str, head: Head) -> None:
    """Remember a checkpoint that is cosigned."""
    if head.root is None or head.cosigned_at is None:
        raise ValueError("a checkpoint has a root and was cosigned at some time")
    row = {
        "origin": origin,
        "size": _digits(head.size),
        "root": head.root,
        "note": head.note,
        "cosigned_at": format_instant(head.cosigned_at),
    }
    connection.execute(insert(witness_checkpoints), row)


def keep_evidence(connection: Connection, evidence: Evidence) -> None:
    """Keep a checkpoint that does not fit, once, and not more than `MOST_EVIDENCE` of one log."""
    table = witness_evidence
    of_log = table.c.origin == evidence.origin
    same = and_(of_log, table.c.size == _digits(evidence.size), table.c.root == evidence.root)
    is_kept = connection.execute(select(table.c.kind).where(same)).one_or_none() is not None
    count = connection.execute(select(func.count()).select_from(table).where(of_log)).scalar_one()
    if is_kept or count >= MOST_EVIDENCE:
        return
    row = {
        "origin": evidence.origin,
        "size": _digits(evidence.size),
        "root": evidence.root,
        "kind": evidence.kind.value,
        "known_size": _digits(evidence.known_size),
        "submission": evidence.submission,
        "shown_at": format_instant(evidence.shown_at),
    }
    connection.execute(insert(table), row)


def has_unproven(connection: Connection, origin: str) -> bool:
    """Say whether a checkpoint was shown with a proof that fails, and never proven afterwards."""
    table, known = witness_evidence, witness_checkpoints
    proven = exists().where(
        known.c.origin == table.c.origin, known.c.size == table.c.size, known.c.root == table.c.root
    )
    query = select(table.c.size).where(
        table.c.origin == origin, table.c.kind == EvidenceKind.UNPROVEN.value, ~proven
    )
    return connection.execute(query.limit(1)).first() is not None


def read_evidence(connection: Connection, origin: str) -> tuple[Evidence, ...]:
    """Return what is kept of a log, oldest first."""
    table = witness_evidence
    query = select(table).where(table.c.origin == origin).order_by(table.c.shown_at, table.c.size)
    return tuple(
        Evidence(
            origin=row.origin,
            size=int(row.size),
            root=row.root,
            kind=EvidenceKind(row.kind),
            known_size=int(row.known_size),
            submission=row.submission,
            shown_at=parse_instant(row.shown_at),
        )
        for row in connection.execute(query)
    )


def _digits(size: int) -> str:
    return str(size).zfill(_DIGITS)
