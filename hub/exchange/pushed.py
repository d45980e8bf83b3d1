# SPDX-License-Identifier: Apache-2.0
"""Answers that come unasked: a recipient had promised one, and now it is there.

Such an answer takes the steps every answer takes, and its exchange ends as if it had been fetched. What
nobody waits for is refused, and so is what does not hold; the promise stands then, and the hub asks when it
promised to.

Source: docs/protocols/exchange.md section 12.2.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from hub.envelope import Kind, LargeEnvelope, open_envelope
from hub.errors import EnvelopeError, ExchangeError, HubError, VaultError
from hub.exchange.model import Accepted, Arrived, Concluded, Deferred, Delivered, Opened, Outcome, advance
from hub.outbox import Ending

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub.envelope import Envelope, Limits
    from hub.exchange.pipeline import Pipeline
    from hub.outbox import Delivery
    from hub.vault import Vault

_ANSWERS = frozenset({Kind.RESPONSE, Kind.RECEIPT})


def find_pushed(raw: bytes, error: HubError | None, limits: Limits) -> Envelope | None:
    """Return the answer that was sent where messages are sent; None for everything else.

    Args:
        raw: the container.
        error: why it was not taken for a message.
        limits: as for every container.
    """
    if error is None or error.code != "exchange.not_for_us":
        return None
    try:
        envelope = open_envelope(raw, limits)
    except EnvelopeError:
        # It was opened once, so it cannot come to this; a fault about it is as good.
        return None
    return envelope if envelope.header.kind in _ANSWERS else None


def read_message(vault: Vault, sha256: str) -> tuple[bytes, LargeEnvelope | None]:
    """Return a message that is kept; of a large one what announces it, and the message where it lies.

    Raises:
        VaultError: it was erased, or what is kept cannot be read.
    """
    try:
        return vault.read(sha256), None
    except VaultError as error:
        if error.code != "vault.too_large":
            raise
    envelope = vault.envelope(sha256)
    return envelope.raw, envelope if isinstance(envelope, LargeEnvelope) else None


async def take_pushed(pipeline: Pipeline, answer: Envelope, arrived: Arrived) -> Outcome:
    """Take an answer through every step an answer takes, and return the receipt for it, or a fault."""
    opened = advance(arrived, Opened, request=answer)
    try:
        # Before anything else: nobody learns which messages wait for an answer who has not shown who he is.
        await pipeline.identify_sender(pipeline.verify_request(opened))
        delivery = await asyncio.to_thread(_claim, pipeline, answer)
    except HubError as error:
        return await pipeline.recorder.refuse(opened, error)
    try:
        return await _conclude(pipeline, opened, delivery)
    finally:
        pipeline.recorder.outbox.ended(delivery)


def _claim(pipeline: Pipeline, answer: Envelope) -> Delivery:
    header = answer.header
    asked = header.in_reply_to
    found = None if asked is None else pipeline.recorder.outbox.claim_deferred(asked.id, header.sender)
    if found is None:
        raise ExchangeError("exchange.answer_not_awaited", asked.id if asked else "")
    return found


async def _conclude(pipeline: Pipeline, opened: Opened, delivery: Delivery) -> Outcome:
    recorder, answer = pipeline.recorder, opened.request

    def hand_over(stage: Accepted) -> Delivered:
        return advance(stage, Delivered, answer_raw=answer.raw)

    request = Arrived(raw=b"", received_at=opened.received_at, delivery=delivery)
    stage: Arrived = request
    try:
        raw, large = await asyncio.to_thread(read_message, recorder.vault, delivery.request_sha256)
    except HubError as exc:
        error: HubError | None = exc
    else:
        request = replace(request, raw=raw, large=large)
        stage, error = await pipeline.walk(pipeline.answering(hand_over), request)
    if error is None and isinstance(stage, Concluded | Deferred):
        receipt = recorder.acknowledge(answer, stage).raw
        return Outcome(container=receipt, receipt=receipt, code=None)
    error = error or ExchangeError("exchange.internal")
    failure = Ending(at=pipeline.clock.now(), code=error.code, detail=error.detail)
    due_at = delivery.expected_by or failure.at

    def put_back(connection: Connection) -> None:
        recorder.outbox.put_off(connection, delivery, failure, due_at=due_at)

    await recorder.writer.run_async(put_back)
    return await recorder.refuse(opened, error)
