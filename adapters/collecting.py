# SPDX-License-Identifier: Apache-2.0
"""A gateway that nobody can call comes for its messages: it polls the hub, answers, and hands the answer in.

Only connections that the gateway opens are needed, so a department's firewall lets nothing in. What comes is
checked exactly as what is delivered to a gateway that listens, and has its effect once, by the same inbox.

Source: docs/protocols/exchange.md section 16.
"""

from __future__ import annotations

import base64
import binascii
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx2
import structlog

from adapters.hubclient import RECEIPT_HEADER, Question
from hub.envelope import ANNOUNCEMENT_MEDIA_TYPE, CONTAINER_MEDIA_TYPE, Limits, Purpose, is_announcement
from hub.errors import AdapterError, ExchangeError, HubError
from hub.identifiers import ContractId, ServiceId

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.gateway import Gateway
    from adapters.hubclient import HubClient

NUMBER_HEADER = "Heliograph-Collection"
TICKET_HEADER = "Heliograph-Ticket"
MOST_AT_WORK = 8
"""How many messages are answered at the same time."""

_CONTRACT = ContractId("message-collection/v1")
_WAIT_SECONDS = 25
_POLL_LIFETIME = timedelta(minutes=1)
_ANSWER_SECONDS = 60.0
_LATE_SECONDS = 15.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_HAND_IN_TRIES = 8
_PURPOSE = Purpose(
    item="own-collections", case="gateway", legal_basis="PR-EXC 16", official="gateway", post="gateway"
)
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Collected:
    """A message as the hub handed it out.

    Attributes:
        number: what the answer is handed in under.
        raw: the message's container; of a large one what announces it.
        receipt: the hub's receipt, a container.
        place: where a large message's container is fetched; None for one that is here.
        ticket: that opens that place.
    """

    number: int
    raw: bytes
    receipt: bytes
    place: str | None = None
    ticket: str = ""


class Collector:
    """Comes for the messages of one gateway, until it is stopped.

    Args:
        gateway: answers them.
        client: signs polls; whose subsystem it is does not matter, as long as it is this member's.
        fetch_large: answers a message that is too large to be handed out at once.
        stopped: ends it.
        wait_seconds: how long the hub lets a poll wait when there is nothing.
    """

    def __init__(
        self,
        *,
        gateway: Gateway,
        client: HubClient,
        fetch_large: Callable[[Collected], bytes],
        stopped: threading.Event,
        wait_seconds: int = _WAIT_SECONDS,
    ) -> None:
        self.stopped = stopped
        self._gateway = gateway
        self._client = client
        self._fetch_large = fetch_large
        self._wait_seconds = wait_seconds
        self._held: set[int] = set()
        self._changing = threading.Lock()
        self._free = threading.Semaphore(MOST_AT_WORK)

    def run(self) -> None:
        """Poll again and again; a hub that is away is tried ever more slowly."""
        pause_seconds = _FIRST_PAUSE_SECONDS
        with ThreadPoolExecutor(MOST_AT_WORK, thread_name_prefix="collected") as workers:
            while not self.stopped.is_set():
                try:
                    self._turn(workers)
                    pause_seconds = _FIRST_PAUSE_SECONDS
                    continue
                except (HubError, httpx2.HTTPError) as error:
                    _logger.warning("collecting.hub_unreachable", reason=str(error) or type(error).__name__)
                except Exception:
                    # Nobody would notice that nobody comes any more.
                    _logger.exception("collecting.failed_unforeseen")
                self.stopped.wait(pause_seconds)
                pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    def _turn(self, workers: ThreadPoolExecutor) -> None:
        """Poll once, and have answered what comes; who is busy comes for nothing more."""
        if not self._free.acquire(timeout=1):
            return
        is_given = False
        try:
            collected = self.poll()
            if collected is not None and not self.stopped.is_set():
                with self._changing:
                    self._held.add(collected.number)
                workers.submit(self._work, collected)
                is_given = True
        finally:
            if not is_given:
                self._free.release()

    def poll(self) -> Collected | None:
        """Ask the hub for the next message, and wait a while for one.

        Raises:
            ExchangeError: the hub refuses, or does not answer as a hub does.
            HTTPError: it cannot be reached.
        """
        with self._changing:
            held = sorted(self._held)
        question = Question(
            service=ServiceId(f"{self._client.hub_subsystem}/collections"),
            contract=_CONTRACT,
            data={
                "subsystems": sorted(self._gateway.subsystems),
                "held": held,
                "wait_seconds": self._wait_seconds,
            },
            purpose=_PURPOSE,
            lifetime=_POLL_LIFETIME,
        )
        response = self._post("", self._client.sign_request(question).raw, self._wait_seconds + _LATE_SECONDS)
        if response.status_code == 204:
            return None
        return _read(response)

    def _work(self, collected: Collected) -> None:
        try:
            if collected.place is None:
                answer = self._gateway.answer(collected.raw, collected.receipt)
            else:
                answer = self._fetch_large(collected)
            if is_announcement(answer):
                # Said at once: who waits would otherwise wait in vain.
                too_large = AdapterError("adapter.answer_too_large", "more than 16 MiB")
                answer = self._gateway.refuse(collected.raw, too_large)
            self._hand_in(collected.number, answer)
        except (HubError, httpx2.HTTPError) as error:
            # Who waits at the hub gives up, and what lies in its outbox is laid out again.
            _logger.warning("collecting.not_handed_in", number=collected.number, reason=str(error))
        except Exception:
            _logger.exception("collecting.failed_unforeseen", number=collected.number)
        finally:
            with self._changing:
                self._held.discard(collected.number)
            self._free.release()

    def _hand_in(self, number: int, answer: bytes) -> None:
        """Hand an answer in; the connection may break, and the answer is the same one."""
        pause_seconds = _FIRST_PAUSE_SECONDS
        for attempt in range(1, _HAND_IN_TRIES + 1):
            try:
                self._post(f"/{number}", answer, _ANSWER_SECONDS)
            except httpx2.HTTPError:
                if attempt == _HAND_IN_TRIES or self.stopped.wait(pause_seconds):
                    raise
                pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
            else:
                return

    def _post(self, path: str, body: bytes, seconds: float) -> httpx2.Response:
        response = self._client.http.post(
            f"{self._client.url}/api/v1/collections{path}",
            content=body,
            headers={"Content-Type": CONTAINER_MEDIA_TYPE, "Accept": CONTAINER_MEDIA_TYPE},
            timeout=httpx2.Timeout(seconds, connect=5.0),
        )
        if response.status_code not in {200, 204}:
            raise ExchangeError("exchange.undeliverable", _reason(response))
        return response


def _read(response: httpx2.Response) -> Collected:
    number = response.headers.get(NUMBER_HEADER, "")
    media_type = response.headers.get("content-type", "")
    is_large = media_type == ANNOUNCEMENT_MEDIA_TYPE
    try:
        receipt = base64.b64decode(response.headers.get(RECEIPT_HEADER, ""), validate=True)
    except binascii.Error as error:
        raise ExchangeError("exchange.answer_unreadable", RECEIPT_HEADER) from error
    if not (number.isascii() and number.isdigit()) or not (is_large or media_type == CONTAINER_MEDIA_TYPE):
        raise ExchangeError("exchange.answer_unreadable", f"{media_type} in answer to a poll")
    if len(response.content) > Limits().container_bytes:
        raise ExchangeError("exchange.answer_unreadable", "larger than allowed")
    return Collected(
        number=int(number),
        raw=response.content,
        receipt=receipt,
        place=response.headers.get("location", "") if is_large else None,
        ticket=response.headers.get(TICKET_HEADER, ""),
    )


def _reason(response: httpx2.Response) -> str:
    """Say why the hub refused; its problem documents carry a code."""
    said = f"the hub answered HTTP {response.status_code}"
    if not response.headers.get("content-type", "").startswith("application/problem+json"):
        return said
    try:
        problem = response.json()
    except ValueError:
        return said
    return f"{said}, {problem.get('code', '')}: {problem.get('detail', '')}"[:500]
