# SPDX-License-Identifier: Apache-2.0
"""What evidence records are put together from; the only module that touches these tables.

    evidence_objects    every container and its data objects' hashes, in the order they were kept
    evidence_stamps     every token, its digest, and when its authority's certificates end
    evidence_batches    which objects, and which checkpoint, the first token over them covers
    evidence_renewals   which later token covers an earlier one (time-stamp renewal)
    evidence_chains     which later token covers a batch anew (hash-tree renewal)
    evidence_rehashed   the hashes of a batch's objects in such a chain
    evidence_answers    what was said about the authorities' certificates

Nothing is ever changed: what waits is what no batch holds yet. Units of the writer follow one another, so a
batch is a range of numbers, and a number never appears below one that was seen.

Source: RFC 4998 sections 4.2 and 5.2.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import (
    Column,
    Index,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
    text,
)

from hub.clock import format_instant, parse_instant
from hub.database import NUMBER, keep_append_only, metadata
from hub.preservation import Answers
from hub.trust import DIGEST_BYTES, AnswerKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

evidence_objects = Table(
    "evidence_objects",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("hashes", LargeBinary, nullable=False),
    Column("kept_at", Text, nullable=False),
)

evidence_stamps = Table(
    "evidence_stamps",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("token", LargeBinary, nullable=False),
    Column("digest", Text, nullable=False),
    Column("stamped_at", Text, nullable=False),
    Column("authority", Text, nullable=False),
    Column("ends_at", Text, nullable=False),
    sqlite_strict=True,
)

Index("evidence_stamps_by_end", evidence_stamps.c.ends_at)

evidence_batches = Table(
    "evidence_batches",
    metadata,
    Column("stamp", NUMBER, primary_key=True, autoincrement=False),
    Column("first_object", NUMBER, nullable=False),
    Column("last_object", NUMBER, nullable=False),
    Column("size", NUMBER, unique=True),
    Column("note_sha256", String(64).with_variant(Text, "sqlite"), unique=True),
    sqlite_strict=True,
)
Index("evidence_batches_by_object", evidence_batches.c.last_object)

evidence_renewals = Table(
    "evidence_renewals",
    metadata,
    Column("stamp", NUMBER, primary_key=True, autoincrement=False),
    Column("renewed_by", NUMBER, nullable=False),
    Column("path", LargeBinary, nullable=False),
    sqlite_strict=True,
)

evidence_chains = Table(
    "evidence_chains",
    metadata,
    Column("batch", NUMBER, primary_key=True, autoincrement=False),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("stamp", NUMBER, nullable=False),
    Column("path", LargeBinary, nullable=False),
    Column("last_before", NUMBER, nullable=False),
    sqlite_strict=True,
)

evidence_rehashed = Table(
    "evidence_rehashed",
    metadata,
    Column("sha256", String(64).with_variant(Text, "sqlite"), primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("batch", NUMBER, nullable=False),
    Column("place", Integer, nullable=False),
    Column("hashes", LargeBinary, nullable=False),
    sqlite_strict=True,
)
Index("evidence_rehashed_by_batch", evidence_rehashed.c.batch, evidence_rehashed.c.ordinal)

evidence_answers = Table(
    "evidence_answers",
    metadata,
    Column("sha256", String(64).with_variant(Text, "sqlite"), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("der", LargeBinary, nullable=False),
    sqlite_strict=True,
)

evidence_stamp_answers = Table(
    "evidence_stamp_answers",
    metadata,
    Column("stamp", NUMBER, primary_key=True, autoincrement=False),
    Column("sha256", String(64).with_variant(Text, "sqlite"), primary_key=True),
    sqlite_strict=True,
)

_TABLES = (
    evidence_objects,
    evidence_stamps,
    evidence_batches,
    evidence_renewals,
    evidence_chains,
    evidence_rehashed,
    evidence_answers,
    evidence_stamp_answers,
)
for _table in _TABLES:
    keep_append_only(_table)

# Built once: every message passes here, and building a statement takes longer than running it.
_TAKE = text(
    "INSERT INTO evidence_objects (sha256, hashes, kept_at) VALUES (:sha256, :hashes, :kept_at)"
    " ON CONFLICT (sha256) DO NOTHING"
).bindparams(bindparam("hashes", type_=LargeBinary))
_LAST_OBJECT = select(func.max(evidence_objects.c.number))
_LAST_IN_BATCH = select(func.max(evidence_batches.c.last_object))


@dataclass(frozen=True)
class KeptObject:
    """A container, or a checkpoint, and the hashes of its data objects with one digest.

    Attributes:
        sha256: of the container or of the checkpoint as published, lower-case hex.
        hashes: of its data objects.
    """

    sha256: str
    hashes: tuple[bytes, ...]


@dataclass(frozen=True)
class StoredStamp:
    """A token.

    Attributes:
        number: its place among all.
        token: RFC 3161, ContentInfo in DER.
        digest: of the tree under it, by its `hashlib` name.
        stamped_at: UTC; the authority's time.
        authority: subject of its certificate (RFC 4514).
        ends_at: UTC; when the first certificate of its path ends.
    """

    number: int
    token: bytes
    digest: str
    stamped_at: datetime
    authority: str
    ends_at: datetime


@dataclass(frozen=True)
class Batch:
    """What one token covers first.

    Attributes:
        stamp: number of the token.
        first_object: number of the first container.
        last_object: number of the last one, less than the first where it holds none.
        size: of the checkpoint in it, or None.
        note_sha256: of that checkpoint as published, or None.
    """

    stamp: int
    first_object: int
    last_object: int
    size: int | None
    note_sha256: str | None


@dataclass(frozen=True)
class Chain:
    """How a hash-tree renewal covers a batch.

    Attributes:
        batch: number of the batch's first token.
        ordinal: 1 for its first renewal.
        stamp: number of the token.
        path: siblings from the batch's tree up to what was stamped.
        last_before: number of the token that ended the chain before.
    """

    batch: int
    ordinal: int
    stamp: int
    path: tuple[bytes, ...]
    last_before: int


def take(connection: Connection, kept: KeptObject, at: datetime) -> None:
    """Let a container wait for the next token; taking it twice changes nothing."""
    row = {"sha256": kept.sha256, "hashes": b"".join(kept.hashes), "kept_at": format_instant(at)}
    connection.execute(_TAKE, row)


def last_object(connection: Connection) -> int:
    """Return the number of the last container, 0 when there is none."""
    return connection.execute(_LAST_OBJECT).scalar_one() or 0


def last_in_batch(connection: Connection) -> int:
    """Return the number of the last container in a batch, 0 when there is none."""
    return connection.execute(_LAST_IN_BATCH).scalar_one() or 0


def waiting(connection: Connection) -> tuple[int, datetime | None]:
    """Return how many containers no token covers yet, and since when the first of them waits."""
    beyond = evidence_objects.c.number > last_in_batch(connection)
    count, since = connection.execute(
        select(func.count(), func.min(evidence_objects.c.kept_at)).where(beyond)
    ).one()
    return count, None if since is None else parse_instant(since)


def read_objects(connection: Connection, first: int, last: int, most: int) -> list[tuple[int, KeptObject]]:
    """Return containers by number, at most so many, with their numbers."""
    within = evidence_objects.c.number.between(first, last)
    query = select(evidence_objects).where(within).order_by(evidence_objects.c.number).limit(most)
    return [(row.number, _kept(row.sha256, row.hashes, "sha256")) for row in connection.execute(query)]


def find_object(connection: Connection, sha256: str) -> int | None:
    """Return the number of a container."""
    query = select(evidence_objects.c.number).where(evidence_objects.c.sha256 == sha256)
    return connection.execute(query).scalar_one_or_none()


def add_stamp(connection: Connection, stamp: StoredStamp, answers: Answers) -> int:
    """Keep a token and the answers it was believed by; returns its number, whatever `stamp.number` says."""
    last = connection.execute(select(func.max(evidence_stamps.c.number))).scalar_one()
    number = 1 if last is None else last + 1
    connection.execute(
        insert(evidence_stamps),
        {
            "number": number,
            "token": stamp.token,
            "digest": stamp.digest,
            "stamped_at": format_instant(stamp.stamped_at),
            "authority": stamp.authority,
            "ends_at": format_instant(stamp.ends_at),
        },
    )
    given = [(AnswerKind.OCSP, der) for der in answers.ocsps] + [
        (AnswerKind.CRL, der) for der in answers.crls
    ]
    for kind, der in given:
        sha256 = hashlib.sha256(der).hexdigest()
        known = select(evidence_answers.c.sha256).where(evidence_answers.c.sha256 == sha256)
        if connection.execute(known).one_or_none() is None:
            connection.execute(insert(evidence_answers), {"sha256": sha256, "kind": kind.value, "der": der})
        connection.execute(insert(evidence_stamp_answers), {"stamp": number, "sha256": sha256})
    return number


def add_batch(connection: Connection, batch: Batch) -> None:
    """Let a token cover containers, and a checkpoint."""
    connection.execute(
        insert(evidence_batches),
        {
            "stamp": batch.stamp,
            "first_object": batch.first_object,
            "last_object": batch.last_object,
            "size": batch.size,
            "note_sha256": batch.note_sha256,
        },
    )


def read_stamp(connection: Connection, number: int) -> StoredStamp:
    """Return a token by its number."""
    return _stamp(connection.execute(select(evidence_stamps).where(evidence_stamps.c.number == number)).one())


def read_answers_of(connection: Connection, stamps: Iterable[int]) -> Answers:
    """Return the answers some tokens were believed by."""
    columns = select(evidence_answers.c.kind, evidence_answers.c.der)
    joined = columns.join(
        evidence_stamp_answers, evidence_stamp_answers.c.sha256 == evidence_answers.c.sha256
    )
    found = Answers()
    for number in stamps:
        rows = connection.execute(joined.where(evidence_stamp_answers.c.stamp == number)).all()
        found += Answers(
            tuple(row.der for row in rows if row.kind == AnswerKind.OCSP),
            tuple(row.der for row in rows if row.kind == AnswerKind.CRL),
        )
    return found


def batch_of_object(connection: Connection, number: int) -> Batch | None:
    """Return the batch a container is in."""
    columns = evidence_batches.c
    query = select(evidence_batches).where(columns.last_object >= number, columns.first_object <= number)
    return _batch(connection.execute(query.order_by(columns.last_object).limit(1)).one_or_none())


def batch_of_checkpoint(connection: Connection, size: int) -> Batch | None:
    """Return the batch that holds the checkpoint of a size."""
    query = select(evidence_batches).where(evidence_batches.c.size == size)
    return _batch(connection.execute(query).one_or_none())


def batch_of_note(connection: Connection, sha256: str) -> Batch | None:
    """Return the batch that holds a checkpoint, by its digest."""
    query = select(evidence_batches).where(evidence_batches.c.note_sha256 == sha256)
    return _batch(connection.execute(query).one_or_none())


def read_batches(connection: Connection, after: int, most: int) -> list[Batch]:
    """Return batches whose first token is beyond a number, in order."""
    query = select(evidence_batches).where(evidence_batches.c.stamp > after)
    rows = connection.execute(query.order_by(evidence_batches.c.stamp).limit(most))
    return [batch for row in rows if (batch := _batch(row)) is not None]


def read_members(connection: Connection, batch: Batch) -> list[KeptObject]:
    """Return what a batch holds in the order of its tree: the checkpoint first, then the containers."""
    count = max(batch.last_object - batch.first_object + 1, 0)
    objects = read_objects(connection, batch.first_object, batch.last_object, count)
    kept = [each for _, each in objects]
    if batch.note_sha256 is None:
        return kept
    return [KeptObject(batch.note_sha256, (bytes.fromhex(batch.note_sha256),)), *kept]


def read_renewal(connection: Connection, stamp: int) -> tuple[int, bytes] | None:
    """Return the token that renewed another one, and the path from it as one string of hashes."""
    query = select(evidence_renewals.c.renewed_by, evidence_renewals.c.path)
    row = connection.execute(query.where(evidence_renewals.c.stamp == stamp)).one_or_none()
    return None if row is None else (row.renewed_by, row.path)


def add_renewals(
    connection: Connection, renewed_by: int, paths: Iterable[tuple[int, Sequence[bytes]]]
) -> None:
    """Let a token renew others."""
    rows = [{"stamp": stamp, "renewed_by": renewed_by, "path": b"".join(path)} for stamp, path in paths]
    connection.execute(insert(evidence_renewals), rows)


def read_unrenewed(connection: Connection, ends_before: datetime, most: int) -> list[StoredStamp]:
    """Return tokens that nothing renewed and whose certificates end before an instant, the earliest first."""
    renewed = select(evidence_renewals.c.stamp)
    query = select(evidence_stamps).where(
        evidence_stamps.c.ends_at < format_instant(ends_before), evidence_stamps.c.number.not_in(renewed)
    )
    order = (evidence_stamps.c.ends_at, evidence_stamps.c.number)
    return [_stamp(row) for row in connection.execute(query.order_by(*order).limit(most))]


def read_chains(connection: Connection, batch: int) -> list[Chain]:
    """Return how hash-tree renewals cover a batch, oldest first."""
    query = select(evidence_chains).where(evidence_chains.c.batch == batch)
    return [
        Chain(row.batch, row.ordinal, row.stamp, _split(row.path, row.digest), row.last_before)
        for row in connection.execute(
            query.add_columns(evidence_stamps.c.digest)
            .join(evidence_stamps, evidence_stamps.c.number == evidence_chains.c.stamp)
            .order_by(evidence_chains.c.ordinal)
        )
    ]


def add_chain(connection: Connection, chain: Chain, members: Sequence[KeptObject]) -> None:
    """Let a token cover a batch anew: those of its objects that are still there, in their tree's order."""
    connection.execute(
        insert(evidence_chains),
        {
            "batch": chain.batch,
            "ordinal": chain.ordinal,
            "stamp": chain.stamp,
            "path": b"".join(chain.path),
            "last_before": chain.last_before,
        },
    )
    rows = [
        {
            "sha256": each.sha256,
            "ordinal": chain.ordinal,
            "batch": chain.batch,
            "place": place,
            "hashes": b"".join(each.hashes),
        }
        for place, each in enumerate(members)
    ]
    connection.execute(insert(evidence_rehashed), rows)


def read_rehashed(connection: Connection, batch: int, ordinal: int, digest: str) -> list[KeptObject]:
    """Return the objects of a batch as a hash-tree renewal covers them, in the order of their tree."""
    columns = evidence_rehashed.c
    query = select(evidence_rehashed).where(columns.batch == batch, columns.ordinal == ordinal)
    rows = connection.execute(query.order_by(columns.place))
    return [_kept(row.sha256, row.hashes, digest) for row in rows]


def _kept(sha256: str, hashes: bytes, digest: str) -> KeptObject:
    return KeptObject(sha256, _split(hashes, digest))


def _split(hashes: bytes, digest: str) -> tuple[bytes, ...]:
    size = DIGEST_BYTES[digest]
    return tuple(hashes[start : start + size] for start in range(0, len(hashes), size))


def split_path(path: bytes, digest: str) -> tuple[bytes, ...]:
    """Return the hashes of a path that was read."""
    return _split(path, digest)


def _stamp(row: Row[int, bytes, str, str, str, str]) -> StoredStamp:
    return StoredStamp(
        row.number,
        row.token,
        row.digest,
        parse_instant(row.stamped_at),
        row.authority,
        parse_instant(row.ends_at),
    )


def _batch(row: Row[int, int, int, int | None, str | None] | None) -> Batch | None:
    if row is None:
        return None
    return Batch(row.stamp, row.first_object, row.last_object, row.size, row.note_sha256)
