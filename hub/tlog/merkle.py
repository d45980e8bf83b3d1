# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of a Merkle tree over a list that only grows: all a stranger needs to check a proof.

A leaf's hash is SHA-256(0x00 || leaf), a node's is SHA-256(0x01 || left || right). The root of n leaves
splits them after the largest power of two below n, so a tree is a row of complete subtrees, left to right,
largest first. What is complete never changes again; it is what the store keeps.

Source: RFC 9162 section 2.1 (the same tree as RFC 6962 section 2.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from hub.errors import LogError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

EMPTY_ROOT = sha256(b"").digest()
"""The root of a tree without leaves (RFC 9162 section 2.1.1)."""

HASH_BYTES = 32


def leaf_hash(leaf: bytes) -> bytes:
    """Hash one leaf."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two neighbouring subtrees into their parent."""
    return sha256(b"\x01" + left + right).digest()


class Subtree(NamedTuple):
    """The complete subtree over leaves `number * 2**level` up to but without `(number + 1) * 2**level`."""

    level: int
    number: int

    @property
    def position(self) -> int:
        """Its place when all subtrees are numbered from left to right; leaf i has 2 * i.

        One number, so a subtree can be a database key.
        """
        return (self.number << (self.level + 1)) + (1 << self.level) - 1


class Span(NamedTuple):
    """The leaves from `start` up to but without `end`."""

    start: int
    end: int

    def subtrees(self) -> list[Subtree]:
        """Return the complete subtrees the span consists of, left to right.

        The span must be one that occurs in a tree: its start is a multiple of the largest power of two in it.
        """
        found = []
        start = self.start
        while start < self.end:
            level = (self.end - start).bit_length() - 1
            found.append(Subtree(level, start >> level))
            start += 1 << level
        return found


def fold(hashes: Sequence[bytes]) -> bytes:
    """Hash a row of complete subtrees, largest first, into the root over all of them."""
    if not hashes:
        return EMPTY_ROOT
    *left, root = hashes
    for sibling in reversed(left):
        root = node_hash(sibling, root)
    return root


@dataclass(frozen=True)
class Frontier:
    """All that is needed of a tree to append to it: its size and its complete subtrees' hashes.

    Attributes:
        size: the number of leaves.
        peaks: one hash for each subtree of `Span(0, size)`, left to right.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> tuple[Frontier, list[tuple[Subtree, bytes]]]:
        """Append a leaf, given by its hash.

        Returns the tree's new frontier, and the subtrees above the leaf that became complete with it.
        """
        peaks = list(self.peaks)
        completed = []
        subtree, node = Subtree(0, self.size), leaf
        while subtree.number & 1:
            subtree, node = Subtree(subtree.level + 1, subtree.number >> 1), node_hash(peaks.pop(), node)
            completed.append((subtree, node))
        return Frontier(self.size + 1, (*peaks, node)), completed

    def root(self) -> bytes:
        """Return the tree's root."""
        return fold(self.peaks)


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaves given by their hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier, _ = frontier.append(leaf)
    return frontier.root()


def inclusion_spans(index: int, size: int) -> list[Span]:
    """Return the spans whose hashes prove that leaf `index` is in the tree of `size` leaves.

    Source: RFC 9162 section 2.1.3.1, PATH(m, D_n).
    """
    if not 0 <= index < size:
        raise LogError("log.entry_unknown", f"no leaf {index} in a tree of {size}")
    path = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(Span(middle, end))
            end = middle
        else:
            path.append(Span(start, middle))
            start = middle
    return path[::-1]


def consistency_spans(old: int, new: int) -> list[Span]:
    """Return the spans whose hashes prove that the tree of `new` leaves starts with the tree of `old`.

    Nothing needs proving when the old tree is empty or the same.

    Source: RFC 9162 section 2.1.4.1, SUBPROOF(m, D_n, b).
    """
    if not 0 <= old <= new:
        raise LogError("log.entry_unknown", f"no tree of {old} leaves before one of {new}")
    if old in {0, new}:
        return []
    path = []
    start, end = 0, new
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(Span(middle, end))
            end = middle
        else:
            path.append(Span(start, middle))
            start = middle
    if start > 0:
        path.append(Span(start, end))
    return path[::-1]


def prove(spans: Iterable[Span], hash_of: Callable[[Subtree], bytes]) -> tuple[bytes, ...]:
    """Turn the spans of a proof into its hashes."""
    return tuple(fold([hash_of(subtree) for subtree in span.subtrees()]) for span in spans)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf with hash `leaf` is number `index` of the tree of `size` leaves with `root`.

    Raises:
        LogError: `log.proof_invalid`.

    Source: RFC 9162 section 2.1.3.2.
    """
    if not 0 <= index < size:
        raise LogError("log.proof_invalid", f"no leaf {index} in a tree of {size}")
    _require_hashes(leaf, root, *proof)
    leaf_number, last_number, computed = index, size - 1, leaf
    for sibling in proof:
        if last_number == 0:
            raise LogError("log.proof_invalid", "the inclusion proof is too long")
        if leaf_number & 1 or leaf_number == last_number:
            computed = node_hash(sibling, computed)
            leaf_number, last_number = _rise(leaf_number, last_number)
        else:
            computed = node_hash(computed, sibling)
        leaf_number, last_number = leaf_number >> 1, last_number >> 1
    if last_number != 0:
        raise LogError("log.proof_invalid", "the inclusion proof is too short")
    if computed != root:
        raise LogError("log.proof_invalid", "the inclusion proof leads to another root")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of `new` leaves with `new_root` starts with the tree of `old` with `old_root`.

    Raises:
        LogError: `log.proof_invalid`.

    Source: RFC 9162 section 2.1.4.2; that every tree starts with the empty one needs no hash.
    """
    if not 0 <= old <= new:
        raise LogError("log.proof_invalid", f"a tree of {new} leaves cannot start with one of {old}")
    _require_hashes(old_root, new_root, *proof)
    if old in {0, new}:
        _verify_trivial(old, new, old_root, new_root, proof)
        return
    # Where the old tree is one complete subtree of the new, its root stands for itself.
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise LogError("log.proof_invalid", "the consistency proof is empty")
    old_number, new_number = old - 1, new - 1
    while old_number & 1:
        old_number, new_number = old_number >> 1, new_number >> 1
    old_computed = new_computed = path[0]
    for sibling in path[1:]:
        if new_number == 0:
            raise LogError("log.proof_invalid", "the consistency proof is too long")
        if old_number & 1 or old_number == new_number:
            old_computed = node_hash(sibling, old_computed)
            new_computed = node_hash(sibling, new_computed)
            old_number, new_number = _rise(old_number, new_number)
        else:
            new_computed = node_hash(new_computed, sibling)
        old_number, new_number = old_number >> 1, new_number >> 1
    if new_number != 0:
        raise LogError("log.proof_invalid", "the consistency proof is too short")
    if old_computed != old_root or new_computed != new_root:
        raise LogError("log.proof_invalid", "the consistency proof leads to another root")


def _rise(number: int, last_number: int) -> tuple[int, int]:
    """Rise to where the node has a sibling on its left; without one it goes up unchanged."""
    while number and not number & 1:
        number, last_number = number >> 1, last_number >> 1
    return number, last_number


def _verify_trivial(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    if proof:
        raise LogError("log.proof_invalid", "nothing is to be proved, so the proof must be empty")
    if (old == 0 and old_root != EMPTY_ROOT) or (new == 0 and new_root != EMPTY_ROOT):
        raise LogError("log.proof_invalid", "an empty tree has another root")
    if old == new and old_root != new_root:
        raise LogError("log.proof_invalid", "two trees of one size have different roots")


def _require_hashes(*hashes: bytes) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise LogError("log.proof_invalid", f"a hash is not {HASH_BYTES} bytes long")


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
