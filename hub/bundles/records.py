# SPDX-License-Identifier: Apache-2.0
"""Evidence records, put into the containers they are about.

Source: docs/protocols/evidence-bundle.md section 5; ETSI EN 319 162-1 clause 4.4.3.2 item 4 c.
"""

from __future__ import annotations

from hub.bundles.missing import Why


class NoRecords:
    """Stands for a hub that makes no evidence records."""

    def exported(self, container: bytes, sha256: str) -> tuple[bytes, Why | None]:
        """Return the container as it is; its record is missing."""
        del sha256
        return container, Why.RECORD_UNKNOWN
