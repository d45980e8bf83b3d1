# SPDX-License-Identifier: Apache-2.0
"""What happens to which machine, and when: all of it out of one seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Kind(StrEnum):
    """What happens to a machine."""

    KILL = "kill"
    PAUSE = "pause"


@dataclass(frozen=True)
class Mishap:
    """Something that befalls a machine.

    Attributes:
        at: seconds from the beginning.
        machine: its name.
        kind: killed, or standing still.
        seconds: how long it stays so.
    """

    at: float
    machine: str
    kind: Kind
    seconds: float


SHORTEST_GAP_SECONDS = 0.5
LONGEST_GAP_SECONDS = 6.0
LONGEST_OUTAGE_SECONDS = 8.0


def draw_mishaps(seed: int, seconds: float, machines: Sequence[str]) -> tuple[Mishap, ...]:
    """Return the mishaps of a run, in their order.

    Every machine is killed and paused at least once when there is time for it: they take turns in a
    shuffled order, round after round.
    """
    luck = random.Random(seed)  # noqa: S311 (spreads mishaps, protects nothing)
    mishaps: list[Mishap] = []
    round_: list[tuple[str, Kind]] = []
    at = luck.uniform(SHORTEST_GAP_SECONDS, LONGEST_GAP_SECONDS)
    while at < seconds:
        if not round_:
            round_ = [(machine, kind) for machine in machines for kind in Kind]
            luck.shuffle(round_)
        machine, kind = round_.pop()
        mishaps.append(Mishap(at, machine, kind, luck.uniform(0.2, LONGEST_OUTAGE_SECONDS) ** 0.8))
        at += luck.uniform(SHORTEST_GAP_SECONDS, LONGEST_GAP_SECONDS)
    return tuple(mishaps)
