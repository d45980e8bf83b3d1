# SPDX-License-Identifier: Apache-2.0
"""The hash tree of RFC 4998: many groups of data objects under one root, and what leads one group to it.

    leaf     of a group of one: its hash; of more: the digest of their hashes, sorted and concatenated
    node     the digest of its two children, sorted and concatenated; a child without sibling rises as it is

A node's children are sorted, so a reduced tree need not say which was left. Beside the first list, every list
names one sibling: then the two ways of reading section 4.3, step 3, agree (BouncyCastle digests a list before
it joins it, others join it first).

Source: RFC 4998 sections 4.2 and 4.3.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.preservation.records import PartialHashtree


def join(digest: str, hashes: Sequence[bytes]) -> bytes:
    """Digest hashes, sorted ascending and concatenated; one alone stands for itself.

    Source: RFC 4998 section 4.2, steps 3 and 4.
    """
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.new(digest, b"".join(sorted(hashes))).digest()


class HashTree:
    """A hash tree over groups of data objects.

    Args:
        digest: by its `hashlib` name.
        groups: the hashes of each group's data objects, at least one group of at least one.
    """

    def __init__(self, digest: str, groups: Sequence[Sequence[bytes]]) -> None:
        if not groups or not all(groups):
            raise ValueError("a hash tree has at least one group, and no empty one")
        self._groups = [tuple(sorted(group)) for group in groups]
        level = [join(digest, group) for group in self._groups]
        self._levels = [level]
        while len(level) > 1:
            level = [join(digest, level[i : i + 2]) for i in range(0, len(level), 2)]
            self._levels.append(level)

    @property
    def root(self) -> bytes:
        """What the time stamp covers."""
        return self._levels[-1][0]

    def path(self, index: int) -> tuple[bytes, ...]:
        """Return the siblings between a group's leaf and the root, from below."""
        siblings = []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                siblings.append(level[sibling])
            index //= 2
        return tuple(siblings)

    def reduce(self, index: int, above: Sequence[bytes] = ()) -> tuple[PartialHashtree, ...]:
        """Return the reduced hash tree of a group.

        Args:
            index: of the group.
            above: siblings between this tree's root and the one that is stamped, where this tree is part of
                a larger one.
        """
        return reduced(self._groups[index], (*self.path(index), *above))


def reduced(group: Sequence[bytes], path: Sequence[bytes]) -> tuple[PartialHashtree, ...]:
    """Write a group and the siblings above it as a reduced hash tree.

    A single data object shares the first list with its sibling, as in the standard's example; a group has the
    first list for itself, so that it can be shown to be whole.
    """
    if len(group) == 1 and not path:
        return ()
    if len(group) == 1:
        return (tuple(sorted((group[0], path[0]))), *((each,) for each in path[1:]))
    return (tuple(sorted(group)), *((each,) for each in path))


def root_of(digest: str, tree: Sequence[PartialHashtree]) -> bytes:
    """Compute the root that a reduced hash tree leads to; it is not empty.

    Source: RFC 4998 section 4.3, step 3.
    """
    root = join(digest, tree[0])
    for hashes in tree[1:]:
        root = join(digest, (*hashes, root))
    return root
