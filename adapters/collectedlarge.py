# SPDX-License-Identifier: Apache-2.0
"""Large messages at a gateway that comes for them: fetched in ranges, as far as they are missing.

Source: docs/protocols/exchange.md section 16.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import httpx2
import structlog

from adapters.largedesk import Place
from hub.errors import ExchangeError

if TYPE_CHECKING:
    import threading

    from adapters.collecting import Collected
    from adapters.gateway import Gateway
    from adapters.hubclient import HubClient
    from adapters.largedesk import LargeDesk

_SILENCE_SECONDS = 60.0
_FRUITLESS = 6
_PAUSE_SECONDS = 0.5
_PIECE_BYTES = 1024 * 1024
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class LargeFetcher:
    """Fetches and answers large messages.

    Attributes:
        stopped: ends the waiting between tries.
    """

    gateway: Gateway
    desk: LargeDesk
    client: HubClient
    stopped: threading.Event

    def answer(self, collected: Collected) -> bytes:
        """Admit what was announced, fetch what is not there yet, and return the answer.

        Raises:
            ExchangeError: `exchange.undeliverable`: nothing comes any more; the next attempt goes on there.
            EnvelopeError: what comes is not what was announced.
        """
        admitted = self.gateway.admit(collected.raw, collected.receipt)
        if isinstance(admitted, bytes):
            return admitted
        request = admitted.request
        place = Place(request, lambda files: self.gateway.answer_admitted(admitted, files))
        offset = self.desk.admit(place)
        fruitless = 0
        while offset < request.size:
            before = offset
            try:
                self._fetch(self._url(collected), collected.ticket, request.container_sha256, offset)
            except httpx2.HTTPError as error:
                _logger.info("collecting.cut_off", offset=offset, error=type(error).__name__)
            offset, _ = self.desk.offset(request.container_sha256)
            fruitless = 0 if offset > before else fruitless + 1
            if fruitless > _FRUITLESS:
                raise ExchangeError("exchange.undeliverable", f"nothing comes behind byte {offset}")
            if offset < request.size and self.stopped.wait(_PAUSE_SECONDS * 2**fruitless):
                raise ExchangeError("exchange.undeliverable", "the gateway is being stopped")
        return self.desk.complete(request.container_sha256)

    def _url(self, collected: Collected) -> str:
        """Return where the container is, as long as that is at the hub: the ticket is for nobody else."""
        url = urljoin(self.client.url, collected.place)
        if not collected.place or urlsplit(url)[:2] != urlsplit(self.client.url)[:2]:
            raise ExchangeError("exchange.answer_unreadable", "the hub names no place of its own")
        return url

    def _fetch(self, url: str, ticket: str, sha256: str, offset: int) -> None:
        headers = {"Authorization": f"Bearer {ticket}", "Range": f"bytes={offset}-"}
        timeout = httpx2.Timeout(_SILENCE_SECONDS, connect=5.0)
        with self.client.http.stream("GET", url, headers=headers, timeout=timeout) as response:
            if response.status_code != 206 and not (response.status_code == 200 and offset == 0):
                said = f"HTTP {response.status_code} for the container"
                raise ExchangeError("exchange.undeliverable", said)
            with self.desk.receiving(sha256, offset) as arriving:
                for chunk in response.iter_raw(_PIECE_BYTES):
                    arriving.take(chunk)
