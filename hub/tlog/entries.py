# SPDX-License-Identifier: Apache-2.0
"""What the log says about a message: ids, digests and what became of it; never personal data.

The tree may be shown to anybody, so an entry's fields have forms in which nothing else fits.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from hub.canonical import encode_canonical
from hub.clock import format_instant, parse_instant
from hub.errors import LogError
from hub.identifiers import (
    MessageId,
    ServiceId,
    SubsystemId,
    is_message_id,
    is_service_id,
    is_subsystem_id,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CODE = re.compile(r"[a-z]{1,20}\.[a-z0-9_]{1,60}")


class EntryEvent(StrEnum):
    """What became of a container."""

    ACCEPTED = "accepted"
    """A request passed every check and will be delivered."""
    DELIVERED = "delivered"
    """A recipient has signed that it has a message and will answer later, or never has to."""
    REPLAYED = "replayed"
    """An operator had a message delivered again that could not be."""
    ANSWERED = "answered"
    """The response to a request passed every check."""
    REFUSED = "refused"
    """A container failed a check; `code` says which."""
    FAILED = "failed"
    """A request was accepted but could not be answered; `code` says why."""
    DUPLICATE = "duplicate"
    """A message id that had been seen; the first try's result was returned."""
    ERASED = "erased"
    """A data key was destroyed; `container_sha256` is of the record that says which, why and by whom."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the log.

    Attributes:
        event: what became of the container.
        at: by the hub's clock, UTC, milliseconds.
        container_sha256: of the container exactly as received or sent, or of what else the event is about;
            lower-case hex.
        manifest_sha256: of `META-INF/ASiCManifest.xml`; None when the container could not be read.
        message_id: None when the header could not be read; likewise the ids that follow.
        sender: the subsystem the header names.
        recipient: the subsystem the header names.
        service: the service the header names.
        code: the stable error code of a refusal or failure.

    Raises:
        ValueError: a field has not its form. What a sender wrote must be checked before it comes here.
    """

    event: EntryEvent
    at: datetime
    container_sha256: str
    manifest_sha256: str | None = None
    message_id: MessageId | None = None
    sender: SubsystemId | None = None
    recipient: SubsystemId | None = None
    service: ServiceId | None = None
    code: str | None = None

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.container_sha256):
            raise ValueError("container_sha256 is not 64 lower-case hex digits")
        for name, has_form in _FORMS.items():
            value = getattr(self, name)
            if value is not None and not has_form(value):
                raise ValueError(f"{name} of a log entry has not its form")
        if self.at.tzinfo is None or self.at.microsecond % 1000:
            raise ValueError("at is not an instant in UTC, cut to milliseconds")

    def to_bytes(self) -> bytes:
        """Write the entry as RFC 8785 canonical JSON: the leaf of the tree."""
        return encode_canonical(
            {
                "at": format_instant(self.at),
                "code": self.code,
                "container_sha256": self.container_sha256,
                "event": self.event.value,
                "manifest_sha256": self.manifest_sha256,
                "message_id": self.message_id,
                "recipient": self.recipient,
                "sender": self.sender,
                "service": self.service,
            }
        )

    @classmethod
    def from_bytes(cls, leaf: bytes) -> Entry:
        """Read an entry that `to_bytes` wrote.

        Raises:
            LogError: `log.corrupt`: it is anything else.
        """
        try:
            fields = json.loads(leaf)
            fields["event"] = EntryEvent(fields["event"])
            fields["at"] = parse_instant(fields["at"])
            entry = cls(**fields)
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise LogError("log.corrupt", "an entry is not one this log writes") from exc
        if entry.to_bytes() != leaf:
            raise LogError("log.corrupt", "an entry is not canonical JSON")
        return entry


def message_id_in(leaf: bytes) -> str | None:
    """Return the message id an entry's bytes name, without checking anything else.

    Raises:
        LogError: `log.corrupt`: it is no entry.
    """
    try:
        message_id: str | None = json.loads(leaf)["message_id"]
    except (ValueError, TypeError, KeyError) as exc:
        raise LogError("log.corrupt", "an entry is not one this log writes") from exc
    return message_id


_FORMS: dict[str, Callable[[str], object]] = {
    "manifest_sha256": _SHA256.fullmatch,
    "message_id": is_message_id,
    "sender": is_subsystem_id,
    "recipient": is_subsystem_id,
    "service": is_service_id,
    "code": _CODE.fullmatch,
}


@dataclass(frozen=True)
class LogPosition:
    """Where an entry stands: its number, counted from 0, and its leaf's hash."""

    index: int
    leaf_hash: bytes


@dataclass(frozen=True)
class LoggedEntry:
    """An entry read back from the log."""

    position: LogPosition
    entry: Entry
