# SPDX-License-Identifier: Apache-2.0
"""What is fetched of a large answer, from a hub that cuts, lies or sends too much."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from adapters.largereceiver import LargeReceiver, Place
from hub.errors import ExchangeError
from tests.adapters.test_largedesk import a_large_one
from tests.journeys.serving import serving
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from starlette.requests import Request

PLACE = Place("/api/v1/downloads/some", "a-ticket")


@dataclass
class Hub:
    """Hands out a container as it is told."""

    raw: bytes = b""
    bytes_a_time: int | None = None
    behind: bytes = b""
    ignores_range: bool = False
    shifts: int = 0
    asked: list[tuple[int, str]] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        found = re.fullmatch(r"bytes=([0-9]+)-", request.headers["range"])
        assert found is not None
        start = int(found[1])
        self.asked.append((start, request.headers["authorization"]))
        if self.ignores_range:
            return Response(self.raw)
        some = self.raw[start:] + self.behind
        headers = {"Content-Range": f"bytes {start + self.shifts}-{len(self.raw) - 1}/{len(self.raw)}"}
        if self.bytes_a_time is None:
            return Response(some, 206, headers)

        async def cut() -> AsyncIterator[bytes]:
            yield some[: self.bytes_a_time]

        # Fewer bytes come than were promised: the connection is torn.
        return StreamingResponse(cut(), 206, {**headers, "Content-Length": str(len(some))})


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def receiver(hub: Hub, tmp_path: Path) -> Iterator[LargeReceiver]:
    app = Starlette(routes=[Route(PLACE.location, hub.answer)])
    with serving(app, free_port()) as url, httpx2.Client() as http:
        yield LargeReceiver(url=url, http=http, folder=tmp_path / "answers")


def test_every_payload_is_fetched_and_the_ticket_is_shown(
    hub: Hub, receiver: LargeReceiver, tmp_path: Path
) -> None:
    envelope, hub.raw, files = a_large_one(tmp_path / "from", 70_000, 0, 7)
    fetched = receiver.fetch(envelope, PLACE)
    assert {name: file.read_bytes() for name, file in fetched.items()} == {
        name: file.read_bytes() for name, file in files.items()
    }
    assert {shown for _, shown in hub.asked} == {"Bearer a-ticket"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in fetched.values())


def test_it_goes_on_where_it_was_cut_and_nothing_comes_twice(
    hub: Hub, receiver: LargeReceiver, tmp_path: Path
) -> None:
    envelope, hub.raw, files = a_large_one(tmp_path / "from", 100_000)
    hub.bytes_a_time = 40_000
    fetched = receiver.fetch(envelope, PLACE)
    assert fetched["part-0.bin"].read_bytes() == files["part-0.bin"].read_bytes()
    starts = [start for start, _ in hub.asked]
    assert starts == sorted(set(starts))
    assert len(starts) == 3


def test_what_was_fetched_before_is_not_fetched_again(
    hub: Hub, receiver: LargeReceiver, tmp_path: Path
) -> None:
    envelope, hub.raw, _ = a_large_one(tmp_path / "from", 50_000)
    receiver.fetch(envelope, PLACE)
    hub.asked.clear()
    receiver.fetch(envelope, PLACE)
    assert all(start > 50_000 for start, _ in hub.asked)


def test_another_container_than_was_signed_is_refused_and_leaves_nothing(
    hub: Hub, receiver: LargeReceiver, tmp_path: Path
) -> None:
    envelope, raw, _ = a_large_one(tmp_path / "from", 50_000)
    wrong = bytearray(raw)
    wrong[30_000] ^= 1
    hub.raw = bytes(wrong)
    with pytest.raises(ExchangeError) as refused:
        receiver.fetch(envelope, PLACE)
    assert refused.value.code == "exchange.answer_unreadable"
    hub.raw = raw
    assert receiver.fetch(envelope, PLACE)["part-0.bin"].stat().st_size == 50_000


def test_what_comes_behind_the_end_is_nothing_of_the_containers(
    hub: Hub, receiver: LargeReceiver, tmp_path: Path
) -> None:
    envelope, hub.raw, files = a_large_one(tmp_path / "from", 5_000)
    hub.behind = b"more" * 1000
    fetched = receiver.fetch(envelope, PLACE)
    assert fetched["part-0.bin"].read_bytes() == files["part-0.bin"].read_bytes()


def test_another_range_than_was_asked_for_is_not_taken(
    hub: Hub, receiver: LargeReceiver, tmp_path: Path
) -> None:
    envelope, hub.raw, _ = a_large_one(tmp_path / "from", 5_000)
    hub.shifts = 1
    with pytest.raises(ExchangeError) as refused:
        receiver.fetch(envelope, PLACE)
    assert refused.value.code == "exchange.undeliverable"
    hub.shifts, hub.ignores_range = 0, True
    with pytest.raises(ExchangeError, match="HTTP 200"):
        receiver.fetch(envelope, PLACE)


@pytest.mark.parametrize("location", ["", "http://elsewhere.example/x", "@elsewhere.example/x"])
def test_only_the_hub_itself_is_asked(
    hub: Hub, receiver: LargeReceiver, tmp_path: Path, location: str
) -> None:
    envelope, hub.raw, _ = a_large_one(tmp_path / "from", 5_000)
    with pytest.raises(ExchangeError, match="no place of its own"):
        receiver.fetch(envelope, Place(location, "a-ticket"))
    assert hub.asked == []


def test_the_ticket_is_no_part_of_what_a_place_looks_like() -> None:
    assert "a-ticket" not in repr(PLACE)
