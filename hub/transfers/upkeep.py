# SPDX-License-Identifier: Apache-2.0
"""Giving up, from time to time, what nobody sends any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.messagelog import Rounds

if TYPE_CHECKING:
    from hub.clock import Clock
    from hub.transfers.service import Uploads

_PAUSE_SECONDS = 60.0


class UploadUpkeep:
    """Removes abandoned uploads and files nobody needs, while the hub serves."""

    def __init__(self, uploads: Uploads, clock: Clock) -> None:
        self._uploads = uploads
        self._clock = clock
        self._rounds = Rounds()

    def run(self) -> None:
        """Look again and again, until `stop`."""
        self._rounds.run(self._look, "upload.not_looked_after")

    def stop(self) -> None:
        """Let `run` end."""
        self._rounds.stop()

    def _look(self) -> float:
        self._uploads.clean(self._clock.now())
        return _PAUSE_SECONDS
