# SPDX-License-Identifier: Apache-2.0
"""Finding which leaves of a tree are not the ones that were hashed into a believed root; pure.

A believed hash makes the two hashes below it believable as soon as a pair of candidates gives it: what is
stored, or what the entries give. So one walks down from a signed root along the branches that the entries do
not give, and ends at the very leaf, as long as whoever changed it did not change the whole path above it.
Where no candidates fit, the leaves below are all that can be said, unless the true leaves turn up elsewhere
in the log: entries that were moved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Protocol

from hub.tlog import Span, Subtree, fold, node_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST_CANDIDATES = 8
_DEEPEST = 3
_MOST_PEAKS_TRIED = 4_096
_NEAR = 4
_MOST_DISPLACED = 64


class Hashes(Protocol):
    """What a log's database says about the hash of a complete subtree."""

    def computed(self, subtree: Subtree) -> bytes | None:
        """Return the hash its entries give; None when they are not all there or were not looked at."""
        ...

    def stored(self, subtree: Subtree) -> bytes | None:
        """Return the hash that is stored; None when there is none."""
        ...

    def known(self, span: Span) -> Mapping[int, bytes]:
        """Return the hashes of single leaves that something outside the log names."""
        ...


@dataclass
class Located:
    """What a walk down a tree found.

    Attributes:
        true: the true hash of each leaf that is not the right one, as far as it is believable.
        moved: where the true leaf of a place stands instead.
        unclear: spans in which at least one leaf is wrong.
        right: spans whose leaves are all right.
        is_cut: whether there was more than was looked at.
    """

    true: dict[int, bytes] = field(default_factory=dict)
    moved: dict[int, int] = field(default_factory=dict)
    unclear: list[Span] = field(default_factory=list)
    right: list[Span] = field(default_factory=list)
    is_cut: bool = False

    @property
    def first(self) -> int | None:
        """The first leaf known to be wrong, or None."""
        return min((*self.true, *(span.start for span in self.unclear)), default=None)

    def add(self, other: Located, start: int) -> None:
        """Take over what another walk found from leaf `start` on."""
        self.true.update({index: leaf for index, leaf in other.true.items() if index >= start})
        self.moved.update({index: place for index, place in other.moved.items() if index >= start})
        self.unclear += [span for span in other.unclear if span.end > start and span not in self.unclear]
        self.right += other.right
        self.is_cut = self.is_cut or other.is_cut

    def is_empty(self) -> bool:
        """Say whether every leaf was right."""
        return not (self.true or self.moved or self.unclear)


def believe_peaks(hashes: Hashes, size: int, root: bytes) -> dict[Subtree, bytes] | None:
    """Return the hashes of the subtrees a tree of this size consists of, if candidates give its root."""
    subtrees = Span(0, size).subtrees()
    candidates = [_simple(hashes, subtree) for subtree in subtrees]
    if subtrees and subtrees[-1].level == 0:
        # Where rows were inserted or removed, the last leaf stands beside its place.
        beside = _leaves(hashes, [size - 2, size])
        candidates[-1] = list(dict.fromkeys([*candidates[-1], *(leaf for _, leaf in beside)]))
    tries = 1
    for some in candidates:
        tries *= len(some)
    if not tries or tries > _MOST_PEAKS_TRIED:
        return None
    for chosen in product(*candidates):
        if fold(chosen) == root:
            return dict(zip(subtrees, chosen, strict=True))
    return None


def locate(hashes: Hashes, believed: dict[Subtree, bytes], most: int) -> Located:
    """Walk down from believed hashes to the leaves that are wrong, left to right, at most `most` of them."""
    found = Located()
    pairs: list[tuple[Subtree, bytes]] = []
    waiting = [*reversed(believed.items())]
    while waiting:
        subtree, truth = waiting.pop()
        if hashes.computed(subtree) == truth:
            found.right.append(span_of(subtree))
            continue
        if len(found.true) + len(found.unclear) + len(pairs) >= most:
            found.is_cut = True
            break
        if subtree.level == 0:
            found.true[subtree.number] = truth
            continue
        children = _believe_children(hashes, subtree, truth)
        if children is not None:
            waiting += reversed(children)
        elif subtree.level == 1:
            pairs.append((subtree, truth))
        else:
            found.unclear.append(span_of(subtree))
    _solve_pairs(hashes, pairs, found)
    _find_moved(hashes, found)
    return found


def span_of(subtree: Subtree) -> Span:
    """Return the leaves below a subtree."""
    return Span(subtree.number << subtree.level, (subtree.number + 1) << subtree.level)


def children_of(subtree: Subtree) -> tuple[Subtree, Subtree]:
    """Return the two subtrees below one."""
    level, number = subtree.level - 1, 2 * subtree.number
    return Subtree(level, number), Subtree(level, number + 1)


def _simple(hashes: Hashes, subtree: Subtree) -> list[bytes]:
    both = (hashes.computed(subtree), hashes.stored(subtree))
    return list(dict.fromkeys(each for each in both if each is not None))


def _candidates(hashes: Hashes, subtree: Subtree, depth: int) -> list[bytes]:
    """Return what a subtree's true hash may be, the likelier first."""
    simple = _simple(hashes, subtree)
    if subtree.level == 0 or depth == 0 or (len(simple) == 1 and hashes.computed(subtree) is not None):
        return simple
    left, right = (_candidates(hashes, child, depth - 1) for child in children_of(subtree))
    combined = (node_hash(*pair) for pair in product(left, right))
    return list(dict.fromkeys([*simple, *combined]))[:_MOST_CANDIDATES]


def _believe_children(hashes: Hashes, subtree: Subtree, truth: bytes) -> list[tuple[Subtree, bytes]] | None:
    left, right = children_of(subtree)
    for depth in (0, _DEEPEST):
        for pair in product(_candidates(hashes, left, depth), _candidates(hashes, right, depth)):
            if node_hash(*pair) == truth:
                return [(left, pair[0]), (right, pair[1])]
    return None


def _solve_pairs(hashes: Hashes, pairs: list[tuple[Subtree, bytes]], found: Located) -> None:
    """Look for the true leaves of pairs among their neighbours and the leaves of the other pairs."""
    displaced = [number for subtree, _ in pairs[:_MOST_DISPLACED] for number in range(*span_of(subtree))]
    for order, (subtree, truth) in enumerate(pairs):
        start = span_of(subtree).start
        near = range(start - _NEAR, start + 2 + _NEAR)
        leaves = dict(_leaves(hashes, [*near, *displaced] if order < _MOST_DISPLACED else [*near]))
        named = [*hashes.known(span_of(subtree)).values(), *leaves.values()]
        match = _match([leaves.get(start), leaves.get(start + 1)], named, truth)
        if match is None:
            found.unclear.append(span_of(subtree))
            continue
        for number, leaf in zip((start, start + 1), match, strict=True):
            if leaves.get(number) != leaf:
                found.true[number] = leaf
    found.unclear.sort()


def _match(own: list[bytes | None], leaves: list[bytes], truth: bytes) -> tuple[bytes, bytes] | None:
    # One of the two is mostly at its own place; only then is it worth trying every pair.
    for left, right in (*product(own[:1], leaves), *product(leaves, own[1:]), *product(leaves, repeat=2)):
        if left is not None and right is not None and node_hash(left, right) == truth:
            return left, right
    return None


def _find_moved(hashes: Hashes, found: Located) -> None:
    """Look where else the true leaves stand."""
    wrong = sorted(found.true)
    displaced = dict(_leaves(hashes, wrong))
    beside = [number for index in wrong for number in (index - 1, index + 1) if number not in displaced]
    places = {leaf: number for number, leaf in (*_leaves(hashes, beside), *displaced.items())}
    found.moved = {index: places[found.true[index]] for index in wrong if found.true[index] in places}


def _leaves(hashes: Hashes, numbers: list[int]) -> Iterator[tuple[int, bytes]]:
    for number in numbers:
        leaf = hashes.computed(Subtree(0, number)) if number >= 0 else None
        if leaf is not None:
            yield number, leaf
