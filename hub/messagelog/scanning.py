# SPDX-License-Identifier: Apache-2.0
"""Reading the whole log once, in portions: what its entries give, and where what is stored differs.

Memory stays bounded whatever was done to the database: only differences are remembered, and not more than so
many.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hub.errors import LogError
from hub.messagelog import store
from hub.tlog import HASH_BYTES, Frontier, Span, Subtree, leaf_hash, message_id_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

PORTION = 2_048
"""Entries read at a time; a power of two, so that a portion's own nodes lie in one range of positions."""

_MOST_DIFFERENCES = 200_000
_LONGEST_GAP = 100_000
_NOTHING = bytes(HASH_BYTES)
"""Stands for a leaf that is not there; no leaf hashes to it."""


@dataclass
class Scan:
    """What a reading of the log gave.

    Attributes:
        size: how many entries there are, missing ones within included.
        roots: the root the entries give at the sizes asked for.
        computed: of each subtree whose stored hash is another, what its entries give; None for a leaf whose
            row is missing.
        missing: entries without a row.
        hidden: entries found by another message's id, and the id they are found by.
        unreadable: entries that are not such as this log writes.
        strays: numbers of rows that cannot belong to the log.
        nodes_missing: subtrees without a stored hash.
        nodes_beyond: how many hashes are stored over more entries than there are, and the first entry that is
            missing below them.
        known_until: from this entry on differences were no longer remembered, because there are too many.
    """

    size: int = 0
    roots: dict[int, bytes] = field(default_factory=dict)
    computed: dict[Subtree, bytes | None] = field(default_factory=dict)
    missing: list[Span] = field(default_factory=list)
    hidden: dict[int, str | None] = field(default_factory=dict)
    unreadable: list[int] = field(default_factory=list)
    strays: list[int] = field(default_factory=list)
    nodes_missing: list[Subtree] = field(default_factory=list)
    nodes_beyond: int = 0
    known_until: int | None = None


class Scanner:
    """Reads a log once.

    Args:
        connection: to read with; what it sees must not change meanwhile.
        sizes: at which the root is asked for.
        progress: is told how many entries were read, and how many there are.
    """

    def __init__(
        self, connection: Connection, sizes: Iterable[int], progress: Callable[[int, int], None]
    ) -> None:
        self._connection = connection
        self._sizes = frozenset(sizes)
        self._progress = progress
        self._scan = Scan()
        self._frontier = Frontier()
        # Stored hashes whose subtrees are not complete yet.
        self._nodes: dict[int, bytes] = {}
        self._completed: list[tuple[Subtree, bytes]] = []
        self._start = 0

    def run(self) -> Scan:
        """Read everything."""
        total = store.read_size(self._connection)
        self._scan.strays += store.read_negative(self._connection)
        self._note_root()
        while self._frontier.size < total:
            self._start = start = self._frontier.size
            rows = list(store.read_leaves(self._connection, Span(start, start + PORTION - start % PORTION)))
            if not rows:
                total = self._cross_gap(total)
                continue
            self._take(rows)
            self._compare(start)
            self._progress(self._frontier.size, total)
        self._scan.size = self._frontier.size
        beyond = store.count_nodes_from(self._connection, 2 * self._frontier.size)
        self._scan.nodes_beyond = beyond + len(self._nodes)
        return self._scan

    def _cross_gap(self, total: int) -> int:
        """Step over entries that are missing; what stands too far beyond does not belong to the log."""
        start = self._frontier.size
        after = store.read_next_index(self._connection, start)
        if after - start > _LONGEST_GAP:
            self._scan.strays += store.read_indexes(self._connection, after)
            return start
        self._miss(after)
        self._compare(start)
        return total

    def _take(self, rows: list[store.NewLeaf]) -> None:
        for row in rows:
            if row.leaf_index > self._frontier.size:
                self._miss(row.leaf_index)
            computed = leaf_hash(row.leaf)
            if computed != row.leaf_hash:
                self._remember(Subtree(0, row.leaf_index), computed)
            self._read(row)
            self._append(computed)

    def _read(self, row: store.NewLeaf) -> None:
        try:
            if message_id_in(row.leaf) != row.message_id:
                self._scan.hidden[row.leaf_index] = row.message_id
        except LogError:
            # What it is instead is found by its hash; here it only must not stop the reading.
            self._scan.unreadable.append(row.leaf_index)

    def _miss(self, end: int) -> None:
        self._scan.missing.append(Span(self._frontier.size, end))
        for index in range(self._frontier.size, end):
            self._remember(Subtree(0, index), None)
            self._append(_NOTHING)

    def _append(self, leaf: bytes) -> None:
        self._frontier, completed = self._frontier.append(leaf)
        self._completed += completed
        self._note_root()

    def _note_root(self) -> None:
        if self._frontier.size in self._sizes:
            self._scan.roots[self._frontier.size] = self._frontier.root()

    def _compare(self, start: int) -> None:
        """Compare the hashes over what was read from `start` on with those that are stored."""
        self._nodes.update(store.read_nodes(self._connection, 2 * start, 2 * self._frontier.size))
        for subtree, computed in self._completed:
            stored = self._nodes.pop(subtree.position, None)
            if stored is None:
                self._scan.nodes_missing.append(subtree)
            if stored != computed:
                self._remember(subtree, computed)
        self._completed.clear()

    def _remember(self, subtree: Subtree, computed: bytes | None) -> None:
        if len(self._scan.computed) < _MOST_DIFFERENCES:
            self._scan.computed[subtree] = computed
        elif self._scan.known_until is None:
            self._scan.known_until = self._start
