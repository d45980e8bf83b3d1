# SPDX-License-Identifier: Apache-2.0
"""Readings over HTTP, for auditors: who looked at what."""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from hub.accounts import Principal, Role
from hub.clock import format_instant
from hub.errors import ExchangeError
from hub.exchange.readings import MOST_READINGS_AT_A_TIME, Readings
from hub.identifiers import MessageId, is_message_id


class ReadingView(BaseModel):
    """One reading; `detail` names containers or keys, never a value."""

    number: int
    at: str
    account: str
    subsystem: str | None
    what: str
    detail: str
    message_id: str | None


def readings_routes(readings: Readings, authenticate: Callable[..., Principal]) -> APIRouter:
    """Make the route `/api/v1/readings`."""
    router = APIRouter(tags=["exchange"])

    @router.get("/api/v1/readings")
    def list_readings(
        caller: Annotated[Principal, Depends(authenticate)],
        message: Annotated[str | None, Query(description="Only readings of this message.")] = None,
        account: Annotated[str | None, Query(max_length=200, description="Only by this account.")] = None,
        before: Annotated[int | None, Query(ge=1, le=2**53 - 1, description="Only smaller numbers.")] = None,
        most: Annotated[int, Query(ge=1, le=MOST_READINGS_AT_A_TIME)] = 100,
    ) -> list[ReadingView]:
        """List who searched by a business key, read a container or took evidence, the latest first."""
        caller.require(Role.AUDITOR)
        if message is not None and not is_message_id(message):
            raise ExchangeError("exchange.message_unknown", "not a message id")
        found = readings.list(
            message_id=None if message is None else MessageId(message),
            account=account,
            before=before,
            most=most,
        )
        return [
            ReadingView(
                number=each.number,
                at=format_instant(each.at),
                account=each.account,
                subsystem=each.subsystem,
                what=each.what.value,
                detail=each.detail,
                message_id=each.message_id,
            )
            for each in found
        ]

    return router
