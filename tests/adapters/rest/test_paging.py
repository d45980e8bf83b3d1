# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import ValidationError

from adapters.rest.paging import Page, PagingSettings, gather
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.ports import JsonValue

URL = "https://hr.example.cn/staff?q=1"
ALL: list[JsonValue] = list(range(7))


def asked(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def gathered(ask: Callable[[str], Page], **settings: Any) -> JsonValue:
    return gather(URL, PagingSettings.model_validate(settings), ask)


def by_number(url: str) -> Page:
    query = asked(url)
    assert query["q"] == "1"
    start = (int(query["page"]) - 1) * int(query["size"])
    return Page({"data": {"rows": ALL[start : start + int(query["size"])]}, "total": len(ALL)})


PAGE = {"kind": "page", "parameter": "page", "size_parameter": "size", "size": 3, "items": "data.rows"}


@pytest.mark.parametrize("total", [None, "total"])
def test_numbered_pages_are_put_together_in_the_first_ones_place(total: str | None) -> None:
    assert gathered(by_number, **PAGE, total=total) == {"data": {"rows": ALL}, "total": 7}


def test_a_missing_page_behind_the_last_one_is_the_end() -> None:
    def ask(url: str) -> Page:
        if asked(url)["page"] == "4":
            raise AdapterError("adapter.record_not_found", "HTTP 404")
        return by_number(url)

    assert gathered(ask, **PAGE) == {"data": {"rows": ALL}, "total": 7}


def test_a_first_page_that_is_not_there_is_not_an_empty_answer() -> None:
    def ask(_url: str) -> Page:
        raise AdapterError("adapter.record_not_found", "HTTP 404")

    with pytest.raises(AdapterError):
        gathered(ask, **PAGE)


def test_positions_go_on_from_what_came_even_where_the_system_gives_less_than_wanted() -> None:
    def ask(url: str) -> Page:
        start = int(asked(url)["offset"])
        return Page(ALL[start : start + 2])

    assert gathered(ask, kind="offset", parameter="offset", size_parameter="limit") == ALL


def test_marks_are_followed_until_there_is_none() -> None:
    def ask(url: str) -> Page:
        start = int(asked(url).get("cursor", "0"))
        return Page({"items": ALL[start : start + 3], "next": str(start + 3) if start < 6 else ""})

    answer = gathered(ask, kind="cursor", parameter="cursor", next="next", items="items")
    assert answer == {"items": ALL, "next": "3"}


@pytest.mark.parametrize("target", ["https://hr.example.cn/staff?at={}", "/staff?at={}", "?at={}"])
def test_addresses_in_the_answer_are_followed_on_the_same_host(target: str) -> None:
    def ask(url: str) -> Page:
        start = int(asked(url).get("at", "0"))
        return Page(
            {"v": ALL[start : start + 4], "@odata.nextLink": target.format(4) if start == 0 else None}
        )

    answer = gathered(ask, kind="next", next="@odata.nextLink", items="v")
    assert isinstance(answer, dict)
    assert answer["v"] == ALL


@pytest.mark.parametrize(
    "link",
    [
        '<https://hr.example.cn/x?at=4>; rel="next"',
        '</a>; rel=prev, </x?at=4>; title="a, b"; rel="last next"',
        "</x?at=4>;rel=next",
    ],
)
def test_link_headers_are_followed(link: str) -> None:
    def ask(url: str) -> Page:
        start = int(asked(url).get("at", "0"))
        return Page(ALL[start : start + 4], link if start == 0 else '</x>; rel="prev"')

    assert gathered(ask, kind="link") == ALL


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest",
        "https://hr.example.cn.evil.example/x",
        "https://hr.example.cn:8443/x",
        "https://hr.example.cn@evil.example/x",
        "https://user@hr.example.cn/x",
        "//evil.example/x",
        "file:///etc/passwd",
        "http://[x",
        "https://hr.example.cn:port/x",
        7,
    ],
)
def test_pages_elsewhere_are_never_asked_for(target: JsonValue) -> None:
    urls = []

    def ask(url: str) -> Page:
        urls.append(url)
        return Page({"v": [1], "next": target})

    with pytest.raises(AdapterError, match="next page"):
        gathered(ask, kind="next", next="next", items="v")
    assert urls == [URL]


def test_a_circle_is_noticed_and_too_many_pages_are_refused_and_not_cut_off() -> None:
    with pytest.raises(AdapterError, match="circle"):
        gathered(lambda _url: Page({"v": [1], "next": URL}), kind="next", next="next", items="v")
    with pytest.raises(AdapterError, match="more than 3 pages"):
        gathered(lambda _url: Page([1]), kind="page", parameter="p", most_pages=3)


def test_elements_that_are_missing_are_noticed() -> None:
    with pytest.raises(AdapterError, match="7 elements came"):
        gathered(
            lambda url: Page({"data": by_number(url).body["data"], "total": 9}),  # type: ignore[index, call-overload]
            **PAGE,
            total="total",
        )


def test_an_answer_without_the_array_is_refused() -> None:
    with pytest.raises(AdapterError, match="not an array"):
        gathered(lambda _url: Page({"v": {"a": 1}}), kind="link", items="v")


@pytest.mark.parametrize(
    "wrong", [{"kind": "page"}, {"kind": "next"}, {"kind": "cursor", "parameter": "c"}, {"kind": "other"}]
)
def test_settings_that_do_not_fit_the_kind_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PagingSettings.model_validate(wrong)
