# SPDX-License-Identifier: Apache-2.0
"""What anybody may copy of the log: as much of it as a checkpoint was signed for.

What is not signed yet stays inside: the hub has not answered for it, so nobody outside may build on it.

Source: C2SP tlog-tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.errors import LogError
from hub.messagelog import store
from hub.tlog import encode_bundle, leaf_hash

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from hub.tlog import Place, Tile


class PublishedTree:
    """The tiles and entry bundles of a log; reads only."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tile(self, tile: Tile) -> bytes:
        """Return a tile: its hashes, 32 bytes each, left to right.

        Raises:
            LogError: `log.tile_unknown`: no checkpoint covers it; `log.corrupt`: a hash is missing.
        """
        with self._engine.connect() as connection:
            _require_signed(connection, tile.size)
            subtrees = tile.subtrees()
            hashes = store.read_hashes(connection, subtrees)
        return b"".join(hashes[subtree] for subtree in subtrees)

    def bundle(self, place: Place) -> bytes:
        """Return an entry bundle: each entry as it was hashed, behind its length.

        Raises:
            LogError: `log.tile_unknown`: no checkpoint covers it; `log.corrupt`: an entry is missing or was
                changed. Copies are kept for good, so what is wrong must not leave.
        """
        with self._engine.connect() as connection:
            _require_signed(connection, place.span.end)
            leaves = list(store.read_leaves(connection, place.span))
        if [new.leaf_index for new in leaves] != list(range(*place.span)):
            raise LogError("log.corrupt", f"an entry from {place.span.start} on is missing")
        for new in leaves:
            if leaf_hash(new.leaf) != new.leaf_hash:
                raise LogError("log.corrupt", f"entry {new.leaf_index} was changed")
        return encode_bundle(new.leaf for new in leaves)


def _require_signed(connection: Connection, size: int) -> None:
    if size > store.read_largest(connection):
        raise LogError("log.tile_unknown", "no signed checkpoint covers this tile")
