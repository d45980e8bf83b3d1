# SPDX-License-Identifier: Apache-2.0
"""Evidence bundles over HTTP, sent while they are made.

Source: docs/protocols/evidence-bundle.md section 9.
"""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from hub.accounts import Principal, Role
from hub.bundles.bundle import EvidenceBundles, PreparedBundle
from hub.bundles.model import Selection
from hub.clock import parse_instant
from hub.errors import BundleError, ExchangeError
from hub.exchange import Readings, What
from hub.identifiers import MessageId, SubsystemId, is_message_id
from hub.problems import require

BUNDLE_MEDIA_TYPE = "application/zip"
COUNT_HEADER = "Heliograph-Messages"
_LONGEST_CASE = 200


def bundle_routes(
    bundles: EvidenceBundles, readings: Readings, authenticate: Callable[..., Principal]
) -> APIRouter:
    """Make the routes.

    Args:
        bundles: makes what is sent.
        readings: where it is written down who took what, before anything is sent.
        authenticate: the dependency that gives a route its caller, `hub.accounts.authenticated`.
    """
    router = APIRouter(prefix="/api/v1", tags=["evidence bundles"])
    Caller = Annotated[Principal, Depends(authenticate)]  # noqa: N806 - it is a type

    def send(caller: Principal, selection: Selection) -> StreamingResponse:
        prepared = bundles.prepare(selection)
        ids = [record.message_id for record in prepared.records]
        readings.record(caller, What.EVIDENCE, ids, at=bundles.clock.now(), detail=selection.kind)
        return _send(prepared)

    @router.get("/messages/{message_id}/evidence", response_class=StreamingResponse)
    def export_message(message_id: str, caller: Caller) -> StreamingResponse:
        """Export the evidence of one message; for auditors and its parties."""
        return send(caller, Selection(message=_message_id(message_id), party=_party_of(caller)))

    @router.get("/evidence-bundles", response_class=StreamingResponse)
    def export_bundle(  # noqa: PLR0913 - each of the query's fields by its name
        caller: Caller,
        *,
        message: str | None = None,
        conversation: str | None = None,
        case: Annotated[str | None, Query(min_length=1, max_length=_LONGEST_CASE)] = None,
        since: str | None = None,
        until: str | None = None,
    ) -> StreamingResponse:
        """Export the evidence of many messages; parties get those of their own."""
        selection = Selection(
            message=_message_id(message) if message is not None else None,
            conversation=_message_id(conversation) if conversation is not None else None,
            case=case,
            since=_instant("since", since),
            until=_instant("until", until),
            party=_party_of(caller),
        )
        return send(caller, selection)

    return router


def _party_of(caller: Principal) -> SubsystemId | None:
    """Return whose messages a caller may export; None is everybody's."""
    if Role.AUDITOR in caller.roles:
        return None
    require(caller.subsystem is not None, "evidence is for auditors and the parties of a message")
    return caller.subsystem


def _message_id(text: str) -> MessageId:
    if not is_message_id(text):
        raise ExchangeError("exchange.message_unknown", "not a message id")
    return MessageId(text)


def _instant(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError as exc:
        raise BundleError("bundle.selection_invalid", f"{name}: not like 2026-03-01T08:00:00.000Z") from exc


def _send(prepared: PreparedBundle) -> StreamingResponse:
    return StreamingResponse(
        prepared.stream(),
        media_type=BUNDLE_MEDIA_TYPE,
        headers={
            "Content-Disposition": f'attachment; filename="{prepared.file_name}"',
            COUNT_HEADER: str(len(prepared.records)),
            "Cache-Control": "no-store",
        },
    )
