# SPDX-License-Identifier: Apache-2.0
"""What a generated stand-in does wrong, and in which of its calls: the same for the same seed."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from adapters.simulators.misbehaviour import Misbehaviour

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Misbehaviour", "Misconduct"]


@dataclass(frozen=True, kw_only=True)
class Misconduct:
    """What goes wrong, and how often.

    Attributes:
        ways: what a call that goes wrong does; one of them, by chance.
        share: how many of the calls go wrong, 0 to 1.
        slow_seconds: how long a slow call waits before it is answered.
        seed: decides which calls.
    """

    ways: tuple[Misbehaviour, ...] = ()
    share: float = 1.0
    slow_seconds: float = 3.0
    seed: str = "0"
    _calls: Iterator[int] = field(default_factory=itertools.count, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def of_next_call(self) -> Misbehaviour | None:
        """Return what the next call does wrong; None for a call that is answered well."""
        with self._lock:
            number = next(self._calls)
        chance = Random(f"{self.seed}/{number}")  # noqa: S311 - reproducible, not a secret
        if not self.ways or chance.random() >= self.share:
            return None
        return chance.choice(self.ways)
