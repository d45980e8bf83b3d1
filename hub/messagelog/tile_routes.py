# SPDX-License-Identifier: Apache-2.0
"""The log as tiles over HTTP, for mirrors and monitors; public, as the checkpoints are.

Together with `/log/checkpoint` this is a tiled log with the prefix `/log`.

Source: C2SP tlog-tiles; RFC 9111 and RFC 8246 (caching), RFC 9110 section 12.5.3 (Accept-Encoding).
"""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
import gzip
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response

from hub.errors import LogError
from hub.messagelog.published import PublishedTree
from hub.tlog import Place, Tile

TILE_MEDIA_TYPE = "application/octet-stream"
# A tile never changes; a partial one keeps its own address when the tree has grown past it.
_FOR_GOOD = {"Cache-Control": "public, max-age=31536000, immutable"}


def tiled_log_routes(tree: PublishedTree) -> APIRouter:
    """Make the routes under `/log/tile`."""
    router = APIRouter(prefix="/log/tile", tags=["log"], dependencies=[Depends(_require_whole_address)])

    # Before the other one, which would take "entries" for a level.
    @router.get("/entries/{index:path}", response_class=Response)
    def read_bundle(index: str, accept_encoding: Annotated[str, Header()] = "") -> Response:
        """Return up to 256 entries, each behind its length; compressed when asked for; public."""
        bundle = tree.bundle(Place.from_path(index))
        headers = {**_FOR_GOOD, "Vary": "Accept-Encoding"}
        if _takes_gzip(accept_encoding):
            headers["Content-Encoding"] = "gzip"
            # Without the time of day, the same bundle is the same bytes.
            bundle = gzip.compress(bundle, mtime=0)
        return Response(bundle, media_type=TILE_MEDIA_TYPE, headers=headers)

    @router.get("/{level}/{index:path}", response_class=Response)
    def read_tile(level: str, index: str) -> Response:
        """Return up to 256 neighbouring hashes of the tree, 32 bytes each; public."""
        content = tree.tile(Tile.from_path(level, index))
        return Response(content, media_type=TILE_MEDIA_TYPE, headers=_FOR_GOOD)

    return router


def _require_whole_address(request: Request) -> None:
    # The router drops a line feed at the end, which would give a tile a second address.
    if request.scope["path"].endswith("\n"):
        raise LogError("log.tile_unknown", "this is not the address of a tile")


def _takes_gzip(accept_encoding: str) -> bool:
    """Say whether a caller named gzip; one who named nothing or any coding gets the bytes as they are."""
    for part in accept_encoding.lower().split(","):
        coding, *parameters = (each.strip() for each in part.split(";"))
        if coding == "gzip":
            return not any(each.startswith("q=") and not each[2:].strip("0.") for each in parameters)
    return False
