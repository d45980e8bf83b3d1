# SPDX-License-Identifier: Apache-2.0
"""Sending a message too large for memory: announced, sent piece by piece, resumed where it was cut off.

Source: docs/protocols/exchange.md section 13.1.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING

import httpx2
import rfc8785
import structlog

from adapters.peers import require_signed_by
from hub.envelope import (
    ANNOUNCEMENT_MEDIA_TYPE,
    CONTAINER_MEDIA_TYPE,
    FilePayload,
    Header,
    Kind,
    Limits,
    Payload,
    ReceiptStatus,
    open_envelope,
    read_container,
    read_fault,
    read_receipt,
    refer_to,
    seal_large,
)
from hub.errors import EnvelopeError, ExchangeError, TrustError
from hub.identifiers import new_message_id, subsystem_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from adapters.hubclient import HubClient, Question
    from hub.envelope import Envelope, LargeEnvelope

OFFSET_HEADER = "Upload-Offset"
COMPLETE_HEADER = "Upload-Complete"
PART_MEDIA_TYPE = "application/partial-upload"

_LIFETIME = timedelta(days=7)
_PIECE_BYTES = 16 * 1024 * 1024
_FRUITLESS = 8
_PAUSE_SECONDS = 0.25
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class LargeSender:
    """Sends large messages for one subsystem.

    Attributes:
        client: who sends, and whom it believes.
        piece_bytes: how much goes in one call.
        timeout_seconds: how long the hub may take for one call.
    """

    client: HubClient
    piece_bytes: int = _PIECE_BYTES
    timeout_seconds: float = 300.0

    def sign(
        self, question: Question, files: Sequence[FilePayload], *, lifetime: timedelta = _LIFETIME
    ) -> LargeEnvelope:
        """Turn a question and files into a signed message; every file is read once more.

        Args:
            question: what is asked.
            files: in the order they shall have.
            lifetime: how long it may be on its way.

        Raises:
            ContractError: it does not keep to its contract.
        """
        client, now = self.client, self.client.clock.now()
        payload = Payload("request.json", "application/json", rfc8785.dumps(dict(question.data)))
        parts: list[Payload | FilePayload] = [payload, *files]
        entries = tuple(each.describe() for each in parts)
        if question.contract not in client.contracts:
            raise ExchangeError("exchange.contract_mismatch", f"{question.contract} is not known here")
        client.contracts[question.contract].check_request(
            {payload.name: payload.content},
            {each.name: each.media_type for each in entries},
            {each.entry.name: each.entry.bytes for each in files},
        )
        message_id = question.message_id or new_message_id(now)
        header = Header(
            id=message_id,
            kind=Kind.REQUEST,
            sender=client.party.subsystem,
            recipient=subsystem_of(question.service),
            sent_at=now,
            expires_at=now + lifetime,
            conversation=question.conversation or message_id,
            service=question.service,
            contract=question.contract,
            purpose=question.purpose,
            payload=entries,
        )
        return seal_large(header, parts, client.party.key)

    def send(self, message: LargeEnvelope, files: Mapping[str, Path]) -> Envelope:
        """Send a message, or what the hub does not have of it, and return the hub's receipt for it.

        After any failure it may be called again, by another process too: it goes on where the hub is.

        Args:
            message: as signed.
            files: its large payloads, by name, unchanged since.

        Raises:
            ReportedFaultError: the hub answered with a signed fault.
            ExchangeError: the hub cannot be reached, or what came back does not hold.
        """
        response = self._call(
            "POST",
            f"{self.client.url}/api/v1/uploads",
            content=message.raw,
            headers={"Content-Type": ANNOUNCEMENT_MEDIA_TYPE},
        )
        if response.headers.get("content-type") == CONTAINER_MEDIA_TYPE:
            return self._receipt(response.content, message)
        place = f"{self.client.url}{response.headers.get('Location', '')}"
        offset = _offset(response)
        while True:
            offset = self._send_rest(place, message, files, offset)
            response = self._patch(place, offset, iter(()), 0, is_complete=True)
            if response.headers.get("content-type") == CONTAINER_MEDIA_TYPE:
                return self._receipt(response.content, message)
            if response.status_code != HTTPStatus.CONFLICT:
                raise ExchangeError("exchange.undeliverable", f"the hub answered HTTP {response.status_code}")
            offset = _offset(response)

    def _send_rest(self, place: str, message: LargeEnvelope, files: Mapping[str, Path], offset: int) -> int:
        fruitless = 0
        while offset < message.size:
            before, length = offset, min(self.piece_bytes, message.size - offset)
            try:
                pieces = _limited(read_container(message, files, offset), length)
                offset = _offset(self._patch(place, offset, pieces, length, is_complete=False))
            except httpx2.HTTPError as error:
                _logger.info("upload.cut_off", offset=offset, error=type(error).__name__)
                if fruitless == _FRUITLESS:
                    raise ExchangeError(
                        "exchange.undeliverable", f"the hub: {type(error).__name__}"
                    ) from error
                time.sleep(_PAUSE_SECONDS * 2**fruitless)
                offset = self._ask_offset(place, offset)
            fruitless = 0 if offset > before else fruitless + 1
            if fruitless > _FRUITLESS:
                raise ExchangeError("exchange.undeliverable", f"nothing arrives behind byte {offset}")
        return offset

    def _ask_offset(self, place: str, otherwise: int) -> int:
        try:
            return _offset(self.client.http.head(place, timeout=self.timeout_seconds))
        except httpx2.HTTPError:
            # The next piece finds out.
            return otherwise

    def _patch(
        self, place: str, offset: int, pieces: Iterator[bytes], length: int, *, is_complete: bool
    ) -> httpx2.Response:
        headers = {
            OFFSET_HEADER: str(offset),
            COMPLETE_HEADER: "?1" if is_complete else "?0",
            "Content-Type": PART_MEDIA_TYPE,
            "Content-Length": str(length),
        }
        if is_complete:
            return self._call("PATCH", place, content=b"", headers=headers)
        return self.client.http.patch(place, content=pieces, headers=headers, timeout=self.timeout_seconds)

    def _call(self, method: str, url: str, *, content: bytes, headers: Mapping[str, str]) -> httpx2.Response:
        try:
            return self.client.http.request(
                method, url, content=content, headers=dict(headers), timeout=self.timeout_seconds
            )
        except httpx2.TimeoutException as error:
            raise ExchangeError("exchange.delivery_timeout", "the hub did not answer in time") from error
        except httpx2.HTTPError as error:
            raise ExchangeError("exchange.undeliverable", f"the hub: {type(error).__name__}") from error

    def _receipt(self, raw: bytes, message: LargeEnvelope) -> Envelope:
        """Believe the hub's receipt, or raise the fault that came instead."""
        try:
            envelope = open_envelope(raw, Limits())
            require_signed_by(
                self.client.hub_member,
                envelope,
                validator=self.client.validator,
                at=self.client.clock.now(),
            )
            if envelope.header.kind is Kind.FAULT:
                raise read_fault(envelope).to_error()
            receipt = read_receipt(envelope)
        except EnvelopeError as error:
            raise ExchangeError("exchange.answer_unreadable", str(error)) from error
        except TrustError as error:
            raise ExchangeError("exchange.answer_untrusted", str(error)) from error
        if receipt.message != refer_to(message) or receipt.status is ReceiptStatus.REFUSED:
            raise ExchangeError("exchange.answer_not_bound", "the receipt is for another message")
        return envelope


def _offset(response: httpx2.Response) -> int:
    text = response.headers.get(OFFSET_HEADER, "")
    if not (text.isascii() and text.isdigit()):
        raise ExchangeError("exchange.undeliverable", f"the hub answered HTTP {response.status_code}")
    return int(text)


def _limited(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    """Yield pieces up to so many bytes."""
    for piece in islice(pieces, most):
        yield piece[:most]
        most -= len(piece)
        if most <= 0:
            return
