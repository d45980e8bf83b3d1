# SPDX-License-Identifier: Apache-2.0
"""A run: load from the first second to the last, mishaps by plan, then quiet, then the judgement."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.judgement import Judgement, judge, unfinished
from tests.chaos.load import Load
from tests.chaos.plan import Kind, draw_mishaps
from tests.chaos.world import chaotic_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.chaos.plan import Mishap
    from tests.chaos.world import World
    from tests.pki import ServedPki

CALLERS = 12
_DRAIN_SECONDS = 600.0
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes:
        mishaps: what befell whom.
        sent: how many messages were sent, and acknowledged.
        told: how often callers had to come again, by what they met.
        drained_seconds: how long after the last mishap the last message had its final state.
    """

    mishaps: Sequence[Mishap]
    sent: int
    told: dict[str, int]
    drained_seconds: float
    judgement: Judgement


def run(
    folder: Path,
    pki: ServedPki,
    *,
    seed: int,
    seconds: float,
    per_second: float,
    say: Callable[[str], None] = lambda _line: None,
) -> Outcome:
    """Run it.

    Args:
        folder: empty; logs of every life of every process stay there.
        seed: of the plan; the load is the same in every run.
        seconds: how long there is load and mishaps.
        per_second: how many messages are sent a second, whatever becomes of the earlier ones.
        say: is told what happens, as it happens.
    """
    with chaotic_world(folder, pki) as world:
        mishaps = draw_mishaps(seed, seconds, list(world.machines))
        load = Load(world.ports, pki.signer("federation-sign"))
        load.start(CALLERS)
        offering = threading.Thread(target=load.offer, args=(seconds, per_second))
        offering.start()
        try:
            _befall(world, mishaps, say)
        except BaseException:
            load.give_up()
            raise
        offering.join()
        say("every machine is up again")
        begun = time.monotonic()
        load.finish()
        say(f"{len(load.accepted)} messages are acknowledged")
        with world.looking() as hub:
            for left in _draining(lambda: len(unfinished(hub, load))):
                say(f"{left} messages have no final state yet")
            drained = time.monotonic() - begun
            judgement = judge(hub, load, world.legacy)
        return Outcome(mishaps, len(load.sent), load.told, drained, judgement)


def _befall(world: World, mishaps: Sequence[Mishap], say: Callable[[str], None]) -> None:
    """Let everything happen, one thread a mishap: several machines may be down at once."""
    begun, busy = time.monotonic(), {name: threading.Lock() for name in world.machines}
    errors: list[BaseException] = []

    def happen(mishap: Mishap) -> None:
        machine = world.machines[mishap.machine]
        try:
            with busy[mishap.machine]:
                now = time.monotonic() - begun
                say(f"{now:6.1f} s {mishap.kind} {machine.name} for {mishap.seconds:.1f} s")
                if mishap.kind is Kind.KILL:
                    machine.kill()
                    time.sleep(mishap.seconds)
                    machine.start()
                    machine.wait_until_up()
                else:
                    machine.stand_still()
                    time.sleep(mishap.seconds)
                    machine.go_on()
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits for this one
            errors.append(error)

    threads = []
    for mishap in mishaps:
        time.sleep(max(0.0, begun + mishap.at - time.monotonic()))
        threads.append(threading.Thread(target=happen, args=(mishap,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    for machine in world.machines.values():
        machine.wait_until_up()


def _draining(count: Callable[[], int]) -> Iterator[int]:
    deadline = time.monotonic() + _DRAIN_SECONDS
    while (left := count()) and time.monotonic() < deadline:
        yield left
        time.sleep(_LOOK_SECONDS)
