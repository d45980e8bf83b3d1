# SPDX-License-Identifier: Apache-2.0
"""Asking an authority's services over HTTP, so that no slow or broken one holds up a message for long.

Every request ends within its time, however its bytes trickle; all requests of one judgement share a time of
their own; a service that was slow is left alone for a while.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import httpx2

from hub.errors import TrustError
from hub.trust.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SECONDS_A_REQUEST = 3.0
"""The longest time one service may take for one answer."""

SECONDS_A_JUDGEMENT = 6.0
"""The longest time all services together may take for one certificate, its responders' included."""

SECONDS_LEFT_ALONE = 30.0
"""How long a service that was too slow is not asked again."""

_SLOW_SECONDS = 1.0
_MOST_REQUESTS_AT_ONCE = 64
_MOST_SERVICES_NOTED = 1024


@dataclass
class _Budget:
    """What one judgement may still use; of one thread."""

    until: float
    disbelieved: set[str] = field(default_factory=set)
    depth: int = 0


@dataclass(frozen=True)
class Fetched:
    """What a service gave.

    Attributes:
        content: the body; empty when `is_unchanged`.
        is_unchanged: whether what the caller already has is still the service's newest (HTTP 304).
        entity_tag: to ask with next time, or empty.
    """

    content: bytes
    is_unchanged: bool = False
    entity_tag: str = ""


class Fetcher:
    """Carries requests within bounds. Safe to use from several threads.

    Args:
        client: carries the requests; one without redirects and without the environment's proxies by default.
        seconds_a_request: see the constants.
        seconds_a_judgement: likewise.
        seconds_left_alone: likewise.
    """

    def __init__(
        self,
        client: httpx2.Client | None = None,
        *,
        seconds_a_request: float = SECONDS_A_REQUEST,
        seconds_a_judgement: float = SECONDS_A_JUDGEMENT,
        seconds_left_alone: float = SECONDS_LEFT_ALONE,
    ) -> None:
        # Answers are minutes apart, so no connection is kept open between them.
        self._client = client or httpx2.Client(
            limits=httpx2.Limits(max_keepalive_connections=0), follow_redirects=False, trust_env=False
        )
        self._seconds_a_request = seconds_a_request
        self._seconds_a_judgement = seconds_a_judgement
        self._seconds_left_alone = seconds_left_alone
        self._left_alone: dict[str, float] = {}
        self._running = threading.BoundedSemaphore(_MOST_REQUESTS_AT_ONCE)
        self._mine = threading.local()

    @contextmanager
    def one_judgement(self) -> Iterator[None]:
        """Let everything that is asked inside share one time; nested ones share the outermost's."""
        budget = self._budget()
        if budget is None:
            budget = self._mine.budget = _Budget(time.monotonic() + self._seconds_a_judgement)
        budget.depth += 1
        try:
            yield
        finally:
            budget.depth -= 1
            if not budget.depth:
                self._mine.budget = None

    def disbelieve(self, url: str) -> None:
        """Do not ask a service again within this judgement: what it gave does not hold."""
        budget = self._budget()
        if budget is not None:
            budget.disbelieved.add(url)

    def is_disbelieved(self, url: str) -> bool:
        """Tell whether what a service gave within this judgement did not hold."""
        budget = self._budget()
        return budget is not None and url in budget.disbelieved

    def fetch(
        self,
        url: str,
        *,
        most_bytes: int,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        """Send one request: POST with a body, GET without.

        Raises:
            TrustError: `trust.revocation_unknown`.
        """
        if self._left_alone.get(url, 0.0) > time.monotonic():
            raise refusal("revocation_skipped", url=url)
        seconds = self._seconds_a_request
        budget = self._budget()
        if budget is not None:
            seconds = min(seconds, budget.until - time.monotonic())
        if seconds <= 0:
            raise refusal("revocation_too_slow", url=url, seconds=f"{self._seconds_a_judgement:g}")
        begun = time.monotonic()
        try:
            fetched = self._in_time(
                lambda: self._send(url, most_bytes, body, dict(headers or {}), seconds), url, seconds
            )
        except TrustError:
            if time.monotonic() - begun >= min(_SLOW_SECONDS, self._seconds_a_request / 2):
                self._leave_alone(url)
            raise
        self._left_alone.pop(url, None)
        return fetched

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _budget(self) -> _Budget | None:
        return getattr(self._mine, "budget", None)

    def _leave_alone(self, url: str) -> None:
        while len(self._left_alone) >= _MOST_SERVICES_NOTED:
            self._left_alone.pop(next(iter(self._left_alone)), None)
        self._left_alone[url] = time.monotonic() + self._seconds_left_alone

    def _in_time(self, send: Callable[[], Fetched], url: str, seconds: float) -> Fetched:
        """Run a request in a thread of its own, so that name look-ups and trickling heads end in time."""
        outcome: SimpleQueue[Fetched | Exception] = SimpleQueue()
        if not self._running.acquire(timeout=seconds):
            raise refusal("revocation_too_slow", url=url, seconds=f"{seconds:g}")

        def run() -> None:
            try:
                outcome.put(send())
            except Exception as exc:  # noqa: BLE001 (handed over to the thread that waits)
                outcome.put(exc)
            finally:
                self._running.release()

        threading.Thread(target=run, name="revocation-fetch", daemon=True).start()
        try:
            result = outcome.get(timeout=seconds)
        except Empty as exc:
            raise refusal("revocation_too_slow", url=url, seconds=f"{seconds:.3g}") from exc
        if isinstance(result, Exception):
            raise result
        return result

    def _send(
        self, url: str, most_bytes: int, body: bytes | None, headers: dict[str, str], seconds: float
    ) -> Fetched:
        until = time.monotonic() + seconds
        method = "GET" if body is None else "POST"
        try:
            with self._client.stream(
                method, url, content=body, headers=headers, timeout=seconds, follow_redirects=False
            ) as response:
                if response.status_code == httpx2.codes.NOT_MODIFIED:
                    return Fetched(b"", is_unchanged=True)
                if response.status_code != httpx2.codes.OK:
                    raise refusal("revocation_unreachable", url=url, why=f"HTTP {response.status_code}")
                content = bytearray()
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > most_bytes:
                        raise refusal("revocation_too_large", url=url, most=str(most_bytes))
                    if time.monotonic() > until:
                        raise refusal("revocation_too_slow", url=url, seconds=f"{seconds:.3g}")
                return Fetched(bytes(content), entity_tag=response.headers.get("etag", ""))
        except httpx2.TimeoutException as exc:
            raise refusal("revocation_too_slow", url=url, seconds=f"{seconds:.3g}") from exc
        except (httpx2.HTTPError, httpx2.InvalidURL, RuntimeError) as exc:
            # RuntimeError: the client was closed while the process ends.
            raise refusal("revocation_unreachable", url=url, why=type(exc).__name__) from exc
