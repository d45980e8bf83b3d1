# SPDX-License-Identifier: Apache-2.0
"""Every process killed or paused at random, PostgreSQL too: the short form of `make chaos`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.plan import Kind
from tests.chaos.run import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pki import ServedPki

_SECONDS = 45.0
_PER_SECOND = 20.0


def test_every_message_ends_once_and_takes_effect_once_whatever_fails_meanwhile(
    pki: ServedPki, tmp_path: Path
) -> None:
    outcome = run(tmp_path, pki, seed=5, seconds=_SECONDS, per_second=_PER_SECOND)

    assert {each.kind for each in outcome.mishaps} == set(Kind)
    assert len({each.machine for each in outcome.mishaps}) >= 5
    assert outcome.judgement.faults == []
    # Whatever failed came back in time, so nothing had to be given up.
    assert dict(outcome.judgement.states) == {"processed": outcome.sent}
    assert outcome.sent == _SECONDS * _PER_SECOND
