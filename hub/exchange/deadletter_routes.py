# SPDX-License-Identifier: Apache-2.0
"""Dead letters over HTTP: operators look, replay and close; auditors look.

Source: docs/protocols/exchange.md section 11.3.
"""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from hub.accounts import Principal, Role
from hub.clock import format_instant, parse_instant
from hub.errors import ExchangeError, Language, error_kinds
from hub.exchange.deadletters import LONGEST_REASON, DeadLetters, Preview
from hub.exchange.views import read_message_id
from hub.identifiers import ServiceId, SubsystemId
from hub.outbox import DeadLetterSearch, Delivery, DeliveryNumber, DeliveryState

MOST_AT_A_TIME = 1000
_LONGEST = 200
_Number = Annotated[int, Field(ge=1, le=2**53 - 1)]


class DeadLetterView(BaseModel):
    """A dead letter as operators see it: no content, only ids, times, and why."""

    number: int
    id: str
    conversation: str
    sender: str
    recipient: str
    service: str
    state: str
    code: str | None
    detail: str | None
    cure: dict[str, str]
    attempts: int
    replays: int
    created_at: str
    ended_at: str | None
    expires_at: str
    request_sha256: str
    replayed_by: str | None
    closed_by: str | None
    closed_reason: str | None


class DeadLetterPageView(BaseModel):
    """A page of dead letters; `total` counts all that were found, `cursor` begins the next page."""

    letters: list[DeadLetterView]
    total: int
    cursor: int | None


class SkippedView(BaseModel):
    """A dead letter that is not delivered once more, and why."""

    number: int
    code: str


class PreviewView(BaseModel):
    """What a replay would do."""

    can: list[int]
    cannot: list[SkippedView]


class ReplayedView(BaseModel):
    """What a replay did."""

    replayed: int
    skipped: list[SkippedView]


class ClosedView(BaseModel):
    """How many dead letters were closed."""

    closed: int


@dataclass(frozen=True)
class LetterQuery:
    """The parameters of a search, as they stand in an address."""

    service: Annotated[str | None, Query(max_length=_LONGEST)] = None
    code: Annotated[str | None, Query(max_length=_LONGEST)] = None
    recipient: Annotated[str | None, Query(max_length=_LONGEST, description="A subsystem.")] = None
    sender: Annotated[str | None, Query(max_length=_LONGEST, description="A subsystem.")] = None
    message: Annotated[str | None, Query(max_length=_LONGEST, description="A message id.")] = None
    since: Annotated[str | None, Query(max_length=24, description="Ended then or later, UTC.")] = None
    until: Annotated[str | None, Query(max_length=24, description="Ended before then, UTC.")] = None
    closed: Annotated[bool, Query(description="Those that were closed, instead.")] = False
    cursor: Annotated[int | None, Query(ge=1, le=2**53 - 1)] = None
    most: Annotated[int, Query(ge=1, le=MOST_AT_A_TIME)] = 100

    def to_search(self) -> DeadLetterSearch:
        """Read the parameters.

        Raises:
            ExchangeError: `search_invalid`, `message_unknown`.
        """
        return DeadLetterSearch(
            service=None if self.service is None else ServiceId(self.service),
            code=self.code,
            recipient=None if self.recipient is None else SubsystemId(self.recipient),
            sender=None if self.sender is None else SubsystemId(self.sender),
            message_id=None if self.message is None else read_message_id(self.message),
            since=None if self.since is None else read_instant("since", self.since),
            until=None if self.until is None else read_instant("until", self.until),
            state=DeliveryState.CLOSED if self.closed else DeliveryState.DEAD,
            cursor=None if self.cursor is None else DeliveryNumber(self.cursor),
            most=self.most,
        )


class Chosen(BaseModel, extra="forbid"):
    """Which dead letters are meant, by their numbers."""

    numbers: Annotated[list[_Number], Field(min_length=1, max_length=MOST_AT_A_TIME)]

    def read(self) -> tuple[DeliveryNumber, ...]:
        """Return them."""
        return tuple(DeliveryNumber(each) for each in self.numbers)


class Closing(Chosen):
    """Which dead letters are closed, and why."""

    reason: Annotated[str, Field(min_length=1, max_length=LONGEST_REASON)]


def dead_letter_routes(letters: DeadLetters, authenticate: Callable[..., Principal]) -> APIRouter:
    """Make the routes under `/api/v1/dead-letters`."""
    router = APIRouter(tags=["outbox"])
    Caller = Annotated[Principal, Depends(authenticate)]  # noqa: N806 - it is a type

    @router.get("/api/v1/dead-letters")
    def list_dead_letters(query: Annotated[LetterQuery, Depends()], caller: Caller) -> DeadLetterPageView:
        """List messages that could not be delivered, the youngest first."""
        caller.require(Role.OPERATOR, Role.AUDITOR)
        search = query.to_search()
        page = letters.search(search)
        return DeadLetterPageView(
            letters=[view_letter(each) for each in page.letters],
            total=letters.count(search),
            cursor=page.cursor,
        )

    @router.post("/api/v1/dead-letters/preview")
    def preview_replay(chosen: Chosen, caller: Caller) -> PreviewView:
        """Say what a replay of these dead letters would do, without doing it."""
        caller.require(Role.OPERATOR, Role.AUDITOR)
        preview: Preview = letters.preview(chosen.read())
        return PreviewView(can=list(preview.can), cannot=_skipped(preview.cannot))

    @router.post("/api/v1/dead-letters/replay")
    def replay(chosen: Chosen, caller: Caller) -> ReplayedView:
        """Have dead letters delivered once more, from the start; logged as `replayed`."""
        caller.require(Role.OPERATOR)
        replayed = letters.replay(chosen.read(), by=caller.subject)
        return ReplayedView(replayed=replayed.count, skipped=_skipped(replayed.skipped))

    @router.post("/api/v1/dead-letters/close")
    def close(chosen: Closing, caller: Caller) -> ClosedView:
        """Leave dead letters as they are, for good, with a reason that stays on record."""
        caller.require(Role.OPERATOR)
        return ClosedView(closed=letters.close(chosen.read(), by=caller.subject, reason=chosen.reason))

    return router


def view_letter(letter: Delivery) -> DeadLetterView:
    """Show a dead letter."""
    kind = error_kinds().get(letter.code or "")
    return DeadLetterView(
        number=letter.number,
        id=letter.message_id,
        conversation=letter.conversation,
        sender=letter.sender,
        recipient=letter.recipient,
        service=letter.service,
        state=letter.state.value,
        code=letter.code,
        detail=letter.detail,
        cure={language.value: kind.cure[language] if kind else "" for language in Language},
        attempts=letter.attempts,
        replays=letter.replays,
        created_at=format_instant(letter.created_at),
        ended_at=format_instant(letter.ended_at) if letter.ended_at else None,
        expires_at=format_instant(letter.expires_at),
        request_sha256=letter.request_sha256,
        replayed_by=letter.replayed_by,
        closed_by=letter.closed_by,
        closed_reason=letter.closed_reason,
    )


def read_instant(name: str, text: str) -> datetime:
    """Read an instant."""
    try:
        return parse_instant(text)
    except ValueError as exc:
        raise ExchangeError("exchange.search_invalid", f"{name}: {exc}") from exc


def _skipped(pairs: tuple[tuple[DeliveryNumber, str], ...]) -> list[SkippedView]:
    return [SkippedView(number=number, code=code) for number, code in pairs]
