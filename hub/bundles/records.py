# SPDX-License-Identifier: Apache-2.0
"""Evidence records, put into the containers they are about.

Source: docs/protocols/evidence-bundle.md section 5; ETSI EN 319 162-1 clause 4.4.3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.bundles.missing import Why
from hub.errors import LogError
from hub.preservation import with_record

if TYPE_CHECKING:
    from hub.messagelog import EvidenceRecords


@dataclass(frozen=True)
class ContainerRecords:
    """The hub's evidence records."""

    records: EvidenceRecords

    def exported(self, container: bytes, sha256: str) -> tuple[bytes, Why | None]:
        """Return a container with its record in it, or as it is and why there is none."""
        try:
            return with_record(container, self.records.of(sha256)), None
        except LogError as exc:
            if exc.code != "log.record_unknown":
                raise
        return container, Why.STAMP_WAITING if self.records.waiting() else Why.RECORD_UNKNOWN
