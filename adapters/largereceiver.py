# SPDX-License-Identifier: Apache-2.0
"""Fetching an answer too large for memory: piece by piece, resumed where it was cut off, every byte checked.

Source: docs/protocols/exchange.md section 13.3.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx2
import structlog

from adapters.arriving import Arriving
from hub.errors import EnvelopeError, ExchangeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hub.envelope import LargeEnvelope

_FRUITLESS = 8
_PAUSE_SECONDS = 0.25
_SILENCE_SECONDS = 60.0
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Place:
    """Where the hub has a container.

    Attributes:
        location: a path at the hub.
        ticket: shown to fetch it; good for one day.
    """

    location: str
    ticket: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class LargeReceiver:
    """Fetches large answers from the hub.

    Attributes:
        url: of the hub.
        folder: each container's payloads get a folder of their own there, named by its digest. Whoever asked
            moves them on; what was fetched in part goes on there, by another process too.
    """

    url: str
    http: httpx2.Client
    folder: Path

    def fetch(self, announced: LargeEnvelope, place: Place) -> Mapping[str, Path]:
        """Fetch what an announcement announces; return its large payloads, by name.

        Args:
            announced: whose signer is believed already.
            place: where the hub has it.

        Raises:
            ExchangeError: `exchange.undeliverable`, it cannot be fetched now; `exchange.answer_unreadable`,
                it is another container.
        """
        if not place.location.startswith("/"):
            raise ExchangeError("exchange.undeliverable", "the hub names no place of its own")
        with closing(Arriving(announced, self.folder / announced.container_sha256)) as arriving:
            arriving.open()
            try:
                self._fetch_rest(arriving, place)
                arriving.finish()
            except EnvelopeError as error:
                raise ExchangeError("exchange.answer_unreadable", str(error)) from error
            files = arriving.files
        for file in files.values():
            # An empty one has no byte that could come.
            file.touch(mode=0o600)
        return files

    def _fetch_rest(self, arriving: Arriving, place: Place) -> None:
        size, fruitless = arriving.envelope.size, 0
        while arriving.offset < size:
            before = arriving.offset
            try:
                self._take(arriving, place)
            except httpx2.HTTPError as error:
                _logger.info("answer.cut_off", offset=arriving.offset, error=type(error).__name__)
            fruitless = 0 if arriving.offset > before else fruitless + 1
            if fruitless > _FRUITLESS:
                raise ExchangeError("exchange.undeliverable", f"nothing comes behind byte {arriving.offset}")
            if arriving.offset < size:
                time.sleep(_PAUSE_SECONDS * 2**fruitless)

    def _take(self, arriving: Arriving, place: Place) -> None:
        offset, size = arriving.offset, arriving.envelope.size
        headers = {"Authorization": f"Bearer {place.ticket}", "Range": f"bytes={offset}-"}
        timeout = httpx2.Timeout(_SILENCE_SECONDS, connect=5.0)
        url = f"{self.url}{place.location}"
        with self.http.stream("GET", url, headers=headers, timeout=timeout) as response:
            _require_range(response, offset)
            for chunk in response.iter_raw():
                # Never more than is missing: what comes behind the end is nothing of the container's.
                arriving.take(chunk[: size - arriving.offset])
                if arriving.offset == size:
                    return


def _require_range(response: httpx2.Response, offset: int) -> None:
    is_part = response.status_code == HTTPStatus.PARTIAL_CONTENT
    if not is_part and not (response.status_code == HTTPStatus.OK and offset == 0):
        raise ExchangeError("exchange.undeliverable", f"the hub answered HTTP {response.status_code}")
    if is_part and not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
        raise ExchangeError("exchange.undeliverable", "another range than was asked for")
