# SPDX-License-Identifier: Apache-2.0
"""Taking times: one core, the best of several rounds, and openssl on that same core."""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 5
_ROUND_SECONDS = 1.0


@dataclass(frozen=True)
class OpensslRates:
    """Signatures and verifications a second of `openssl speed ecdsap256`."""

    sign: float
    verify: float


@contextmanager
def on_one_core() -> Iterator[None]:
    """Keep this process and the ones it starts on one core."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def rate(work: Callable[[], object], *, at_a_time: int = 20) -> float:
    """Return how often a second of processor time `work` can be done: the best of several rounds.

    Args:
        work: what to measure.
        at_a_time: how often it is done between two looks at the clock.
    """
    return max(rate_once(work, at_a_time=at_a_time) for _ in range(ROUNDS))


def rate_once(work: Callable[[], object], *, at_a_time: int = 20) -> float:
    """Return the rate of one round of about a second.

    `openssl speed` counts processor time too, so what else runs on the machine disturbs neither.
    """
    count, begun = 0, time.process_time()
    while (elapsed := time.process_time() - begun) < _ROUND_SECONDS:
        for _ in range(at_a_time):
            work()
        count += at_a_time
    return count / elapsed


def openssl_rates() -> OpensslRates:
    """Ask openssl what one core can do, for about two seconds."""
    command = ["openssl", "speed", "-seconds", "1", "ecdsap256"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    match = re.search(r"nistp256\)\s+[0-9.]+s\s+[0-9.]+s\s+([0-9.]+)\s+([0-9.]+)", shown)
    if match is None:
        raise RuntimeError(f"openssl speed printed something else:\n{shown}")
    return OpensslRates(float(match[1]), float(match[2]))
