# SPDX-License-Identifier: Apache-2.0
"""What subsystems and services are called, as the registry says today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.bundles.page import Words
from hub.identifiers import SubsystemId, is_service_id, is_subsystem_id, member_of
from hub.registry import Member, Service, Subsystem

if TYPE_CHECKING:
    from hub.registry import Registry, Title


@dataclass(frozen=True)
class RegisteredNames:
    """Names out of the registry."""

    registry: Registry

    def of(self, identifier: str) -> Words | None:
        """Return the name of a service, or of a subsystem and its member; None where none is registered."""
        if is_service_id(identifier):
            service = self.registry.snapshot.find(Service, identifier)
            return None if service is None else _words(service.titles)
        if is_subsystem_id(identifier):
            return self._subsystem(identifier)
        return None

    def _subsystem(self, identifier: str) -> Words | None:
        snapshot = self.registry.snapshot
        subsystem = snapshot.find(Subsystem, identifier)
        member = snapshot.find(Member, member_of(SubsystemId(identifier)))
        if subsystem is None or member is None:
            return None
        return Words(f"{member.names.zh}·{subsystem.titles.zh}", f"{member.names.en}, {subsystem.titles.en}")


def _words(title: Title) -> Words:
    return Words(title.zh, title.en)
