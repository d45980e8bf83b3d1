# SPDX-License-Identifier: Apache-2.0
"""The log's checkpoints with their time stamps and evidence records over HTTP; public.

Source: RFC 4998 (evidence records).
"""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel

from hub.clock import format_instant
from hub.messagelog.evidencerecords import EvidenceRecords
from hub.messagelog.stamps import CheckpointStamps

TOKEN_MEDIA_TYPE = "application/vnd.etsi.timestamp-token"  # noqa: S105 (a media type)
RECORD_MEDIA_TYPE = "application/octet-stream"
"""No media type is registered for evidence records in ASN.1."""

_LARGEST_SIZE = 2**53 - 1

_Size = Annotated[int, Path(ge=0, le=_LARGEST_SIZE)]


class StampView(BaseModel):
    """A time-stamped checkpoint: the log's size, the authority's time, and its name (RFC 4514)."""

    size: int
    stamped_at: str
    authority: str


def stamp_routes(stamps: CheckpointStamps, records: EvidenceRecords) -> APIRouter:
    """Make the routes under `/log`."""
    router = APIRouter(prefix="/log", tags=["log"])

    @router.get("/stamps")
    def list_stamps(
        first: Annotated[int, Query(ge=0, le=_LARGEST_SIZE)] = 0,
        most: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> list[StampView]:
        """List time-stamped checkpoints of at least `first` entries, smallest first; public.

        The first one listed for `first=N+1` is the earliest proof of when entry N existed.
        """
        return [
            StampView(size=each.size, stamped_at=format_instant(each.stamped_at), authority=each.authority)
            for each in stamps.stamps(first, most)
        ]

    @router.get("/stamps/{size}", response_class=Response)
    def read_stamp(size: _Size) -> Response:
        """Return the time-stamp token (RFC 3161) over the hash tree that holds the checkpoint; public.

        What leads from the checkpoint to the tree's root is in its evidence record.
        """
        return Response(stamps.stamp(size).token, media_type=TOKEN_MEDIA_TYPE)

    @router.get("/checkpoints/{size}", response_class=Response)
    def read_checkpoint(size: _Size) -> Response:
        """Return the signed checkpoint of this size, byte for byte what is time-stamped; public."""
        return Response(stamps.checkpoint(size), media_type="text/plain; charset=utf-8")

    @router.get("/checkpoints/{size}/record", response_class=Response)
    def read_record(size: _Size) -> Response:
        """Return the evidence record (RFC 4998, DER) of the checkpoint of this size; public."""
        return Response(records.of_checkpoint(size), media_type=RECORD_MEDIA_TYPE)

    return router
