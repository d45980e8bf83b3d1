# SPDX-License-Identifier: Apache-2.0
"""The service by which a sender learns what has become of its message, and gets what it did not wait for.

Source: docs/protocols/exchange.md section 12.5.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.clock import format_instant
from hub.envelope import (
    ANNOUNCEMENT_MEDIA_TYPE,
    CONTAINER_MEDIA_TYPE,
    LargeEnvelope,
    Payload,
    read_receipt,
)
from hub.errors import ExchangeError, HubError
from hub.exchange.downloads import download_place
from hub.exchange.own import OwnAnswer, own_right, own_service
from hub.identifiers import MessageId
from hub.registry import Title

if TYPE_CHECKING:
    from hub.envelope import Envelope
    from hub.exchange.archive import Archive
    from hub.exchange.downloads import Tickets
    from hub.exchange.model import ExchangeRecord
    from hub.identifiers import SubsystemId
    from hub.registry import AccessRight, Service

OUTCOMES_PURPOSE = "own-messages"
"""The purpose a request about the sender's own messages states."""
# A container inside another one has to leave it room for the rest.
_MOST_BYTES = 15 * 1024 * 1024


@dataclass(frozen=True)
class OutcomeService:
    """`<hub>/hub/message-outcome`: what has become of the sender's own messages."""

    archive: Archive
    hub: SubsystemId
    tickets: Tickets

    @property
    def service(self) -> Service:
        """What it is called."""
        titles = Title(zh="报文结果查询", en="Outcome of a message")
        return own_service(self.hub, "message-outcome", "message-outcome/v1", titles)

    def right_of(self, consumer: SubsystemId) -> AccessRight:
        """Every sender may ask about its own messages; `answer` sees to it that they are."""
        return own_right(self.service.id, consumer, OUTCOMES_PURPOSE, "PR-EXC 12.5")

    def answer(self, request: Envelope) -> OwnAnswer:
        """Say where a message stands, and hand over the latest receipt and the answer, or a ticket for it.

        Raises:
            ExchangeError: `exchange.message_unknown`: the sender has sent no such message.
            VaultError: `vault.erased`, or what is kept cannot be read.
        """
        asked = MessageId(json.loads(request.payloads["request.json"])["message_id"])
        record = self.archive.exchange(asked)
        if record.sender != request.header.sender:
            # Who did not send it learns no more than that it is not there for them.
            raise ExchangeError("exchange.message_unknown", asked)
        receipt, answer = self._read(record.receipt_sha256), self._read(record.answer_sha256)
        data: dict[str, Any] = {"message_id": asked, "state": record.state.value}
        if record.code is not None:
            data["code"] = record.code
        expected_by = _expected_by(record, receipt)
        if expected_by is not None:
            data["expected_by"] = expected_by
        handed_over = (_hand_over("answer", answer), _hand_over("receipt", receipt))
        payloads = tuple(each for each in handed_over if each is not None)
        if answer is not None and not any(each.name == "answer.asice" for each in payloads):
            data |= {
                "answer_at": download_place(answer.container_sha256),
                "answer_ticket": self.tickets.issue(answer.container_sha256),
            }
        return OwnAnswer(data, payloads)

    def _read(self, sha256: str | None) -> Envelope | None:
        if sha256 is None:
            return None
        try:
            return self.archive.vault.envelope(sha256)
        except HubError as error:
            if error.code != "vault.erased":
                raise
            return None


def _hand_over(name: str, envelope: Envelope | None) -> Payload | None:
    """Return a container as a payload; of a large one what announces it, of one that does not fit nothing."""
    if envelope is None or len(envelope.raw) > _MOST_BYTES:
        return None
    if isinstance(envelope, LargeEnvelope):
        return Payload(f"{name}.announcement", ANNOUNCEMENT_MEDIA_TYPE, envelope.raw)
    return Payload(f"{name}.asice", CONTAINER_MEDIA_TYPE, envelope.raw)


def _expected_by(record: ExchangeRecord, receipt: Envelope | None) -> str | None:
    """Return for when the recipient promised its answer, while it is awaited."""
    if record.state.value != "deferred" or receipt is None:
        return None
    promised = read_receipt(receipt).expected_by
    return None if promised is None else format_instant(promised)
