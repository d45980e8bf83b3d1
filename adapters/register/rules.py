# SPDX-License-Identifier: Apache-2.0
"""What a text of descriptions holds, where a version stands, and what has to be so before it answers.

Pure: no clock, no file, no adapter is built here.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.descriptions import canonical_text, parse_description
from adapters.register.model import AdapterVersion, EventKind, VersionState
from hub.errors import AdapterError
from hub.identifiers import ContractId, ServiceId

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.configuration import ConfiguredAdapter
    from adapters.register.model import Event


@dataclass(frozen=True, kw_only=True)
class FileService:
    """A service that one of the gateway's own files describes.

    Attributes:
        text: canonical.
        build: builds its adapter, with paths that start beside the file.
    """

    text: str
    build: Callable[[], ConfiguredAdapter]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What has to be so before a version answers.

    Attributes:
        four_eyes: another person than its author has approved it.
        needs_test: its last contract test was passed.
        may_answer: tells whether the gateway answers such a service under such a contract; raises a coded
            error where it does not.
    """

    four_eyes: bool = False
    needs_test: bool = False
    may_answer: Callable[[ServiceId, ContractId], None] = lambda _service, _contract: None


def split(text: str) -> dict[ServiceId, str]:
    """Return the canonical text of each service that a text describes: a file, or one entry of one.

    Raises:
        AdapterError: `adapter.configuration_invalid`, it is none, or names a service twice.
    """
    content = parse_description(text, at="description")
    if isinstance(content, dict) and "services" not in content and "service" in content:
        content = {"services": [content]}
    services = content.get("services") if isinstance(content, dict) else None
    if not isinstance(services, list) or not services:
        raise AdapterError("adapter.configuration_invalid", "description: has no services")
    entries: dict[ServiceId, str] = {}
    for number, entry in enumerate(services):
        name = entry.get("service") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise AdapterError("adapter.configuration_invalid", f"description: services.{number}.service")
        if name in entries:
            detail = f"description: services.{number}.service: is described twice"
            raise AdapterError("adapter.configuration_invalid", detail)
        entries[ServiceId(name)] = canonical_text(entry)
    return entries


def require_ready(version: AdapterVersion, rules: Rules) -> None:
    """Refuse to let a version answer that may not yet.

    Raises:
        AdapterError: `adapter.approval_missing`, `adapter.test_missing`.
    """
    at = f"{version.service}: version {version.number}"
    if rules.four_eyes and version.approved_by is None:
        raise AdapterError("adapter.approval_missing", at)
    if rules.needs_test and version.has_passed is not True:
        raise AdapterError("adapter.test_missing", at)


def active_number(events: list[Event]) -> int | None:
    """Return which version the events of one service leave active."""
    active = None
    for event in events:
        if event.kind is EventKind.ACTIVATED:
            active = event.number
        elif event.kind is EventKind.RETIRED:
            active = None
    return active


def version_of(service: ServiceId, row: tuple[int, str, str], events: list[Event]) -> AdapterVersion:
    """Put a version together from its row (number, text, digest) and the events of its service."""
    number, text, sha256 = row
    own = [event for event in events if event.number == number]
    last = {event.kind: event for event in own}
    saved, approved = last[EventKind.SAVED], last.get(EventKind.APPROVED)
    activated, tested = last.get(EventKind.ACTIVATED), last.get(EventKind.TESTED)
    state = VersionState.DRAFT if approved is None else VersionState.APPROVED
    if activated is not None:
        is_active = active_number(events) == number
        state = VersionState.ACTIVE if is_active else VersionState.RETIRED
    entry = parse_description(text, at=f"{service} version {number}")
    return AdapterVersion(
        service=service,
        number=number,
        contract=ContractId(entry["contract"]),
        kind=entry["kind"],
        text=text,
        sha256=sha256,
        author=saved.by,
        saved_at=saved.at,
        note=saved.note,
        state=state,
        approved_by=None if approved is None else approved.by,
        activated_at=None if activated is None else activated.at,
        activated_by=None if activated is None else activated.by,
        has_passed=None if tested is None else tested.note.startswith("passed"),
    )


def compare(old: str, new: str, service: ServiceId) -> str:
    """Return a unified diff of two descriptions of a service."""
    lines = difflib.unified_diff(
        old.splitlines(keepends=True),
        new.splitlines(keepends=True),
        f"{service} (answers now)",
        f"{service} (description)",
    )
    return "".join(lines)
