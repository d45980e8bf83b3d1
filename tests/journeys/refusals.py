# SPDX-License-Identifier: Apache-2.0
"""What every refusal must be: signed by the hub, about this message, in the log, and nothing delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.demo.preparation import HUB_MEMBER
from hub.envelope import ReceiptStatus, refer_to
from hub.errors import Language, error_kinds
from hub.problems import status_of
from hub.tlog import EntryEvent

if TYPE_CHECKING:
    from hub.envelope import Envelope, Fault
    from tests.journeys.world import Reply, World


def require_fault(reply: Reply, code: str) -> Fault:
    """Hold a reply to a fault with this code, complete for programs and people."""
    assert reply.fault is not None, "the hub let it pass"
    kind = error_kinds()[code]
    assert reply.fault.code == code, reply.fault.detail
    assert reply.fault.culprit is kind.culprit
    assert reply.fault.is_retryable is kind.retryable
    assert reply.status == status_of(code, kind.culprit)
    assert all(reply.fault.message[language] and reply.fault.cure[language] for language in Language)
    return reply.fault


def refused(
    world: World, request: Envelope, code: str, *, event: EntryEvent = EntryEvent.REFUSED, deliveries: int = 0
) -> Reply:
    """Send a request that the hub must refuse; checks the fault, the log, and what the departments saw."""
    seen, answered = len(world.departments.received), len(world.departments.adapter.calls)
    logged = len(world.entries(request))
    reply = world.send(request.raw)
    entries = world.entries(request)
    fault = require_fault(reply, code)
    assert reply.signer == HUB_MEMBER
    assert reply.envelope.header.in_reply_to == request.as_in_reply_to()
    assert reply.envelope.header.recipient == request.header.sender
    assert "request.json" not in reply.envelope.payloads
    last = entries[-1]
    assert (last.event, last.code) == (event, code)
    assert last.container_sha256 == request.container_sha256
    assert last.at <= reply.envelope.header.sent_at, "the log comes before the answer"
    assert len(entries) == logged + (2 if event is EntryEvent.FAILED else 1)
    assert len(world.departments.received) == seen + deliveries
    assert len(world.departments.adapter.calls) == answered
    assert fault.detail == "" or fault.detail.isprintable()
    return reply


def require_refusal_receipt(world: World, reply: Reply, request: Envelope, code: str) -> None:
    """Hold the receipt to saying the same as the fault, and to naming its place in the log."""
    receipt = reply.receipt
    assert receipt is not None
    assert (receipt.status, receipt.code) == (ReceiptStatus.REFUSED, code)
    assert receipt.message == refer_to(request)
    assert receipt.answer == refer_to(reply.envelope)
    assert receipt.log is not None
    logged = world.hub.log.entry(receipt.log.index)
    assert logged.position.leaf_hash.hex() == receipt.log.leaf_sha256
    assert logged.entry.code == code
