# SPDX-License-Identifier: Apache-2.0
"""A copy of the log's tiles, in a folder or at an address, that shows what the log once was.

Nothing of it is believed but what its signed checkpoint proves: every tile is hashed up to that root.

Source: C2SP tlog-tiles.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import httpx2

from hub.errors import LogError
from hub.messagelog.claims import Claim, Source, open_claim
from hub.messagelog.locating import Located, locate
from hub.tlog import HASH_BYTES, TILE_WIDTH, Frontier, Place, Span, Subtree, Tile, fold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hub.messagelog.locating import Hashes
    from hub.tlog import VerifierKey

_HEIGHT = 8
_SECONDS = 10.0
_MOST_BYTES = 1 << 20
_MOST_LOCATED = 500


class Shelf(Protocol):
    """Where a copy lies."""

    name: str

    def read(self, path: str) -> bytes:
        """Return a file of the copy by its path below the log's prefix.

        Raises:
            LogError: `log.tile_unknown`.
        """
        ...


class FolderShelf:
    """A copy in a folder."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._folder = folder

    def read(self, path: str) -> bytes:
        """Return a file of the copy."""
        try:
            return (self._folder / path).read_bytes()
        except OSError as exc:
            raise LogError("log.tile_unknown", f"{self.name} has no {path}") from exc


class HttpShelf:
    """A copy at an address."""

    def __init__(self, url: str, client: httpx2.Client | None = None) -> None:
        self.name = url
        self._client = client or httpx2.Client(timeout=httpx2.Timeout(_SECONDS))

    def read(self, path: str) -> bytes:
        """Return a file of the copy."""
        try:
            answer = self._client.get(f"{self.name.rstrip('/')}/{path}")
            answer.raise_for_status()
        except httpx2.HTTPError as exc:
            raise LogError("log.tile_unknown", f"{self.name} gives no {path}: {exc}") from exc
        if len(answer.content) > _MOST_BYTES:
            raise LogError("log.tile_unknown", f"{self.name}: {path} is too large")
        return answer.content


def open_shelf(place: str) -> Shelf:
    """Open a copy by its address or folder."""
    return HttpShelf(place) if place.startswith(("http://", "https://")) else FolderShelf(Path(place))


class Mirror:
    """A copy of a log whose tiles give its signed checkpoint.

    Raises:
        LogError: `log.checkpoint_invalid`: the checkpoint is not this log's, or the tiles do not give it;
            `log.tile_unknown`: a tile is not there.
    """

    def __init__(self, shelf: Shelf, verifiers: Sequence[VerifierKey], origin: str) -> None:
        self._shelf = shelf
        note = shelf.read("checkpoint").decode("utf-8", "replace")
        self.claim: Claim = open_claim(note, verifiers, origin, Source.MIRROR, shelf.name)
        self._tiles: dict[tuple[int, int], list[bytes]] = {}
        self._proven: set[tuple[int, int]] = set()
        peaks = [self._within_tile(subtree) for subtree in Span(0, self.claim.size).subtrees()]
        if fold(peaks) != self.claim.root:
            raise LogError("log.checkpoint_invalid", f"the tiles of {shelf.name} do not give its checkpoint")

    def hash_of(self, subtree: Subtree) -> bytes:
        """Return the proven hash of a complete subtree within the copy."""
        level, rest = divmod(subtree.level, _HEIGHT)
        self._require_proven(level, subtree.number >> (_HEIGHT - rest))
        return self._within_tile(subtree)

    def compare(self, hashes: Hashes, size: int) -> Located:
        """Find the leaves of the first `size` that differ from the copy's, as far as the copy reaches."""
        peaks = Span(0, min(size, self.claim.size)).subtrees()
        return locate(_Proven(hashes, self), {peak: self.hash_of(peak) for peak in peaks}, _MOST_LOCATED)

    def _within_tile(self, subtree: Subtree) -> bytes:
        """Compute a subtree's hash from the tile that holds what is below it."""
        level, rest = divmod(subtree.level, _HEIGHT)
        first = subtree.number << rest
        tile = self._tile(level, first // TILE_WIDTH)
        start = first % TILE_WIDTH
        return _root_over(tile[start : start + (1 << rest)])

    def _tile(self, level: int, index: int) -> list[bytes]:
        known = self._tiles.get((level, index))
        if known is None:
            width = min((self.claim.size >> (_HEIGHT * level)) - index * TILE_WIDTH, TILE_WIDTH)
            path = Tile(level, Place(index, width)).place.to_path()
            raw = self._shelf.read(f"tile/{level}/{path}")
            if len(raw) != width * HASH_BYTES:
                raise LogError(
                    "log.checkpoint_invalid", f"{self._shelf.name}: tile/{level}/{path} is cut off"
                )
            known = [raw[start : start + HASH_BYTES] for start in range(0, len(raw), HASH_BYTES)]
            self._tiles[level, index] = known
        return known

    def _require_proven(self, level: int, index: int) -> None:
        """Hash full tiles up to one that is not full; those gave the signed root when the copy was opened."""
        tile = self._tile(level, index)
        if len(tile) < TILE_WIDTH or (level, index) in self._proven:
            return
        above = self._tile(level + 1, index // TILE_WIDTH)
        if above[index % TILE_WIDTH] != _root_over(tile):
            raise LogError(
                "log.checkpoint_invalid", f"{self._shelf.name}: a tile of level {level} was changed"
            )
        self._require_proven(level + 1, index // TILE_WIDTH)
        self._proven.add((level, index))


class _Proven:
    """The database's hashes beside the copy's proven ones."""

    def __init__(self, hashes: Hashes, mirror: Mirror) -> None:
        self._hashes = hashes
        self._mirror = mirror

    def computed(self, subtree: Subtree) -> bytes | None:
        return self._hashes.computed(subtree)

    def stored(self, subtree: Subtree) -> bytes | None:
        return self._mirror.hash_of(subtree)

    def known(self, span: Span) -> Mapping[int, bytes]:
        return self._hashes.known(span)


def _root_over(hashes: list[bytes]) -> bytes:
    frontier = Frontier()
    for each in hashes:
        frontier, _ = frontier.append(each)
    return frontier.root()
