# SPDX-License-Identifier: Apache-2.0
"""The tree cut into tiles: how a tile is addressed, and what it holds.

A tile is up to 256 neighbouring hashes of one height. Level 0 holds leaf hashes; a hash at the level above is
the root over one full tile. What a tile holds never changes, so copies of it may be kept anywhere, and from
copies alone anybody computes every root and every proof.

Source: C2SP tlog-tiles, sections "Merkle Tree" and "Log entries".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.errors import LogError
from hub.tlog.merkle import Span, Subtree

if TYPE_CHECKING:
    from collections.abc import Iterable

TILE_WIDTH = 256
"""Hashes in a full tile, and entries in a full bundle."""

_TILE_HEIGHT = 8
_HIGHEST_LEVEL = 63
_LONGEST_ENTRY = 0xFFFF
# Seven groups number more tiles than a tree of 2**64 entries has; no longer number need be read.
_PLACE = re.compile(r"((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?")
_LEVEL = re.compile(r"[0-9]{1,2}")


@dataclass(frozen=True)
class Place:
    """Where in its level a tile or bundle is, and how much of it is meant.

    Attributes:
        index: counted from 0, left to right.
        width: 1 to 256 hashes or entries; fewer than 256 make it partial.

    Raises:
        ValueError: there is no such place.
    """

    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if self.index < 0 or not 1 <= self.width <= TILE_WIDTH:
            raise ValueError("a tile has an index from 0 on and a width from 1 to 256")

    @property
    def span(self) -> Span:
        """The numbers, within the level, of what it holds."""
        start = self.index * TILE_WIDTH
        return Span(start, start + self.width)

    def to_path(self) -> str:
        """Write it as the end of an address: `x001/x234/067`, or `x001/x234/067.p/8`."""
        digits = str(self.index)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        *first, last = (digits[start : start + 3] for start in range(0, len(digits), 3))
        suffix = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return "".join(f"x{group}/" for group in first) + last + suffix

    @classmethod
    def from_path(cls, path: str) -> Place:
        """Read what `to_path` wrote.

        Raises:
            LogError: `log.tile_unknown`: it is anything else, be it another spelling of the same number; one
                tile must not have two addresses.
        """
        found = _PLACE.fullmatch(path)
        if found is None:
            raise LogError("log.tile_unknown", "this is not the address of a tile")
        digits, width = found.groups()
        try:
            place = cls(int(re.sub(r"[x/]", "", digits)), TILE_WIDTH if width is None else int(width))
        except ValueError as exc:
            raise LogError("log.tile_unknown", "a partial tile is 1 to 255 wide") from exc
        if place.to_path() != path:
            raise LogError("log.tile_unknown", f"this tile is addressed as {place.to_path()}")
        return place


@dataclass(frozen=True)
class Tile:
    """A tile of hashes.

    Attributes:
        level: 0 to 63; 0 holds leaf hashes.
        place: within the level.
    """

    level: int
    place: Place

    @classmethod
    def from_path(cls, level: str, place: str) -> Tile:
        """Read the two parts of a tile's address, `<L>` and `<N>[.p/<W>]`.

        Raises:
            LogError: `log.tile_unknown`: they are not written as the standard says.
        """
        if not _LEVEL.fullmatch(level) or str(int(level)) != level or int(level) > _HIGHEST_LEVEL:
            raise LogError("log.tile_unknown", "a tile's level is a number from 0 to 63")
        return cls(int(level), Place.from_path(place))

    @property
    def size(self) -> int:
        """The size of the smallest tree that has all its hashes."""
        return self.place.span.end << (_TILE_HEIGHT * self.level)

    def subtrees(self) -> list[Subtree]:
        """Return the complete subtrees whose hashes it holds, left to right."""
        return [Subtree(_TILE_HEIGHT * self.level, number) for number in range(*self.place.span)]


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Write entries one after the other, each behind its length in two bytes, the higher one first.

    Raises:
        LogError: `log.corrupt`: an entry is longer than 65,535 bytes; this log writes none that is.
    """
    parts = []
    for entry in entries:
        if len(entry) > _LONGEST_ENTRY:
            raise LogError("log.corrupt", f"an entry of {len(entry)} bytes does not fit into a bundle")
        parts += [len(entry).to_bytes(2, "big"), entry]
    return b"".join(parts)
