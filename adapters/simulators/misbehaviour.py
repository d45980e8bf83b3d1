# SPDX-License-Identifier: Apache-2.0
"""What a stand-in can be told to do wrong, while it runs, through a file in its folder."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FILE = "misbehaviour.json"
SLOW_SECONDS = 3.0
"""How long a slow stand-in waits before it answers."""


class Misbehaviour(StrEnum):
    """Ways in which a legacy system is known to fail."""

    BREAKS_CONTRACT = "breaks-contract"
    SLOW = "slow"
    FAULT = "fault"
    UNKNOWN_CODE = "unknown-code"
    ENTITY_BOMB = "entity-bomb"
    EXTERNAL_ENTITY = "external-entity"
    OVERSIZED = "oversized"
    REDIRECT = "redirect"
    WRONG_DIGEST = "wrong-digest"
    HALF_WRITTEN = "half-written"


class StandIn(StrEnum):
    """The three stand-ins."""

    SOAP = "soap"
    REST = "rest"
    SFTP = "sftp"


def misbehave(folder: Path, stand_in: StandIn, how: Misbehaviour | None) -> None:
    """Tell a running stand-in what to do wrong from now on, or with None to behave."""
    wanted = _read(folder)
    wanted.pop(stand_in, None)
    if how is not None:
        wanted[stand_in] = how
    fresh = folder / f"{_FILE}.new"
    fresh.write_text(json.dumps(wanted), encoding="utf-8")
    fresh.replace(folder / _FILE)


def current(folder: Path, stand_in: StandIn) -> Misbehaviour | None:
    """Return what a stand-in was told to do wrong."""
    wanted = _read(folder).get(stand_in)
    return None if wanted is None else Misbehaviour(wanted)


def _read(folder: Path) -> dict[str, str]:
    path = folder / _FILE
    if not path.exists():
        return {}
    wanted: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return wanted
