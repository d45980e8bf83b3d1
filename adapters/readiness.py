# SPDX-License-Identifier: Apache-2.0
"""What a gateway needs to do its work."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import httpx2

from hub.telemetry import Condition, Readiness, State, disk_condition
from hub.trustlist import GRACE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hub.clock import Clock
    from hub.trust import SigningKey
    from hub.trustlist import TrustListArchive

LEAST_MEBIBYTES = 1024
"""With less than this left, somebody should look: answers and lists are written to this disk."""

_HUB_SECONDS = 2.0
_PROOF = b"heliograph readiness: proves that the key signs, and nothing else"


def gateway_readiness(  # noqa: PLR0913 - its dependencies
    *,
    key: SigningKey,
    trust_lists: TrustListArchive,
    clock: Clock,
    http: httpx2.Client,
    hub_url: str,
    data_folder: Path,
    of_clock: Callable[[], Condition] = Condition,
) -> Readiness:
    """Return what looks at everything a gateway needs."""
    return Readiness(
        {
            "keys": partial(_keys, key),
            "trust_list": partial(_trust_list, trust_lists, clock),
            "hub": partial(_hub, http, hub_url),
            "disk": partial(_disk, data_folder),
            "clock": of_clock,
        }
    )


def _keys(key: SigningKey) -> Condition:
    key.snapshot().sign(_PROOF)
    return Condition()


def _trust_list(lists: TrustListArchive, clock: Clock) -> Condition:
    now, document = clock.now(), lists.current.document
    if now < document.next_update:
        return Condition()
    detail = f"version {document.sequence}: the next one was due at {document.next_update.isoformat()}"
    return Condition(State.FAILED if now >= document.next_update + GRACE else State.IMPAIRED, detail)


def _hub(http: httpx2.Client, url: str) -> Condition:
    # What the hub has accepted is answered all the same, so a gateway is not taken away for this.
    try:
        status = http.get(f"{url}/healthz", timeout=_HUB_SECONDS).status_code
    except httpx2.HTTPError as error:
        return Condition(State.IMPAIRED, type(error).__name__)
    return Condition() if status == 200 else Condition(State.IMPAIRED, f"HTTP {status}")


def _disk(folder: Path) -> Condition:
    # It is made with the first thing that is written.
    there = next(each for each in (folder, *folder.resolve().parents) if each.exists())
    return disk_condition(there, least_mebibytes=LEAST_MEBIBYTES)
