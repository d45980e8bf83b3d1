# SPDX-License-Identifier: Apache-2.0
"""Searching exchanges over HTTP.

Source: RFC 8288 (the header `Link`).
"""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from hub.accounts import Principal
from hub.clock import Clock, parse_instant
from hub.errors import ExchangeError
from hub.exchange.archive import Archive
from hub.exchange.model import ExchangeState
from hub.exchange.readings import Readings, What
from hub.exchange.searching import MOST_ON_A_PAGE, Found, Search
from hub.exchange.views import ExchangeView, read_message_id, sees_all, view_exchange
from hub.identifiers import ServiceId, SubsystemId, is_service_id, is_subsystem_id

_LONGEST = 300


@dataclass(frozen=True)
class SearchQuery:
    """The parameters of a search, as they stand in an address."""

    id: Annotated[str | None, Query(max_length=_LONGEST, description="A request's message id.")] = None
    conversation: Annotated[str | None, Query(max_length=_LONGEST)] = None
    sender: Annotated[str | None, Query(max_length=_LONGEST, description="A subsystem.")] = None
    recipient: Annotated[str | None, Query(max_length=_LONGEST, description="A subsystem.")] = None
    service: Annotated[str | None, Query(max_length=_LONGEST)] = None
    state: Annotated[ExchangeState | None, Query()] = None
    since: Annotated[str | None, Query(max_length=24, description="First instant of arrival, UTC.")] = None
    until: Annotated[str | None, Query(max_length=24, description="First instant after, UTC.")] = None
    key: Annotated[tuple[str, ...], Query(description="A business key, `name:value`; repeatable.")] = ()
    cursor: Annotated[str | None, Query(max_length=_LONGEST, description="From the header Link.")] = None
    most: Annotated[int, Query(ge=1, le=MOST_ON_A_PAGE)] = 50

    def to_search(self, party: SubsystemId | None) -> Search:
        """Read the parameters.

        Raises:
            ExchangeError: `search_invalid`, `message_unknown`.
        """
        return Search(
            message_id=None if self.id is None else read_message_id(self.id),
            conversation=None if self.conversation is None else read_message_id(self.conversation),
            sender=_subsystem("sender", self.sender),
            recipient=_subsystem("recipient", self.recipient),
            service=_service(self.service),
            state=self.state,
            since=_instant("since", self.since),
            until=_instant("until", self.until),
            keys=_keys(self.key),
            party=party,
            cursor=self.cursor,
            most=self.most,
        )


def add_search(
    router: APIRouter,
    archive: Archive,
    readings: Readings,
    clock: Clock,
    authenticate: Callable[..., Principal],
) -> None:
    """Add the route that lists and searches exchanges."""

    @router.get("/api/v1/messages")
    def list_messages(
        request: Request,
        response: Response,
        query: Annotated[SearchQuery, Depends()],
        caller: Annotated[Principal, Depends(authenticate)],
    ) -> list[ExchangeView]:
        """List exchanges, the latest first; most callers see only their subsystem's.

        All parameters must hold. When there may be more, the header `Link` names the next page (`rel=next`);
        follow it until there is none, for a page may be short or empty before the last. A search by business
        key is written down with its caller.
        """
        search = query.to_search(None if sees_all(caller) else caller.subsystem)
        if search.party is None and not sees_all(caller):
            return []
        found = archive.search(search)
        if search.keys:
            _record(readings, caller, search.keys, found, clock.now())
        if found.next is not None:
            following = request.url.include_query_params(cursor=found.next)
            response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
        return [view_exchange(record) for record in found.records]


def _record(
    readings: Readings, caller: Principal, keys: Mapping[str, str], found: Found, now: datetime
) -> None:
    ids = [record.message_id for record in found.records]
    readings.record(caller, What.SEARCH, ids, at=now, detail=" ".join(sorted(keys)))


def _subsystem(name: str, text: str | None) -> SubsystemId | None:
    if text is not None and not is_subsystem_id(text):
        raise ExchangeError("exchange.search_invalid", f"{name} is no subsystem")
    return None if text is None else SubsystemId(text)


def _service(text: str | None) -> ServiceId | None:
    if text is not None and not is_service_id(text):
        raise ExchangeError("exchange.search_invalid", "service is no service")
    return None if text is None else ServiceId(text)


def _instant(name: str, text: str | None) -> datetime | None:
    try:
        return None if text is None else parse_instant(text)
    except ValueError as exc:
        raise ExchangeError(
            "exchange.search_invalid", f"{name} is not written like 2026-03-01T00:00:00.000Z"
        ) from exc


def _keys(given: tuple[str, ...]) -> dict[str, str]:
    keys: dict[str, str] = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not colon or name in keys or len(text) > _LONGEST:
            raise ExchangeError("exchange.search_invalid", "a key is written name:value, each name once")
        keys[name] = value
    return keys
