# SPDX-License-Identifier: Apache-2.0
"""Alarms over HTTP: operators, administrators and auditors look; the first two acknowledge."""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel

from hub.accounts import Principal, Role
from hub.alarms.model import Alarm
from hub.alarms.service import MOST_ALARMS_AT_A_TIME, Alarms
from hub.clock import format_instant

_LARGEST_ID = 2**31 - 1


class AlarmView(BaseModel):
    """One alarm as callers see it; instants in UTC, `message` and `cure` by language (BCP 47)."""

    id: int
    code: str
    severity: str
    subject: str
    detail: str
    message: dict[str, str]
    cure: dict[str, str]
    raised_at: str
    last_raised_at: str
    count: int
    cleared_at: str | None
    acknowledged_by: str | None
    acknowledged_at: str | None


def alarm_routes(alarms: Alarms, authenticate: Callable[..., Principal]) -> APIRouter:
    """Make the routes under `/api/v1/alarms`."""
    router = APIRouter(prefix="/api/v1/alarms", tags=["operation"])
    Caller = Annotated[Principal, Depends(authenticate)]  # noqa: N806 - it is a type

    @router.get("")
    def list_alarms(
        caller: Caller,
        cleared: Annotated[bool, Query(description="Whether those that are over are listed too.")] = False,  # noqa: FBT002 - a query parameter is named in the address
        most: Annotated[int, Query(ge=1, le=MOST_ALARMS_AT_A_TIME)] = 100,
    ) -> list[AlarmView]:
        """List the newest alarms, newest first: the open ones, or with `cleared=true` all."""
        caller.require(Role.ADMINISTRATOR, Role.OPERATOR, Role.AUDITOR)
        return [_view(alarm) for alarm in alarms.alarms(with_cleared=cleared, most=most)]

    @router.post("/{alarm_id}/acknowledgement")
    def acknowledge(alarm_id: Annotated[int, Path(ge=1, le=_LARGEST_ID)], caller: Caller) -> AlarmView:
        """Note that you take care of an alarm; it stays open until its cause is gone."""
        caller.require(Role.ADMINISTRATOR, Role.OPERATOR)
        return _view(alarms.acknowledge(alarm_id, caller.subject))

    return router


def _view(alarm: Alarm) -> AlarmView:
    return AlarmView(
        id=alarm.id,
        code=alarm.kind.code,
        severity=alarm.kind.severity.value,
        subject=alarm.subject,
        detail=alarm.detail,
        message={language.value: text for language, text in alarm.kind.message.items()},
        cure={language.value: text for language, text in alarm.kind.cure.items()},
        raised_at=format_instant(alarm.raised_at),
        last_raised_at=format_instant(alarm.last_raised_at),
        count=alarm.count,
        cleared_at=_instant(alarm.cleared_at),
        acknowledged_by=alarm.acknowledged_by,
        acknowledged_at=_instant(alarm.acknowledged_at),
    )


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)
