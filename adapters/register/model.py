# SPDX-License-Identifier: Apache-2.0
"""A version of a service's description, what became of it, and what a file would change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from hub.identifiers import ContractId, ServiceId


class VersionState(StrEnum):
    """Where a version stands."""

    DRAFT = "draft"
    """It is kept, and answers nothing."""
    APPROVED = "approved"
    """Another person than its author has agreed to it."""
    ACTIVE = "active"
    """It answers."""
    RETIRED = "retired"
    """It has answered, and does no more."""


class EventKind(StrEnum):
    """What somebody did to a version."""

    SAVED = "saved"
    APPROVED = "approved"
    TESTED = "tested"
    ACTIVATED = "activated"
    RETIRED = "retired"


@dataclass(frozen=True)
class Event:
    """One line of the record of who did what; never changed.

    Attributes:
        number: of the version.
        by: the administrator's name.
        at: UTC.
        note: what was said about it, or for a test `passed` or `failed` and the counts.
    """

    sequence: int
    service: ServiceId
    number: int
    kind: EventKind
    by: str
    at: datetime
    note: str


@dataclass(frozen=True)
class AdapterVersion:
    """One version of the description of one service.

    Attributes:
        number: 1, 2, 3 … for each service.
        text: the canonical text of the entry (`adapters.descriptions`); secrets are references.
        sha256: of the text, hexadecimal.
        saved_at: UTC.
        note: why it was made, in the author's words.
        approved_by: another person than the author; None before that.
        activated_at: UTC, of the last activation; None before the first one.
        has_passed: what its last contract test gave; None where there was none.
    """

    service: ServiceId
    number: int
    contract: ContractId
    kind: str
    text: str
    sha256: str
    author: str
    saved_at: datetime
    note: str
    state: VersionState
    approved_by: str | None = None
    activated_at: datetime | None = None
    activated_by: str | None = None
    has_passed: bool | None = None


class ChangeKind(StrEnum):
    """What a description means for what answers now."""

    ADDED = "added"
    CHANGED = "changed"
    SAME = "same"
    REMOVED = "removed"


@dataclass(frozen=True)
class Change:
    """What a description would change about one service.

    Attributes:
        diff: unified, from what answers now to the description.
        base: SHA-256 of what answers now; empty for nothing.
    """

    service: ServiceId
    kind: ChangeKind
    diff: str
    base: str = ""


@dataclass(frozen=True)
class Plan:
    """What a file of descriptions would change."""

    changes: tuple[Change, ...]

    @property
    def is_empty(self) -> bool:
        """Whether everything is as the file says."""
        return all(change.kind is ChangeKind.SAME for change in self.changes)
