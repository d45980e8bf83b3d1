# SPDX-License-Identifier: Apache-2.0
"""Callers that send at a steady rate, each message again and again until a hub has acknowledged it."""

from __future__ import annotations

import http.client
import queue
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import rfc8785

from hub.clock import SystemClock
from hub.demo.preparation import FUND
from hub.envelope import (
    CONTAINER_MEDIA_TYPE,
    Header,
    Kind,
    Payload,
    Purpose,
    ReceiptStatus,
    open_envelope,
    read_fault,
    read_receipt,
    refer_to,
    seal_envelope,
)
from hub.identifiers import ContractId, ServiceId, new_message_id, subsystem_of

if TYPE_CHECKING:
    from hub.envelope import Envelope
    from hub.identifiers import MessageId
    from hub.trust import SigningKey

SERVICE = ServiceId("11510108MB1A00002M/employment/echo")
PURPOSE = Purpose(
    item="000788002000", case="CBJ-2026-000017", legal_basis="测试", official="李伟", post="残保金审核岗"
)
AGAIN = {"exchange.in_progress", "exchange.internal", "trust.revocation_unknown"}
"""After these a caller sends the same bytes again: a hub was cut off, or something it needs is away."""

_LIFETIME = timedelta(hours=2)
_ANSWER_SECONDS = 15.0
_PAUSE_SECONDS = 0.1


def request_of(key: SigningKey, text: str) -> Envelope:
    """Sign a request for the echo."""
    payload = Payload("request.json", "application/json", rfc8785.dumps({"text": text}))
    now = SystemClock().now()
    message_id = new_message_id(now)
    header = Header(
        id=message_id,
        kind=Kind.REQUEST,
        sender=FUND,
        recipient=subsystem_of(SERVICE),
        sent_at=now,
        expires_at=now + _LIFETIME,
        conversation=message_id,
        service=SERVICE,
        contract=ContractId("echo/v1"),
        purpose=PURPOSE,
        payload=(payload.describe(),),
    )
    return seal_envelope(header, (payload,), key)


@dataclass
class Load:
    """What callers sent, and what they were told.

    Attributes:
        ports: where the hubs listen; a caller turns to the next one when a connection breaks.
        key: signs the requests.
        accepted: the hub's signed receipts, by message.
        sent: every message, whether it was acknowledged or not.
        told: how often callers were told to come again, by code; broken connections under `broken`.
    """

    ports: tuple[int, ...]
    key: SigningKey
    sent: dict[MessageId, Envelope] = field(default_factory=dict)
    accepted: dict[MessageId, Envelope] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    failures: list[BaseException] = field(default_factory=list)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _waiting: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, callers: int) -> None:
        """Begin to call."""
        self._threads = [threading.Thread(target=self._call, args=(index,)) for index in range(callers)]
        for thread in self._threads:
            thread.start()

    def offer(self, seconds: float, per_second: float) -> None:
        """Have messages sent at a steady rate, whether the earlier ones have got through or not."""
        begun = time.monotonic()
        for number in range(int(seconds * per_second)):
            if self._is_over.wait(max(0.0, begun + number / per_second - time.monotonic())):
                return
            self._waiting.put(f"message {number}")

    def finish(self) -> None:
        """Wait until every message is acknowledged.

        Raises:
            BaseException: what a caller met that nobody should.
        """
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        if self.failures:
            raise self.failures[0]

    def give_up(self) -> None:
        """End at once, whatever is not acknowledged; when something else went wrong."""
        self._is_over.set()
        for _ in self._threads:
            self._waiting.put(None)

    def _call(self, index: int) -> None:
        try:
            with closing(_Hubs(self.ports, index)) as hubs:
                while (text := self._waiting.get()) is not None:
                    request = request_of(self.key, text)
                    self.sent[request.header.id] = request
                    acknowledged = self._send(hubs, request)
                    if acknowledged is not None:
                        self.accepted[request.header.id] = acknowledged
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits for this one
            self.failures.append(error)

    def _send(self, hubs: _Hubs, request: Envelope) -> Envelope | None:
        while not self._is_over.is_set():
            try:
                status, body = hubs.post(request.raw)
            except (OSError, http.client.HTTPException):
                self._note("broken")
                hubs.turn()
            else:
                answer = open_envelope(body)
                if status == 202:
                    receipt = read_receipt(answer)
                    assert receipt.status in {ReceiptStatus.ACCEPTED, ReceiptStatus.DELIVERED}
                    assert receipt.message == refer_to(request)
                    return answer
                code = read_fault(answer).code
                if code == "exchange.duplicate_message":
                    # It got through before its acknowledgement did, and was even answered meanwhile.
                    return answer
                assert code in AGAIN, code
                self._note(code)
            time.sleep(_PAUSE_SECONDS)
        return None

    def _note(self, code: str) -> None:
        with self._lock:
            self.told[code] = self.told.get(code, 0) + 1


class _Hubs:
    """A caller's connection to one of the hubs."""

    def __init__(self, ports: tuple[int, ...], index: int) -> None:
        self._ports = ports
        self._index = index
        self._http = self._open()

    def post(self, raw: bytes) -> tuple[int, bytes]:
        """Send a request asynchronously; returns status and body."""
        headers = {"Content-Type": CONTAINER_MEDIA_TYPE, "Prefer": "respond-async"}
        self._http.request("POST", "/api/v1/messages", raw, headers)
        with self._http.getresponse() as answer:
            body = answer.read()
            if answer.getheader("Content-Type") != CONTAINER_MEDIA_TYPE:
                raise http.client.HTTPException(f"HTTP {answer.status}")
            return answer.status, body

    def turn(self) -> None:
        """Go to the next hub."""
        self._http.close()
        self._index += 1
        self._http = self._open()

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def _open(self) -> http.client.HTTPConnection:
        port = self._ports[self._index % len(self._ports)]
        return http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
