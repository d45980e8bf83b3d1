# SPDX-License-Identifier: Apache-2.0
"""Where the marks of a lane's picture stand: one station a step, and between them how long was waited.

The stations stand at equal distances, because pauses grow from seconds to hours: to scale, the first tries
would be one blot. Everything in the picture stands in the list below it in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from hub.portal.paths import Lane, Step

_FIRST_SHOWN = 2
_LAST_SHOWN = 4
_BETWEEN = 118
_MARGIN = 56


@dataclass(frozen=True, kw_only=True)
class Station:
    """A mark.

    Attributes:
        x: its middle.
        step: what it is about; None for the mark that stands for those left out.
        left_out: how many tries it stands for.
    """

    x: int
    step: Step | None = None
    left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class Link:
    """A line between two marks.

    Attributes:
        x: where it begins.
        until_x: where it ends.
        waited: how long the pause was; None where nobody can say.
        is_to_come: whether the mark it leads to has not happened yet.
    """

    x: int
    until_x: int
    waited: timedelta | None
    is_to_come: bool

    @property
    def middle(self) -> int:
        """Where its words stand."""
        return (self.x + self.until_x) // 2


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A lane's picture."""

    stations: tuple[Station, ...]
    links: tuple[Link, ...]
    width: int


def draw(lane: Lane) -> Drawing:
    """Return the picture of a lane; of many tries the middle ones are left out."""
    shown = _shown(lane.steps, len(lane.tries))
    stations = tuple(
        Station(x=_MARGIN + place * _BETWEEN, step=step, left_out=left_out)
        for place, (step, left_out) in enumerate(shown)
    )
    links = tuple(
        Link(
            x=before.x,
            until_x=after.x,
            waited=_waited(before, after),
            is_to_come=after.step is not None and after.step.is_to_come,
        )
        for before, after in pairwise(stations)
    )
    return Drawing(stations=stations, links=links, width=2 * _MARGIN + max(0, len(shown) - 1) * _BETWEEN)


def _shown(steps: Sequence[Step], tries: int) -> list[tuple[Step | None, int]]:
    left_out = tries - _FIRST_SHOWN - _LAST_SHOWN
    if left_out < 2:  # A mark for a single one left out would take as much room as itself.
        return [(each, 0) for each in steps]
    first, last = steps[:_FIRST_SHOWN], steps[_FIRST_SHOWN + left_out :]
    return [*((each, 0) for each in first), (None, left_out), *((each, 0) for each in last)]


def _waited(before: Station, after: Station) -> timedelta | None:
    if before.step is None or after.step is None:
        return None
    if after.step.is_to_come:
        return after.step.at - (before.step.until or before.step.at)
    return after.step.waited
