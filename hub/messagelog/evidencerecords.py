# SPDX-License-Identifier: Apache-2.0
"""Evidence records of containers and checkpoints: put together when asked for, from what was stamped.

Source: RFC 4998; ADR 0019.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from hub.errors import LogError
from hub.messagelog import evidencestore as store
from hub.messagelog.evidencestore import KeptObject
from hub.preservation import (
    ArchiveTimeStamp,
    EvidenceRecord,
    HashTree,
    archive_time_stamp,
    covered_by_renewal,
    group_of,
    reduced,
    write_crypto_infos,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from hub.clock import Clock
    from hub.envelope import Envelope
    from hub.messagelog.evidencestore import Batch

_MOST_TREES = 32


class EvidenceRecords:
    """The evidence records of a hub. Safe to use from several threads.

    Args:
        engine: of the database.
        clock: says since when a container waits.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._trees: OrderedDict[tuple[int, int], tuple[dict[str, int], HashTree]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, connection: Connection, envelope: Envelope) -> None:
        """Let the next token cover a container, inside the unit of the writer that keeps it."""
        kept = KeptObject(envelope.container_sha256, group_of(envelope))
        store.take(connection, kept, self._clock.now())

    def of(self, container_sha256: str) -> bytes:
        """Return the evidence record of a container, in DER; lower-case hex names it.

        Raises:
            LogError: `log.record_unknown`: it was never kept, or no token covers it yet.
        """
        with self._engine.connect() as connection:
            number = store.find_object(connection, container_sha256)
            batch = None if number is None else store.batch_of_object(connection, number)
            if batch is None:
                raise LogError("log.record_unknown", f"container {container_sha256}")
            return self.assemble(connection, batch, container_sha256).encode()

    def of_checkpoint(self, size: int) -> bytes:
        """Return the evidence record of the checkpoint of a size, in DER.

        Raises:
            LogError: `log.record_unknown`: none was signed at that size, or no token covers it yet.
        """
        with self._engine.connect() as connection:
            batch = store.batch_of_checkpoint(connection, size)
            if batch is None or batch.note_sha256 is None:
                raise LogError("log.record_unknown", f"checkpoint of {size} entries")
            return self.assemble(connection, batch, batch.note_sha256).encode()

    def waiting(self) -> int:
        """Return how many containers no token covers yet."""
        with self._engine.connect() as connection:
            return store.waiting(connection)[0]

    def assemble(self, connection: Connection, batch: Batch, sha256: str) -> EvidenceRecord:
        """Put the record of a batch's member together, with all its renewals."""
        renewed = [
            chain
            for chain in store.read_chains(connection, batch.stamp)
            if sha256 in self._tree(connection, batch, chain.ordinal)[0]
        ]
        stamps: list[int] = []
        chains = []
        for position in range(len(renewed) + 1):
            ordinal = renewed[position - 1].ordinal if position else 0
            first = renewed[position - 1].stamp if position else batch.stamp
            above = renewed[position - 1].path if position else ()
            last = renewed[position].last_before if position < len(renewed) else None
            places, tree = self._tree(connection, batch, ordinal)
            chain, used = _follow(connection, first, last)
            stamp = store.read_stamp(connection, first)
            started = archive_time_stamp(stamp.digest, tree.reduce(places[sha256], above), stamp.token)
            chains.append((started, *chain))
            stamps += used
        answers = store.read_answers_of(connection, dict.fromkeys(stamps))
        return EvidenceRecord.of(tuple(chains), write_crypto_infos(answers))

    def _tree(self, connection: Connection, batch: Batch, ordinal: int) -> tuple[dict[str, int], HashTree]:
        """Return a batch's hash tree, and where each member is in it; the latest few are kept."""
        key = (batch.stamp, ordinal)
        with self._lock:
            known = self._trees.get(key)
        if known is None:
            known = self._build(connection, batch, ordinal)
        with self._lock:
            self._trees[key] = known
            self._trees.move_to_end(key)
            while len(self._trees) > _MOST_TREES:
                self._trees.popitem(last=False)
        return known

    def _build(self, connection: Connection, batch: Batch, ordinal: int) -> tuple[dict[str, int], HashTree]:
        if ordinal == 0:
            digest, members = "sha256", store.read_members(connection, batch)
        else:
            chain = store.read_chains(connection, batch.stamp)[ordinal - 1]
            digest = store.read_stamp(connection, chain.stamp).digest
            members = store.read_rehashed(connection, batch.stamp, ordinal, digest)
        places = {each.sha256: place for place, each in enumerate(members)}
        return places, HashTree(digest, [each.hashes for each in members])


def _follow(connection: Connection, first: int, last: int | None) -> tuple[list[ArchiveTimeStamp], list[int]]:
    """Return the renewals of a token up to another one, or all, and the numbers of all tokens in it."""
    chain: list[ArchiveTimeStamp] = []
    numbers = [first]
    while numbers[-1] != last:
        renewal = store.read_renewal(connection, numbers[-1])
        if renewal is None:
            break
        before, by = store.read_stamp(connection, numbers[-1]), store.read_stamp(connection, renewal[0])
        path = store.split_path(renewal[1], by.digest)
        covered = covered_by_renewal(by.digest, before.token)
        chain.append(archive_time_stamp(by.digest, reduced((covered,), path), by.token))
        numbers.append(renewal[0])
    return chain, numbers
