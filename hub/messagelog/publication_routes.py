# SPDX-License-Identifier: Apache-2.0
"""The log over HTTP for everybody: checkpoints, entries, and proofs that can be checked without the hub.

Source: docs/protocols/log.md; C2SP tlog-checkpoint, tlog-proof and tlog-policy.
"""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
from typing import Annotated

from fastapi import APIRouter, Query, Response

from hub.errors import LogError
from hub.messagelog.publication import PublishedLog
from hub.tlog import PROOF_FILE_SUFFIX, read_number, write_base64

_TEXT = "text/plain; charset=utf-8"
# What is answered changes with the next checkpoint or cosignature.
_CHANGING = {"Cache-Control": "no-cache"}
_FOR_GOOD = {"Cache-Control": "public, max-age=31536000, immutable"}


def published_log_routes(log: PublishedLog) -> APIRouter:
    """Make the routes under `/log` for checkpoints, entries and proofs."""
    router = APIRouter(prefix="/log", tags=["log"])

    @router.get("/checkpoint", response_class=Response)
    def read_checkpoint(*, witnessed: Annotated[bool, Query()] = False) -> Response:
        """Return the log's signed checkpoint with its cosignatures; public.

        With `witnessed`, the largest one that the log's quorum of witnesses cosigned.
        """
        signed = log.witnessed_checkpoint() if witnessed else log.fresh_checkpoint()
        return Response(signed.note, media_type=_TEXT, headers=_CHANGING)

    @router.get("/policy", response_class=Response)
    def read_policy() -> Response:
        """Return the log's key, witnesses and quorum as the hub claims them; public.

        Whoever wants to rely on it compares the keys by another way first.
        """
        return Response(log.policy.encode(), media_type=_TEXT, headers=_CHANGING)

    @router.get("/entries/{index}", response_class=Response)
    def read_entry(index: str) -> Response:
        """Return an entry as it is hashed; public."""
        return Response(log.entry(_number(index)), media_type="application/json", headers=_FOR_GOOD)

    @router.get("/entries/{index}/proof", response_class=Response)
    def read_proof(index: str) -> Response:
        """Return the proof file (C2SP tlog-proof) that an entry is in the log; public."""
        number = _number(index)
        name = f'attachment; filename="entry-{number}{PROOF_FILE_SUFFIX}"'
        headers = {**_CHANGING, "Content-Disposition": name}
        return Response(log.proof(number).encode(), media_type=_TEXT, headers=headers)

    @router.get("/consistency/{old}/{new}", response_class=Response)
    def read_consistency(old: str, new: str) -> Response:
        """Return the proof that a checkpoint grew out of a smaller one: a hash a line, base64; public."""
        proof = log.consistency(_number(old), _number(new))
        lines = "".join(f"{write_base64(each)}\n" for each in proof)
        return Response(lines, media_type=_TEXT, headers=_FOR_GOOD)

    return router


def _number(text: str) -> int:
    # One spelling only, so that nothing has two addresses.
    try:
        return read_number(text)
    except ValueError as exc:
        raise LogError("log.entry_unknown", "not the number of an entry or of entries") from exc
