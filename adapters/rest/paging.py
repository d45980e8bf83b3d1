# SPDX-License-Identifier: Apache-2.0
"""Answers that come in pages, gathered into one: complete, or refused.

The answer is that of the first page with the array of all pages in place of its own, so that a mapping is the
same for one page and for many. Pages are followed within the service's own address only.

Source: RFC 8288 (Link); what APIs call page, offset and cursor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Self
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit, urlunsplit

from pydantic import Field, model_validator

from adapters.entry import ConnectionSettings
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapters.ports import JsonValue

_LINK = re.compile(r"<(?P<url>[^<>]*)>(?P<rest>(?:\s*;\s*[\w*]+\s*=\s*(?:\"[^\"]*\"|[^\s;,\"]+))*)")
_NEXT = re.compile(r";\s*rel\s*=\s*(?:\"(?:[^\"]*\s)?next(?:\s[^\"]*)?\"|next(?=[\s;,]|$))", re.IGNORECASE)


class PagingKind(StrEnum):
    """How the next page is asked for."""

    PAGE = "page"
    OFFSET = "offset"
    CURSOR = "cursor"
    NEXT = "next"
    LINK = "link"


class PagingSettings(ConnectionSettings):
    """How pages are asked for.

    Attributes:
        kind: by number (`page`), by position (`offset`), by a mark from the answer (`cursor`), by an address
            from the answer (`next`) or from its Link header (`link`).
        items: where the array stands in the answer, as `results` or `data.items`; empty where it is all.
        parameter: what carries the number, position or mark.
        size_parameter: what carries `size`, the wanted number of elements.
        first: number of the first page, or first position.
        next: where the mark or address stands in the answer; missing, null or empty on the last page.
        total: where the answer says how many elements there are in all; then they have to be there.
        most_pages: of one answer; more are refused and never cut off.
    """

    kind: Annotated[PagingKind, Field(strict=False)]
    items: str = ""
    parameter: str | None = None
    size_parameter: str | None = None
    size: Annotated[int, Field(ge=1, le=10_000)] = 100
    first: Annotated[int, Field(ge=0)] | None = None
    next: str | None = None
    total: str | None = None
    most_pages: Annotated[int, Field(ge=1, le=1000)] = 100

    @model_validator(mode="after")
    def _check(self) -> Self:
        counted = self.kind in {PagingKind.PAGE, PagingKind.OFFSET}
        if (self.parameter is None) == (counted or self.kind is PagingKind.CURSOR):
            raise ValueError("parameter belongs to page, offset and cursor")
        if (self.next is None) == (self.kind in {PagingKind.CURSOR, PagingKind.NEXT}):
            raise ValueError("next belongs to cursor and next")
        return self


@dataclass(frozen=True)
class Page:
    """One page: what it says, and its Link header."""

    body: JsonValue
    link: str = ""


def gather(url: str, settings: PagingSettings, ask: Callable[[str], Page]) -> JsonValue:
    """Ask for all pages and return them as one answer.

    Args:
        url: of the first page, with its query.
        settings: how to go on.
        ask: asks for one page.

    Raises:
        AdapterError: `adapter.answer_unreadable`, there are too many pages, they lead elsewhere or in a
            circle, or not all elements came; whatever `ask` raises.
    """
    url = _with(url, {settings.size_parameter: settings.size}) if settings.size_parameter else url
    position = _first(settings)
    url = _with(url, {settings.parameter: position}) if position is not None else url
    gathered: list[JsonValue] = []
    asked = {url}
    first = page = ask(url)
    while True:
        items = _items(page.body, settings.items)
        gathered += items
        following = _following(url, page, settings, len(items), len(gathered))
        if following is None:
            break
        if following in asked:
            raise AdapterError("adapter.answer_unreadable", "the pages lead in a circle")
        if len(asked) >= settings.most_pages:
            raise AdapterError(
                "adapter.answer_unreadable", f"there are more than {settings.most_pages} pages"
            )
        asked.add(following)
        url = following
        try:
            page = ask(url)
        except AdapterError as exc:
            # Many systems have no page behind the last one, not even an empty one.
            if settings.kind is not PagingKind.PAGE or exc.code != "adapter.record_not_found":
                raise
            break
    total = _at(first.body, settings.total) if settings.total else None
    if settings.total and str(total) != str(len(gathered)):
        raise AdapterError(
            "adapter.answer_unreadable", f"{len(gathered)} elements came and not those announced"
        )
    return _replaced(first.body, settings.items.split(".") if settings.items else [], gathered)


def _first(settings: PagingSettings) -> int | None:
    if settings.kind is PagingKind.PAGE:
        return 1 if settings.first is None else settings.first
    if settings.kind is PagingKind.OFFSET:
        return settings.first or 0
    return None


def _following(url: str, page: Page, settings: PagingSettings, count: int, so_far: int) -> str | None:
    """Return the address of the next page, or None after the last."""
    parameter = settings.parameter or ""
    match settings.kind:
        case PagingKind.LINK:
            links = (match["url"] for match in _LINK.finditer(page.link) if _NEXT.search(match["rest"]))
            target = next(links, None)
            return _own(url, target) if target else None
        case PagingKind.NEXT:
            target = _at(page.body, settings.next or "")
            return None if target is None or target == "" or target is False else _own(url, target)
        case PagingKind.CURSOR:
            mark = _at(page.body, settings.next or "")
            if mark is None or mark == "" or mark is False:
                return None
            if not isinstance(mark, str | int):
                raise AdapterError("adapter.answer_unreadable", f"{settings.next}: is no mark of a page")
            return _with(url, {parameter: mark})
        case PagingKind.PAGE | PagingKind.OFFSET:
            total = _at(page.body, settings.total) if settings.total else None
            if count == 0 or (isinstance(total, int) and so_far >= total):
                return None
            # Without a total, only an empty page says that there is nothing more: systems cut pages short.
            before = dict(parse_qsl(urlsplit(url).query)).get(parameter, "0")
            return _with(url, {parameter: int(before) + (1 if settings.kind is PagingKind.PAGE else count)})


def _own(url: str, target: JsonValue) -> str:
    """Return the address of a page as one of the same service.

    Raises:
        AdapterError: it leads to another host, port or scheme.
    """
    mine = urlsplit(url)
    try:
        other = urlsplit(urljoin(url, target) if isinstance(target, str) else "")
        # Behind a proxy many systems write http where they are asked by https; the scheme stays as described.
        is_own = (other.hostname, other.port) == (mine.hostname, mine.port) and other.username is None
    except ValueError as exc:
        raise AdapterError("adapter.answer_unreadable", "the next page has no address") from exc
    if not is_own:
        raise AdapterError("adapter.answer_unreadable", "the next page is at another address")
    return urlunsplit((mine.scheme, mine.netloc, other.path, other.query, ""))


def _with(url: str, values: Mapping[str | None, object]) -> str:
    """Return the address with parameters in place of those of the same name."""
    parts = urlsplit(url)
    kept = [
        (name, text) for name, text in parse_qsl(parts.query, keep_blank_values=True) if name not in values
    ]
    pairs = [*kept, *((name, str(value)) for name, value in values.items() if name)]
    return urlunsplit(parts._replace(query=urlencode(pairs, quote_via=quote)))


def _at(body: JsonValue, path: str) -> JsonValue:
    # A name such as @odata.nextLink has a dot of its own.
    is_name = isinstance(body, dict) and path in body
    for step in [path] if is_name else path.split(".") if path else []:
        if not isinstance(body, dict):
            return None
        body = body.get(step)
    return body


def _items(body: JsonValue, path: str) -> list[JsonValue]:
    items = _at(body, path)
    if items is None and path:
        return []
    if not isinstance(items, list):
        raise AdapterError("adapter.answer_unreadable", f"{path or 'the answer'}: is not an array of a page")
    return items


def _replaced(body: JsonValue, steps: list[str], items: list[JsonValue]) -> JsonValue:
    if not steps:
        return items
    members = body if isinstance(body, dict) else {}
    return {**members, steps[0]: _replaced(members.get(steps[0]), steps[1:], items)}
