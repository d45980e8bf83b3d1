# SPDX-License-Identifier: Apache-2.0
"""What one open transaction appends, held back until it commits.

Many callers share a transaction, and each may still be rolled back to its savepoint. Indexes are given out
at once but rows are written together just before the commit, so a caller that fails leaves no gap, and a
hundred entries cost little more than one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import event

from hub.database import is_writing
from hub.messagelog import store
from hub.tlog import Frontier, LogPosition, leaf_hash

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from hub.identifiers import MessageId
    from hub.tlog import Subtree


class Edge(NamedTuple):
    """How a log ends.

    Attributes:
        last: the leaf hash of the last entry, empty when there is none.
    """

    frontier: Frontier
    last: bytes


class Batch:
    """The tree as this transaction would leave it."""

    def __init__(self, frontier: Frontier) -> None:
        self._frontier = frontier
        self._leaves: list[store.NewLeaf] = []
        self._nodes: list[tuple[Subtree, bytes]] = []

    def append(self, leaf: bytes, message_id: MessageId | None) -> LogPosition:
        """Add a leaf at the end."""
        position = LogPosition(self._frontier.size, leaf_hash(leaf))
        self._frontier, completed = self._frontier.append(position.leaf_hash)
        self._leaves.append(store.NewLeaf(position.index, leaf, position.leaf_hash, message_id))
        self._nodes += completed
        return position

    def mark(self) -> Mark:
        """Remember the present state."""
        return Mark(self, self._frontier, len(self._leaves), len(self._nodes))

    def return_to(self, mark: Mark) -> None:
        """Forget what was appended since the mark."""
        self._frontier = mark.frontier
        del self._leaves[mark.leaves :]
        del self._nodes[mark.nodes :]

    def write(self, connection: Connection) -> Edge | None:
        """Write what was appended, and return how the log ends then; None when nothing was."""
        if not self._leaves:
            return None
        store.insert_leaves(connection, self._leaves, self._nodes)
        return Edge(self._frontier, self._leaves[-1].leaf_hash)


@dataclass(frozen=True)
class Mark:
    """A state of a batch to return to: how much it held."""

    batch: Batch
    frontier: Frontier
    leaves: int
    nodes: int


class OpenBatches:
    """The batches of the transactions that are open on one engine; follows their savepoints."""

    def __init__(self, engine: Engine) -> None:
        self._batches: dict[Connection, Batch] = {}
        self._edge = Edge(Frontier(), b"")
        # None where nothing had been appended before the savepoint.
        self._savepoints: dict[Connection, list[Mark | None]] = {}
        event.listen(engine, "savepoint", self._on_savepoint)
        event.listen(engine, "release_savepoint", self._on_release)
        event.listen(engine, "rollback_savepoint", self._on_return)
        event.listen(engine, "commit", self._on_commit)
        event.listen(engine, "rollback", self._on_rollback)

    def of(self, connection: Connection) -> Batch:
        """Return the transaction's batch; the first call reads the tree's right edge."""
        batch = self._batches.get(connection)
        if batch is None:
            if not is_writing(connection):
                raise RuntimeError("the log is appended to inside a unit of hub.database.Writer only")
            batch = Batch(self._frontier(connection))
            self._batches[connection] = batch
        return batch

    def _frontier(self, connection: Connection) -> Frontier:
        """Return the tree's right edge: as the last batch left it, while nobody else has appended since."""
        size, last = store.read_end(connection)
        if (size, last) != (self._edge.frontier.size, self._edge.last):
            self._edge = Edge(store.read_frontier(connection, size), last)
        return self._edge.frontier

    def _on_savepoint(self, connection: Connection, _name: str | None) -> None:
        batch = self._batches.get(connection)
        self._savepoints.setdefault(connection, []).append(batch.mark() if batch else None)

    def _on_release(self, connection: Connection, _name: str, _context: None) -> None:
        self._last_mark(connection)

    def _on_return(self, connection: Connection, _name: str, _context: None) -> None:
        mark = self._last_mark(connection)
        if mark is None:
            # Nothing had been appended before it.
            self._batches.pop(connection, None)
        else:
            mark.batch.return_to(mark)

    def _last_mark(self, connection: Connection) -> Mark | None:
        # There is none when the savepoint is older than this object; then nothing was appended before it.
        marks = self._savepoints.get(connection)
        return marks.pop() if marks else None

    def _on_commit(self, connection: Connection) -> None:
        batch = self._close(connection)
        if batch is not None:
            # Should the commit fail, the stored log ends in another way, and this is forgotten.
            self._edge = batch.write(connection) or self._edge

    def _on_rollback(self, connection: Connection) -> None:
        self._close(connection)

    def _close(self, connection: Connection) -> Batch | None:
        self._savepoints.pop(connection, None)
        return self._batches.pop(connection, None)
