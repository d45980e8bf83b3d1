# SPDX-License-Identifier: Apache-2.0
"""Erasure and holds over HTTP: auditors look and place holds, administrators erase and release.

Everything done here stays on record with who did it: an erasure in its record and the message log, a hold and
its release in rows that are never changed. What a hold names may be personal, so it stands in no address.

Source: docs/users/operator.md; ADR 0020.
"""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from hub.accounts import Principal, Role
from hub.clock import format_instant
from hub.errors import VaultError
from hub.vault.erasure import ErasableKey, Eraser, read_record
from hub.vault.holds import Hold
from hub.vault.keyids import KeyId
from hub.vault.store import Erasure

LONGEST_TEXT = 200

_logger = structlog.get_logger(__name__)
_Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT, pattern=r"^\S(.*\S)?$")]


class ErasureWanted(BaseModel):
    """Why a key is destroyed.

    Attributes:
        reason: for good, without personal data: the rule or the decision.
        before_its_time: although its retention is not over.
    """

    model_config = ConfigDict(extra="forbid")

    reason: _Text
    before_its_time: bool = False


class HoldWanted(BaseModel):
    """What shall not be erased, or may be again.

    Attributes:
        subject: a case number, a conversation's id, or a data key.
        reason: why, and by which decision.
    """

    model_config = ConfigDict(extra="forbid")

    subject: _Text
    reason: _Text


def vault_routes(eraser: Eraser, authenticate: Callable[..., Principal]) -> APIRouter:
    """Make the routes under `/api/v1/vault`.

    Args:
        eraser: lists and erases; it knows the holds.
        authenticate: the dependency that gives a route its caller, `hub.accounts.authenticated`.
    """
    router = APIRouter(prefix="/api/v1/vault", tags=["vault"])
    _add_erasures(router, eraser, authenticate)
    _add_holds(router, eraser, authenticate)
    return router


def _add_erasures(router: APIRouter, eraser: Eraser, authenticate: Callable[..., Principal]) -> None:
    def looks(principal: Annotated[Principal, Depends(authenticate)]) -> Principal:
        principal.require(Role.AUDITOR, Role.OPERATOR, Role.ADMINISTRATOR)
        return principal

    def erases(principal: Annotated[Principal, Depends(authenticate)]) -> Principal:
        principal.require(Role.ADMINISTRATOR)
        return principal

    @router.get("/due", dependencies=[Depends(looks)])
    def list_due(at: datetime | None = None) -> list[dict[str, Any]]:
        """List the data keys whose retention is over, now or at another instant; held ones too."""
        now = eraser.clock.now()
        wanted = now if at is None else at.replace(tzinfo=at.tzinfo or now.tzinfo)
        return [_view_key(each) for each in eraser.due(wanted)]

    @router.get("/keys/{key}", dependencies=[Depends(looks)])
    def show_key(key: str) -> dict[str, Any]:
        """Say what destroying a data key would erase."""
        return _view_key(eraser.look_at(_key_id(key)))

    @router.get("/erasures", dependencies=[Depends(looks)])
    def list_erasures() -> list[dict[str, Any]]:
        """List what was erased, with the records whose digests stand in the log; the oldest first."""
        return [_view_erasure(each) for each in eraser.done()]

    @router.post("/keys/{key}/erasure")
    def erase(
        key: str, wanted: ErasureWanted, principal: Annotated[Principal, Depends(erases)]
    ) -> dict[str, Any]:
        """Destroy a data key for good; cut off, or asked again, it ends what was begun."""
        erasure = eraser.erase(
            _key_id(key),
            reason=wanted.reason,
            by=f"administrator, {principal.subject}",
            before_its_time=wanted.before_its_time,
        )
        _logger.info("vault.erased_by_request", key=key, by=principal.subject)
        return _view_erasure(erasure)


def _add_holds(router: APIRouter, eraser: Eraser, authenticate: Callable[..., Principal]) -> None:
    holds = eraser.holds

    def places(principal: Annotated[Principal, Depends(authenticate)]) -> Principal:
        principal.require(Role.AUDITOR, Role.ADMINISTRATOR)
        return principal

    def releases(principal: Annotated[Principal, Depends(authenticate)]) -> Principal:
        principal.require(Role.ADMINISTRATOR)
        return principal

    @router.get("/holds", dependencies=[Depends(places)])
    def list_holds() -> list[dict[str, Any]]:
        """List the holds that are in force, the oldest first."""
        return [_view_hold(hold) for hold in holds.active()]

    @router.post("/holds", status_code=201)
    def place_hold(wanted: HoldWanted, principal: Annotated[Principal, Depends(places)]) -> dict[str, Any]:
        """Stop the erasure of everything of a case, of a conversation, or under a data key."""
        placed = holds.place(wanted.subject, reason=wanted.reason, by=principal.subject)
        _logger.info("vault.hold_placed", hold=placed.id, kind=placed.kind.value, by=principal.subject)
        return _view_hold(placed) | {"keys": sorted(map(str, holds.keys_of(placed)))}

    @router.post("/holds/release")
    def release_holds(
        wanted: HoldWanted, principal: Annotated[Principal, Depends(releases)]
    ) -> list[dict[str, Any]]:
        """Release every hold on a subject."""
        released = holds.release(wanted.subject, reason=wanted.reason, by=principal.subject)
        for hold in released:
            _logger.info("vault.hold_released", hold=hold.id, by=principal.subject)
        return [_view_hold(hold) for hold in released]


def _key_id(text: str) -> KeyId:
    try:
        return KeyId.parse(text)
    except ValueError as exc:
        raise VaultError("vault.key_unknown", text[:40]) from exc


def _view_key(erasable: ErasableKey) -> dict[str, Any]:
    end = erasable.retention_ends_at
    return {
        "key": str(erasable.key_id),
        "containers": erasable.containers,
        "bytes": erasable.size,
        "kept_until": format_instant(end) if end else None,
        "holds": len(erasable.holds),
    }


def _view_erasure(erasure: Erasure) -> dict[str, Any]:
    return {
        "key": str(erasure.key_id),
        "erased_at": erasure.erased_at,
        "reason": erasure.reason,
        "record": read_record(erasure.record),
        "record_sha256": hashlib.sha256(erasure.record).hexdigest(),
    }


def _view_hold(hold: Hold) -> dict[str, Any]:
    return {
        "id": hold.id,
        "kind": hold.kind.value,
        "subject": hold.subject,
        "reason": hold.reason,
        "placed_by": hold.placed_by,
        "placed_at": format_instant(hold.placed_at),
    }
