# SPDX-License-Identifier: Apache-2.0
"""What members and services are called; ids alone tell people little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.identifiers import member_of
from hub.registry import Member, Service

if TYPE_CHECKING:
    from hub.identifiers import ServiceId, SubsystemId
    from hub.registry import Snapshot, Title


@dataclass(frozen=True)
class Names:
    """Looks names up in the registry as it was at one moment."""

    snapshot: Snapshot

    def of_party(self, subsystem: SubsystemId) -> Title | None:
        """Return the name of the member a subsystem belongs to; None when the registry does not know it."""
        member = self.snapshot.find(Member, member_of(subsystem))
        return member.names if member else None

    def of_service(self, service: ServiceId) -> Title | None:
        """Return a service's title; None when the registry does not know it."""
        found = self.snapshot.find(Service, service)
        return found.titles if found else None
