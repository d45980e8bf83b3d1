# SPDX-License-Identifier: Apache-2.0
"""The register as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.clock import format_instant

if TYPE_CHECKING:
    from adapters.console.workbench import Workbench
    from adapters.register import AdapterVersion, Change, Event
    from hub.identifiers import ServiceId


def version_json(version: AdapterVersion, *, with_text: bool = False) -> dict[str, Any]:
    """Return a version; its text only where it is asked for."""
    return {
        "service": version.service,
        "number": version.number,
        "contract": version.contract,
        "kind": version.kind,
        "sha256": version.sha256,
        "author": version.author,
        "saved_at": format_instant(version.saved_at),
        "note": version.note,
        "state": version.state.value,
        "approved_by": version.approved_by,
        "activated_at": None if version.activated_at is None else format_instant(version.activated_at),
        "activated_by": version.activated_by,
        "has_passed": version.has_passed,
        **({"text": version.text} if with_text else {}),
    }


def service_json(bench: Workbench, service: ServiceId) -> dict[str, Any]:
    """Return what answers a service now, and the newest version beside it."""
    answering, versions = bench.live.get(service), bench.register.versions(service)
    problem = bench.live.problem_of(service)
    return {
        "service": service,
        "contract": None if answering is None else answering.contract,
        "kind": None if answering is None else answering.kind,
        "version": None if answering is None else answering.version,
        "sha256": None if answering is None else answering.digest,
        "newest": version_json(versions[-1]) if versions else None,
        "problem": None if problem is None else {"code": problem.code, "detail": problem.detail},
    }


def change_json(change: Change) -> dict[str, Any]:
    """Return a planned change."""
    return {
        "service": change.service,
        "kind": change.kind.value,
        "diff": change.diff,
        "base": change.base,
    }


def event_json(event: Event) -> dict[str, Any]:
    """Return a line of the record."""
    return {
        "sequence": event.sequence,
        "service": event.service,
        "number": event.number,
        "kind": event.kind.value,
        "by": event.by,
        "at": format_instant(event.at),
        "note": event.note,
    }
