# SPDX-License-Identifier: Apache-2.0
"""The log's health over HTTP, for operators, auditors and administrators."""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from hub.accounts import Principal, Role
from hub.clock import format_instant
from hub.messagelog.health import LogHealth, LogState


class CheckpointView(BaseModel):
    """A signed checkpoint; instants are UTC."""

    size: int
    signed_at: str | None


class WitnessView(BaseModel):
    """What a witness countersigned last."""

    name: str
    size: int | None
    cosigned_at: str | None


class StampsView(BaseModel):
    """What was time-stamped last, and what waits."""

    size: int | None
    stamped_at: str | None
    waiting: int
    waiting_since: str | None


class AuditView(BaseModel):
    """What the last audit said."""

    at: str
    size: int
    findings: int
    first_entry: int | None
    compared: list[str]


class LogHealthView(BaseModel):
    """How the log is now."""

    origin: str
    verifier_key: str
    size: int
    last_checkpoint: CheckpointView | None
    witnesses: list[WitnessView]
    stamps: StampsView
    audit: AuditView | None


def log_health_routes(health: LogHealth, authenticate: Callable[..., Principal]) -> APIRouter:
    """Make the route `/api/v1/log/health`."""
    router = APIRouter(prefix="/api/v1/log", tags=["log"])

    @router.get("/health")
    def show_health(caller: Annotated[Principal, Depends(authenticate)]) -> LogHealthView:
        """Show the log's size, checkpoints, time stamps and witnesses, and what the last audit said."""
        caller.require(Role.ADMINISTRATOR, Role.OPERATOR, Role.AUDITOR)
        return view_health(health.state())

    return router


def view_health(state: LogState) -> LogHealthView:
    """Write a log's state for programs."""
    last, audit = state.last_checkpoint, state.audit
    return LogHealthView(
        origin=state.origin,
        verifier_key=state.verifier_key,
        size=state.size,
        last_checkpoint=CheckpointView(size=last.size, signed_at=_written(last.signed_at)) if last else None,
        witnesses=[
            WitnessView(name=each.name, size=each.size, cosigned_at=_written(each.cosigned_at))
            for each in state.witnesses
        ],
        stamps=StampsView(
            size=state.stamps.size,
            stamped_at=_written(state.stamps.stamped_at),
            waiting=state.stamps.waiting,
            waiting_since=_written(state.stamps.waiting_since),
        ),
        audit=AuditView(
            at=format_instant(audit.at),
            size=audit.size,
            findings=audit.findings,
            first_entry=audit.first_entry,
            compared=list(audit.compared),
        )
        if audit
        else None,
    )


def _written(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)
