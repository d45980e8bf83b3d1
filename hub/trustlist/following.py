# SPDX-License-Identifier: Apache-2.0
"""A gateway follows the hub's versions of the trust list, without believing the hub a word.

What the hub offers is only brought by it: every version has to follow the one that is held. A hub that shows
another history than the one held, or a shorter one, raises an alarm, and what is held stays in force.

Source: docs/protocols/trust-list.md section 8.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import httpx2

from hub.errors import TrustError
from hub.trust import Bilingual, refusal
from hub.trustlist.container import MOST_BYTES

if TYPE_CHECKING:
    from hub.alarms import AlarmSink
    from hub.clock import Clock
    from hub.trustlist.archive import TrustListArchive

FOLLOWING_SECONDS = 60.0
_ALARM = "trust.trust_list_refused"
_MOST_LISTING_BYTES = 16 * 1024 * 1024


class TrustListFollower:
    """Fetches the versions that the hub has and the archive lacks.

    Args:
        archive: what is held.
        url: where the hub answers.
        http: carries the requests.
        alarms: who is told of an overdue list, and of a hub whose lists do not follow.
        clock: the machine's.
    """

    def __init__(
        self, archive: TrustListArchive, url: str, http: httpx2.Client, alarms: AlarmSink, clock: Clock
    ) -> None:
        self._archive = archive
        self._url = f"{url.rstrip('/')}/api/v1/trust-lists"
        self._http = http
        self._alarms = alarms
        self._clock = clock
        self.stopped = threading.Event()

    def run(self, seconds: float = FOLLOWING_SECONDS) -> None:
        """Look at once and then every so often, until `stopped` is set."""
        while True:
            self.follow()
            if self.stopped.wait(seconds):
                return

    def follow(self) -> None:
        """Look once. Whatever the hub answers, or does not, the archive stays usable."""
        try:
            self._fetch()
        except TrustError as exc:
            self._alarms.raise_alarm(_ALARM, self._url, f"{exc.code}: {exc.detail}")
        except httpx2.HTTPError:
            # A hub that cannot be reached shows in the messages; the list holds until its own alarm.
            pass
        else:
            self._alarms.clear(_ALARM, self._url)
        self._archive.watch(self._clock.now(), self._alarms)

    def _fetch(self) -> None:
        shown = self._listing()
        held = self._archive.current
        if not shown or max(shown) < held.sequence:
            raise refusal("list_rolled_back", sequence=str(max(shown, default=0)), held=str(held.sequence))
        if shown.get(held.sequence) != held.sha256:
            raise refusal("list_forked", sequence=str(held.sequence))
        for sequence in range(held.sequence + 1, max(shown) + 1):
            container = self._get(f"{self._url}/{sequence}", MOST_BYTES)
            self._archive.add(container, by=self._url, now=self._clock.now())

    def _listing(self) -> dict[int, str]:
        content = self._get(self._url, _MOST_LISTING_BYTES)
        try:
            rows = json.loads(content)
            return {int(row["sequence"]): str(row["sha256"]) for row in rows}
        except (ValueError, TypeError, KeyError) as exc:
            raise refusal(
                "list_malformed",
                problem=Bilingual("the hub's list of versions cannot be read", "枢纽的版本目录无法读取"),
            ) from exc

    def _get(self, url: str, most: int) -> bytes:
        content = bytearray()
        with self._http.stream("GET", url) as response:
            response.raise_for_status()
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > most:
                    raise refusal(
                        "list_container_broken",
                        problem=Bilingual(
                            f"the hub sends more than {most} bytes", f"枢纽发来的内容超过{most}字节"
                        ),
                    )
        return bytes(content)
