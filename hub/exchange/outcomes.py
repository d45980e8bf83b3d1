# SPDX-License-Identifier: Apache-2.0
"""The service by which a sender learns what has become of its message, and gets what it did not wait for.

Source: docs/protocols/exchange.md section 12.5.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.clock import format_instant
from hub.envelope import CONTAINER_MEDIA_TYPE, Payload, open_envelope, read_receipt
from hub.errors import ExchangeError, HubError
from hub.exchange.own import OwnAnswer, own_right, own_service
from hub.identifiers import MessageId
from hub.registry import Title

if TYPE_CHECKING:
    from hub.envelope import Envelope
    from hub.exchange.archive import Archive
    from hub.exchange.model import ExchangeRecord
    from hub.identifiers import SubsystemId
    from hub.registry import AccessRight, Service

OUTCOMES_PURPOSE = "own-messages"
"""The purpose a request about the sender's own messages states."""

_MOST_ANSWER_BYTES = 15 * 1024 * 1024


@dataclass(frozen=True)
class OutcomeService:
    """`<hub>/hub/message-outcome`: what has become of the sender's own messages."""

    archive: Archive
    hub: SubsystemId

    @property
    def service(self) -> Service:
        """What it is called."""
        titles = Title(zh="报文结果查询", en="Outcome of a message")
        return own_service(self.hub, "message-outcome", "message-outcome/v1", titles)

    def right_of(self, consumer: SubsystemId) -> AccessRight:
        """Every sender may ask about its own messages; `answer` sees to it that they are."""
        return own_right(self.service.id, consumer, OUTCOMES_PURPOSE, "PR-EXC 12.5")

    def answer(self, request: Envelope) -> OwnAnswer:
        """Say where a message stands, and hand over the latest receipt and the answer.

        Raises:
            ExchangeError: `exchange.message_unknown`: the sender has sent no such message.
            VaultError: `vault.erased`, or what is kept cannot be read.
        """
        asked = MessageId(json.loads(request.payloads["request.json"])["message_id"])
        record = self.archive.exchange(asked)
        if record.sender != request.header.sender:
            # Who did not send it learns no more than that it is not there for them.
            raise ExchangeError("exchange.message_unknown", asked)
        receipt = self._read(record.receipt_sha256)
        answer = self._read(record.answer_sha256)
        data: dict[str, Any] = {"message_id": asked, "state": record.state.value}
        if record.code is not None:
            data["code"] = record.code
        expected_by = _expected_by(record, receipt)
        if expected_by is not None:
            data["expected_by"] = expected_by
        payloads = [
            Payload(name, CONTAINER_MEDIA_TYPE, content)
            for name, content in (("answer.asice", answer), ("receipt.asice", receipt))
            # One that is too large to travel in another is fetched with an access token.
            if content is not None and len(content) <= _MOST_ANSWER_BYTES
        ]
        return OwnAnswer(data, tuple(payloads))

    def _read(self, sha256: str | None) -> bytes | None:
        if sha256 is None:
            return None
        try:
            return self.archive.container(sha256)
        except HubError as error:
            if error.code != "vault.erased":
                raise
            return None


def _expected_by(record: ExchangeRecord, receipt: bytes | None) -> str | None:
    """Return for when the recipient promised its answer, while it is awaited."""
    if record.state.value != "deferred" or receipt is None:
        return None
    promised = read_receipt(open_envelope(receipt)).expected_by
    return None if promised is None else format_instant(promised)
