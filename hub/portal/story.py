# SPDX-License-Identifier: Apache-2.0
"""One message's whole story: who asked whom and why, what came back, where all of it stands in the log.

Everything is read and judged here; the page only shows it. What cannot be read any more, because it was
erased or never kept, is said so and stops nothing else.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hub.envelope import is_encrypted, open_envelope
from hub.errors import ExchangeError, HubError
from hub.portal.names import Names
from hub.portal.timeline import moments_of
from hub.portal.verifications import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.envelope import Header
    from hub.exchange import Archive, ExchangeRecord
    from hub.identifiers import MessageId
    from hub.portal.logproof import LogProof, LogProver
    from hub.portal.timeline import Moment
    from hub.portal.verifications import Verifications, Verified
    from hub.registry import Registry

MOST_RELATED = 20
_PATIENCE_SECONDS = 4.0


@dataclass(frozen=True, kw_only=True)
class KeptContainer:
    """One container of an exchange.

    Attributes:
        part: request, answer or receipt.
        raw: its bytes; None when they cannot be read.
        header: what it says of itself; None when its structure or digests do not hold.
        refusal: why its bytes cannot be read.
        verified: the hub's report on it; None while the verification runs, or without bytes.
    """

    part: str
    sha256: str
    raw: bytes | None = field(default=None, repr=False)
    header: Header | None = None
    refusal: HubError | None = None
    verified: Verified | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether it says that only its recipient can read its payloads."""
        return self.header is not None and any(map(is_encrypted, self.header.payload))

    @property
    def is_pending(self) -> bool:
        """Whether its verification still runs."""
        return self.raw is not None and self.verified is None

    @property
    def is_valid(self) -> bool:
        """Whether the hub found that every step holds."""
        return self.verified is not None and self.verified.is_valid


@dataclass(frozen=True, kw_only=True)
class Story:
    """All of it, ready to be shown.

    Attributes:
        related: of the same conversation, this one included, in the order of arrival.
        conversation_size: how many there are, with those that are not listed.
    """

    record: ExchangeRecord
    containers: tuple[KeptContainer, ...]
    proof: LogProof
    moments: tuple[Moment, ...]
    related: tuple[ExchangeRecord, ...]
    conversation_size: int
    names: Names

    @property
    def question(self) -> Header | None:
        """The request's header."""
        return _header(self.containers, "request")

    @property
    def is_pending(self) -> bool:
        """Whether a verification still runs."""
        return any(each.is_pending for each in self.containers)

    @property
    def is_valid(self) -> bool:
        """Whether every container is valid and every entry proven; what is missing counts against it."""
        return self.proof.is_complete and all(each.is_valid for each in self.containers)

    @property
    def is_awaiting_checkpoint(self) -> bool:
        """Whether all that is missing is the checkpoint that covers the last entries."""
        is_logged = bool(self.proof.entries) and not self.proof.is_broken
        return is_logged and not self.proof.is_complete and all(each.is_valid for each in self.containers)

    @property
    def is_wrong(self) -> bool:
        """Whether something was found wrong, and is not only missing or not there yet."""
        found = (each.verified for each in self.containers)
        return self.proof.is_broken or any(each is not None and not each.is_valid for each in found)


@dataclass(frozen=True, kw_only=True)
class Storyteller:
    """Puts stories together.

    Attributes:
        patience_seconds: how long a story waits for its verification reports.
    """

    archive: Archive
    prover: LogProver
    registry: Registry
    verifications: Verifications
    patience_seconds: float = _PATIENCE_SECONDS

    def tell(self, message_id: MessageId) -> Story:
        """Return the story of a message.

        Raises:
            ExchangeError: `exchange.message_unknown`.
        """
        record = self.archive.exchange(message_id)
        containers = self._verified([self._kept(part, digest) for part, digest in _digests(record)])
        answer = _header(containers, "answer")
        # An answer is logged under its own id.
        ids = (message_id, *((answer.id,) if answer is not None else ()))
        proof = self.prover.prove(ids)
        conversation = self.archive.conversation(record.conversation)
        related = _around(conversation, record)
        return Story(
            record=record,
            containers=containers,
            proof=proof,
            moments=moments_of(record, _header(containers, "request"), answer, proof),
            related=related,
            conversation_size=len(conversation),
            names=Names(self.registry.snapshot),
        )

    def digest(self, message_id: MessageId, part: str) -> str:
        """Return the digest of a container that is kept.

        Raises:
            ExchangeError: `exchange.message_unknown`: the message or the part is unknown.
        """
        digest = dict(_digests(self.archive.exchange(message_id))).get(part)
        if digest is None:
            raise ExchangeError("exchange.message_unknown", f"no {part[:20]} of this message is kept")
        return digest

    def _kept(self, part: str, digest: str) -> KeptContainer:
        try:
            raw = self.archive.container(digest)
        except HubError as error:
            return KeptContainer(part=part, sha256=digest, refusal=error)
        try:
            header = open_envelope(raw).header
        except HubError:
            # What is wrong with it stands in the verification report, step by step.
            header = None
        return KeptContainer(part=part, sha256=digest, raw=raw, header=header)

    def _verified(self, containers: Sequence[KeptContainer]) -> tuple[KeptContainer, ...]:
        deadline = time.monotonic() + self.patience_seconds
        running = [
            (each, None if each.raw is None else self.verifications.begin(each.sha256, each.raw))
            for each in containers
        ]
        return tuple(
            each if future is None else replace(each, verified=wait_until(future, deadline))
            for each, future in running
        )


def _digests(record: ExchangeRecord) -> tuple[tuple[str, str], ...]:
    parts = (
        ("request", record.request_sha256),
        ("answer", record.answer_sha256),
        ("receipt", record.receipt_sha256),
    )
    return tuple((part, digest) for part, digest in parts if digest is not None)


def _header(containers: Sequence[KeptContainer], part: str) -> Header | None:
    return next((each.header for each in containers if each.part == part), None)


def _around(conversation: Sequence[ExchangeRecord], record: ExchangeRecord) -> tuple[ExchangeRecord, ...]:
    """Choose the exchanges of a conversation that stand around one of them."""
    place = next((i for i, each in enumerate(conversation) if each.message_id == record.message_id), 0)
    first = max(0, min(place - MOST_RELATED // 2, len(conversation) - MOST_RELATED))
    return tuple(conversation[first : first + MOST_RELATED])
