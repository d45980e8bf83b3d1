# SPDX-License-Identifier: Apache-2.0
"""What can be asked for, and what is known of a message that goes into a bundle.

Source: docs/protocols/evidence-bundle.md sections 4 and 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.clock import format_instant
from hub.errors import BundleError
from hub.exchange import ExchangeState

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from hub.bundles.missing import Missing
    from hub.envelope import Header
    from hub.exchange import ExchangeRecord
    from hub.identifiers import MessageId, SubsystemId
    from hub.tlog import LoggedEntry

FORMAT = "heliograph-evidence/1"
INDEX_NAME = "bundle.json"
CHECKPOINT_NAME = "log/checkpoint.txt"
CHECKPOINT_RECORD_NAME = "log/checkpoint.ers"
POLICY_NAME = "log/policy.txt"
MOST_MESSAGES = 10_000
MOST_MEMBERS = 200_000
PARTS = ("request", "answer", "receipt")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which messages a bundle is about; exactly one of message, conversation, case and period.

    Attributes:
        message: the request's id.
        conversation: the id of the message it began with.
        case: the number its purpose names.
        since: UTC; the first instant of arrival, or None for the beginning.
        until: UTC; the first instant after, or None for the end.
        party: only messages this subsystem sent or received; None for all.

    Raises:
        BundleError: `bundle.selection_invalid`.
    """

    message: MessageId | None = None
    conversation: MessageId | None = None
    case: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    party: SubsystemId | None = None

    def __post_init__(self) -> None:
        has_period = self.since is not None or self.until is not None
        asked = [self.message is not None, self.conversation is not None, self.case is not None, has_period]
        if sum(asked) != 1:
            raise BundleError("bundle.selection_invalid", "give one of message, conversation, case, period")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise BundleError("bundle.selection_invalid", "since is not before until")

    def to_json(self) -> dict[str, str | None]:
        """Return it as `bundle.json` states it."""
        if self.message is not None:
            said: dict[str, str | None] = {"message": self.message}
        elif self.conversation is not None:
            said = {"conversation": self.conversation}
        elif self.case is not None:
            said = {"case": self.case}
        else:
            said = {
                "since": format_instant(self.since) if self.since else None,
                "until": format_instant(self.until) if self.until else None,
            }
        return said | {"party": self.party}

    @property
    def kind(self) -> str:
        """Name the form, without what was asked for."""
        if self.message is not None:
            return "message"
        if self.conversation is not None:
            return "conversation"
        return "case" if self.case is not None else "period"

    @property
    def label(self) -> str:
        """A short name for files, of letters, digits and hyphens."""
        if self.message or self.conversation:
            return str(self.message or self.conversation)
        if self.case is not None:
            # A case number may name a person, and file names travel.
            return "case"
        ends = (f"{each:%Y%m%d}" if each else "" for each in (self.since, self.until))
        return "-".join(["period", *filter(None, ends)])


@dataclass(frozen=True)
class Piece:
    """One file of a bundle."""

    path: str
    content: bytes


@dataclass(frozen=True)
class Signer:
    """Who signed a container.

    Attributes:
        chain: its certificate first.
        signed_at: UTC; when it says it signed.
        relied_at: UTC; when the hub relied on it.
    """

    chain: tuple[x509.Certificate, ...]
    signed_at: datetime
    relied_at: datetime


@dataclass(frozen=True, kw_only=True)
class GatheredMessage:
    """One exchange with all that is kept of it.

    Attributes:
        record: where it stands.
        pieces: its files, proofs apart.
        containers: the path of each part, or None for one that cannot be given.
        headers: of the parts that could be read.
        entries: what the log says about it, oldest first.
        signers: whose signatures are in it.
        missing: what is not there.
    """

    record: ExchangeRecord
    pieces: tuple[Piece, ...]
    containers: dict[str, str | None]
    headers: dict[str, Header]
    entries: tuple[LoggedEntry, ...]
    signers: tuple[Signer, ...]
    missing: tuple[Missing, ...]

    @property
    def folder(self) -> str:
        """Where its files are."""
        return folder_of(self.record.message_id)

    def to_json(self) -> dict[str, object]:
        """Return its line of `bundle.json`."""
        record = self.record
        return {
            "id": record.message_id,
            "conversation": record.conversation,
            "sender": record.sender,
            "recipient": record.recipient,
            "service": record.service,
            "state": record.state.value,
            "code": record.code if record.state is ExchangeState.REFUSED else None,
            "received_at": format_instant(record.received_at),
            "concluded_at": format_instant(record.concluded_at) if record.concluded_at else None,
            "containers": self.containers,
            "entries": [
                {
                    "index": logged.position.index,
                    "leaf": leaf_path(record.message_id, logged.position.index),
                    "proof": proof_path(record.message_id, logged.position.index),
                }
                for logged in self.entries
            ],
        }


def folder_of(message_id: MessageId) -> str:
    """Return the folder of a message."""
    return f"messages/{message_id}"


def container_path(message_id: MessageId, part: str) -> str:
    """Return where a container is."""
    return f"{folder_of(message_id)}/{part}.asice"


def leaf_path(message_id: MessageId, index: int) -> str:
    """Return where an entry's bytes are."""
    return f"{folder_of(message_id)}/entry-{index}.json"


def proof_path(message_id: MessageId, index: int) -> str:
    """Return where an entry's proof is."""
    return f"{folder_of(message_id)}/entry-{index}.tlog-proof"
