# SPDX-License-Identifier: Apache-2.0
"""The exchange over HTTP: messages in, answers and proofs out.

Source: docs/protocols/exchange.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from hub.accounts import Principal, Role
from hub.clock import Clock
from hub.envelope import CONTAINER_MEDIA_TYPE
from hub.errors import ExchangeError
from hub.exchange.archive import Archive
from hub.exchange.downloads import Tickets, answer_outcome, download_routes, send_container
from hub.exchange.model import ExchangeRecord
from hub.exchange.pipeline import Pipeline
from hub.exchange.readings import Readings, What
from hub.exchange.search_routes import add_search
from hub.exchange.views import ExchangeView, may_see, read_message_id, view_exchange
from hub.messagelog import MessageLog
from hub.problems import require
from hub.tlog import LoggedEntry
from hub.wire import client_member


class ProofView(BaseModel):
    """That an entry is in the log: its place, the path to the root, and the signed checkpoint.

    Hashes are hexadecimal; `entry` is the logged JSON text whose leaf hash is proven (RFC 9162 section 2.1).
    """

    index: int
    entry: str
    leaf_sha256: str
    tree_size: int
    path: list[str]
    checkpoint: str


@dataclass(frozen=True)
class _Parts:
    pipeline: Pipeline
    archive: Archive
    log: MessageLog
    clock: Clock
    readings: Readings
    tickets: Tickets


def exchange_routes(  # noqa: PLR0913 (its dependencies)
    *,
    pipeline: Pipeline,
    archive: Archive,
    log: MessageLog,
    clock: Clock,
    readings: Readings,
    authenticate: Callable[..., Principal],
) -> APIRouter:
    """Return the routes of the exchange."""
    router = APIRouter(tags=["exchange"])
    parts = _Parts(pipeline, archive, log, clock, readings, Tickets(archive.vault, clock))
    _add_messages(router, parts)
    router.include_router(download_routes(parts.tickets))
    add_search(router, archive, readings, clock, authenticate)
    _add_records(router, parts, authenticate)
    _add_log(router, parts, authenticate)
    return router


def _add_messages(router: APIRouter, parts: _Parts) -> None:
    @router.post(
        "/api/v1/messages",
        responses={
            200: {"content": {CONTAINER_MEDIA_TYPE: {}}},
            202: {"content": {CONTAINER_MEDIA_TYPE: {}}, "description": "The hub's signed receipt."},
        },
        response_class=Response,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {CONTAINER_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def send_message(request: Request) -> Response:
        """Send a signed request; the signature is the credential.

        The answer is the response's container, or a signed fault's with the HTTP status of its code. The
        hub's final receipt comes in the header `Heliograph-Receipt`, base64.

        With `Prefer: respond-async` (RFC 7240), and for messages that have no answer, it is 202 and the
        signed receipt `accepted`: the message is delivered from the outbox.
        """
        raw = await read_body(request, parts.pipeline.limits.container_bytes)
        is_async = prefers_async(request.headers.getlist("prefer"))
        outcome = await parts.pipeline.exchange(
            raw,
            received_at=parts.clock.now(),
            is_awaited=not is_async,
            connected_as=client_member(request.scope.get("state", {})),
        )
        response = answer_outcome(outcome, parts.tickets)
        if outcome.is_queued and is_async:
            response.headers["Preference-Applied"] = "respond-async"
        return response


def _add_records(router: APIRouter, parts: _Parts, authenticate: Callable[..., Principal]) -> None:
    Caller = Annotated[Principal, Depends(authenticate)]  # noqa: N806 - it is a type

    @router.get("/api/v1/messages/{message_id}")
    def show_message(message_id: str, caller: Caller) -> ExchangeView:
        """Show where one exchange stands."""
        return view_exchange(_visible(parts, caller, message_id))

    @router.get("/api/v1/messages/{message_id}/{part}", response_class=Response)
    def read_container(message_id: str, part: str, caller: Caller, request: Request) -> Response:
        """Return a kept container (`request`, `answer`, `receipt`) to auditors and the two parties."""
        record = _visible(parts, caller, message_id)
        digests = {
            "request": record.request_sha256,
            "answer": record.answer_sha256,
            "receipt": record.receipt_sha256,
        }
        digest = digests.get(part)
        if digest is None:
            raise ExchangeError("exchange.message_unknown", f"no {part[:20]} of this message is kept")
        is_party = caller.subsystem in {record.sender, record.recipient}
        require(
            part == "receipt" or is_party or Role.AUDITOR in caller.roles,
            "content is for auditors and the two parties",
        )
        parts.readings.record(caller, What.CONTAINER, [record.message_id], at=parts.clock.now(), detail=part)
        return send_container(parts.archive.vault, digest, request.headers.get("range"))


def _add_log(router: APIRouter, parts: _Parts, authenticate: Callable[..., Principal]) -> None:
    @router.get("/api/v1/log/proofs/{message_id}")
    def prove(message_id: str, caller: Annotated[Principal, Depends(authenticate)]) -> list[ProofView]:
        """Prove that every entry about a message and its answer is in the log."""
        # Read before the checkpoint is signed, so that it covers every one of them.
        entries = _entries(parts, _visible(parts, caller, message_id))
        checkpoint = parts.log.checkpoint()
        size = checkpoint.checkpoint.size
        return [
            ProofView(
                index=logged.position.index,
                entry=logged.entry.to_bytes().decode("utf-8"),
                leaf_sha256=logged.position.leaf_hash.hex(),
                tree_size=size,
                path=[node.hex() for node in parts.log.inclusion_proof(logged.position.index, size)],
                checkpoint=checkpoint.note,
            )
            for logged in entries
        ]


def _entries(parts: _Parts, record: ExchangeRecord) -> tuple[LoggedEntry, ...]:
    entries = parts.log.entries_of(record.message_id)
    if record.answer_sha256 is not None:
        # An answer is logged under its own id; the final receipt names that entry.
        answer = parts.archive.vault.envelope(record.answer_sha256)
        entries += parts.log.entries_of(answer.header.id)
    return entries


def prefers_async(headers: list[str]) -> bool:
    """Tell whether a caller would rather be answered at once than wait.

    Source: RFC 7240 sections 2 and 4.1.
    """
    preferences = (each for header in headers for each in header.split(","))
    return any(each.partition(";")[0].strip().lower() == "respond-async" for each in preferences)


async def read_body(request: Request, most: int) -> bytes:
    """Read a body, but not much more than is allowed; the pipeline refuses what is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            break
    return bytes(body[: most + 1])


def _visible(parts: _Parts, caller: Principal, message_id: str) -> ExchangeRecord:
    record = parts.archive.exchange(read_message_id(message_id))
    if not may_see(caller, record):
        # Who may not see it learns no more than that it is not there for them.
        raise ExchangeError("exchange.message_unknown", message_id)
    return record
