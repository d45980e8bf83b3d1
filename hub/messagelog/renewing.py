# SPDX-License-Identifier: Apache-2.0
"""Renewing evidence before what it rests on weakens.

    what weakens                                     what is done
    the certificates behind a token end              time-stamp renewal: one new token over all that are due
    a digest will no longer be relied on             hash-tree renewal: every container is read again and
                                                       covered with a stronger digest

Both are done a portion at a time, each in one transaction after its token was given: a crash loses a token
and nothing else, and of two processes the slower one's token is thrown away. A token that would not last
longer than what it renews is not kept. Containers whose key was destroyed cannot be read again: they keep the
chain they have, which is renewed as long as its digest is relied on.

Source: RFC 4998 section 5.2.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

import structlog

from hub.clock import format_instant
from hub.envelope import LargeEnvelope, Limits, read_zip
from hub.errors import EnvelopeError, HubError, VaultError
from hub.messagelog import evidencestore as store
from hub.messagelog.evidencestore import Chain, KeptObject
from hub.messagelog.stamping import stored
from hub.messagelog.store import read_note
from hub.preservation import (
    NO_ENDS,
    Answers,
    DigestEnds,
    HashTree,
    covered_again,
    covered_by_renewal,
    digest_of,
    group_of,
    group_of_stream,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from hub.alarms import AlarmSink
    from hub.clock import Clock
    from hub.database import Writer
    from hub.messagelog.evidencerecords import EvidenceRecords
    from hub.messagelog.evidencestore import Batch, StoredStamp
    from hub.messagelog.stamping import Authorities
    from hub.vault import Vault

STRONGER_DIGEST = "sha512"
"""What hash trees are renewed with when a digest ends, unless a command says otherwise."""

LEAD = timedelta(days=365)
"""How long before the end evidence is renewed, unless the settings say otherwise."""

SUBJECT = "the evidence records"
"""What the alarm is about."""

_ALARM = "log.renewal_due"
_MOST_STAMPS = 10_000
_MOST_OBJECTS = 10_000
_BATCHES_AT_A_TIME = 100
_LOOK_SECONDS = 3600.0
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Due:
    """What has to be renewed.

    Attributes:
        time_stamps: how many tokens; counted up to 10,000.
        batches: how many batches have a hash tree whose digest ends.
        ends_at: UTC; when the first of the tokens ends, None where none is due.
    """

    time_stamps: int
    batches: int
    ends_at: datetime | None


@dataclass(frozen=True)
class Rehashed:
    """What a hash-tree renewal covered.

    Attributes:
        objects: containers and checkpoints under the new digest.
        erased: containers whose key was destroyed; they keep the chain they have.
        damaged: containers that are not what their digest says; likewise.
    """

    objects: int = 0
    erased: int = 0
    damaged: int = 0

    def __add__(self, other: Rehashed) -> Rehashed:
        """Count two portions together."""
        return Rehashed(
            self.objects + other.objects, self.erased + other.erased, self.damaged + other.damaged
        )


@dataclass(frozen=True)
class _Portion:
    """Batches on their way into one tree: each with its members' new hashes and the token it follows."""

    batches: list[tuple[Chain, list[KeptObject]]]
    done: Rehashed


class EvidenceRenewal:
    """Renews what is due; `run` in a thread of its own, or call what a command asks for.

    Args:
        engine: of the database.
        writer: of the engine.
        records: put records together.
        vault: gives containers back for a hash-tree renewal.
        authorities: give the time stamps.
        alarms: are told while something is due that cannot be renewed.
        clock: says what is due.
        lead: how long before the end to renew.
        ends: until when digests may be relied on.
    """

    def __init__(  # noqa: PLR0913 (its dependencies, and two named limits)
        self,
        *,
        engine: Engine,
        writer: Writer,
        records: EvidenceRecords,
        vault: Vault,
        authorities: Authorities,
        alarms: AlarmSink,
        clock: Clock,
        lead: timedelta = LEAD,
        ends: DigestEnds = NO_ENDS,
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._records = records
        self._vault = vault
        self._authorities = authorities
        self._alarms = alarms
        self._clock = clock
        self._lead = lead
        self._ends = ends
        self._stopped = threading.Event()

    def run(self) -> None:
        """Renew what becomes due, until `stop`."""
        while not self._stopped.wait(_LOOK_SECONDS):
            try:
                self.look()
            except Exception:
                # The database may be busy or gone for a while; what is due stays due.
                _logger.exception("evidence.not_renewed")

    def stop(self) -> None:
        """Let `run` end; what is due is renewed after the next start."""
        self._stopped.set()

    def look(self) -> None:
        """Renew what is due now, and tell operators when that cannot be done."""
        problem = ""
        try:
            self.renew_time_stamps()
            if self._ending(self._clock.now()):
                self.renew_hash_trees(STRONGER_DIGEST)
        except HubError as exc:
            problem = f"; {exc.code}: {exc.detail}"
        due = self.due()
        if due.time_stamps or due.batches:
            since = f", the first ends at {format_instant(due.ends_at)}" if due.ends_at else ""
            detail = f"{due.time_stamps} time stamps and {due.batches} hash trees are due{since}{problem}"
            self._alarms.raise_alarm(_ALARM, SUBJECT, detail)
        else:
            self._alarms.clear(_ALARM, SUBJECT)

    def due(self) -> Due:
        """Tell what has to be renewed."""
        now = self._clock.now()
        with self._engine.connect() as connection:
            stamps = self._due_stamps(connection, now)
            ending = self._ending(now)
            batches = sum(1 for batch in _all_batches(connection) if _digest(connection, batch) in ending)
        return Due(len(stamps), batches, stamps[0].ends_at if stamps else None)

    def renew_time_stamps(self, progress: Callable[[int], None] = lambda _count: None) -> int:
        """Renew every token that is due, all of a digest under one new token; returns how many were.

        Args:
            progress: is told how many were renewed so far.

        Raises:
            TrustError: `trust.timestamp_unavailable`.
        """
        count, reach = 0, None
        while not self._stopped.is_set():
            with self._engine.connect() as connection:
                due = self._due_stamps(connection, self._clock.now())
            due = [each for each in due if reach is None or each.ends_at < reach]
            if not due:
                break
            due = [each for each in due if each.digest == due[0].digest]
            reach = self._renew(due)
            if reach is None:
                count += len(due)
                progress(count)
        return count

    def _renew(self, due: Sequence[StoredStamp]) -> datetime | None:
        """Renew tokens together; returns until when the authority's token lasts where that is no gain."""
        digest = due[0].digest
        tree = HashTree(digest, [[covered_by_renewal(digest, each.token)] for each in due])
        given = self._authorities.stamp(tree.root, digest)
        new = stored(given)
        if any(each.ends_at >= new.ends_at for each in due):
            return new.ends_at
        answers = Answers.of(given.path.revocation)

        def keep(connection: Connection) -> None:
            if any(store.read_renewal(connection, each.number) for each in due):
                _logger.info("evidence.renewed_elsewhere", count=len(due))
                return
            number = store.add_stamp(connection, new, answers)
            paths = ((each.number, tree.path(place)) for place, each in enumerate(due))
            store.add_renewals(connection, number, paths)

        self._writer.run(keep)
        return None

    def renew_hash_trees(
        self, digest: str, progress: Callable[[int, int], None] = lambda _done, _all: None
    ) -> Rehashed:
        """Cover every batch anew with another digest, as far as its containers can still be read.

        Args:
            digest: by its `hashlib` name.
            progress: is told how many batches were looked at, of how many.

        Raises:
            TrustError: `trust.timestamp_unavailable`, or the master key's token is away.
            VaultError: a key of the vault is missing.
        """
        done, looked_at = Rehashed(), 0
        with self._engine.connect() as connection:
            batches = [each for each in _all_batches(connection) if _digest(connection, each) != digest]
        for some in _portions(batches):
            if self._stopped.is_set():
                break
            done += self._rehash(some, digest)
            looked_at += len(some)
            progress(looked_at, len(batches))
        return done

    def _rehash(self, batches: Sequence[Batch], digest: str) -> Rehashed:
        with self._engine.connect() as connection:
            portion = self._read_again(connection, batches, digest)
        if not portion.batches:
            return portion.done
        trees = [HashTree(digest, [each.hashes for each in members]) for _, members in portion.batches]
        top = HashTree(digest, [[tree.root] for tree in trees])
        given = self._authorities.stamp(top.root, digest)

        def keep(connection: Connection) -> bool:
            known = (store.read_chains(connection, chain.batch) for chain, _ in portion.batches)
            lengths = zip(known, portion.batches, strict=True)
            if any(len(chains) >= chain.ordinal for chains, (chain, _) in lengths):
                _logger.info("evidence.renewed_elsewhere", count=len(portion.batches))
                return False
            number = store.add_stamp(connection, stored(given), Answers.of(given.path.revocation))
            for place, (chain, members) in enumerate(portion.batches):
                renewed = Chain(chain.batch, chain.ordinal, number, top.path(place), chain.last_before)
                store.add_chain(connection, renewed, members)
            return True

        return portion.done if self._writer.run(keep) else Rehashed()

    def _read_again(self, connection: Connection, batches: Sequence[Batch], digest: str) -> _Portion:
        found, done = [], Rehashed()
        for batch in batches:
            members: list[KeptObject] = []
            chains = store.read_chains(connection, batch.stamp)
            for kept in self._present(connection, batch, chains):
                hashes = self._hash_again(connection, batch, kept.sha256, digest)
                if isinstance(hashes, Rehashed):
                    done += hashes
                    continue
                record = self._records.assemble(connection, batch, kept.sha256)
                members.append(KeptObject(kept.sha256, covered_again(digest, hashes, record.chains)))
            if members:
                last = _last_stamp(connection, chains[-1].stamp if chains else batch.stamp)
                found.append((Chain(batch.stamp, len(chains) + 1, 0, (), last), members))
                done += Rehashed(objects=len(members))
        return _Portion(found, done)

    def _present(self, connection: Connection, batch: Batch, chains: Sequence[Chain]) -> Sequence[KeptObject]:
        """Return the members of a batch's last chain; who was left out of one cannot come back."""
        if not chains:
            return store.read_members(connection, batch)
        last = chains[-1]
        digest = store.read_stamp(connection, last.stamp).digest
        return store.read_rehashed(connection, batch.stamp, last.ordinal, digest)

    def _hash_again(
        self, connection: Connection, batch: Batch, sha256: str, digest: str
    ) -> tuple[bytes, ...] | Rehashed:
        """Return the new hashes of a checkpoint's or container's data objects, or why there are none."""
        if sha256 == batch.note_sha256 and batch.size is not None:
            note = read_note(connection, batch.size)
            return Rehashed(damaged=1) if note is None else (digest_of(digest, note.encode("utf-8")),)
        try:
            return self._group_of(connection, sha256, digest)
        except EnvelopeError:
            return Rehashed(damaged=1)
        except VaultError as exc:
            if exc.code not in {"vault.erased", "vault.damaged"}:
                raise
            return Rehashed(erased=1) if exc.code == "vault.erased" else Rehashed(damaged=1)

    def _group_of(self, connection: Connection, sha256: str, digest: str) -> tuple[bytes, ...]:
        try:
            raw = self._vault.read(sha256, connection)
        except VaultError as exc:
            if exc.code != "vault.too_large":
                raise
            large = self._vault.envelope(sha256, connection)
            if not isinstance(large, LargeEnvelope):
                raise TypeError("what is too large was announced") from exc
            return group_of_stream(large, self._vault.stream(sha256), digest)
        return group_of(read_zip(raw, Limits()), digest)

    def _due_stamps(self, connection: Connection, now: datetime) -> list[StoredStamp]:
        ended = {digest for digest, end in self._ends.ends.items() if end <= now}
        found = store.read_unrenewed(connection, now + self._lead, _MOST_STAMPS)
        # What rests on a digest that is no longer relied on gains nothing from a new token.
        return [each for each in found if each.digest not in ended]

    def _ending(self, now: datetime) -> frozenset[str]:
        return frozenset(digest for digest, end in self._ends.ends.items() if end <= now + self._lead)


def _all_batches(connection: Connection) -> Iterator[Batch]:
    after = 0
    while some := store.read_batches(connection, after, _BATCHES_AT_A_TIME):
        yield from some
        after = some[-1].stamp


def _digest(connection: Connection, batch: Batch) -> str:
    """Return the digest of a batch's last chain."""
    chains = store.read_chains(connection, batch.stamp)
    return store.read_stamp(connection, chains[-1].stamp if chains else batch.stamp).digest


def _last_stamp(connection: Connection, first: int) -> int:
    """Return the token that ends a chain at present."""
    while (renewal := store.read_renewal(connection, first)) is not None:
        first = renewal[0]
    return first


def _portions(batches: Sequence[Batch]) -> Iterator[list[Batch]]:
    """Put batches together until they hold so many containers that one transaction should not hold more."""
    total = 0
    numbered = []
    for batch in batches:
        total += batch.last_object - batch.first_object + 2
        numbered.append((total // _MOST_OBJECTS, batch))
    for _, some in groupby(numbered, key=lambda each: each[0]):
        yield [batch for _, batch in some]
