# SPDX-License-Identifier: Apache-2.0
"""Pauses grow to a ceiling and are never quite the same."""

from __future__ import annotations

import random

import pytest

from hub.outbox import is_exhausted, next_pause
from hub.registry import DeliveryPolicy

POLICY = DeliveryPolicy(first_pause_seconds=5, factor=2, longest_pause_seconds=900, tries=12)
LUCK = random.Random(5)  # noqa: S311 - protects nothing


@pytest.mark.parametrize(
    ("attempts", "ceiling"), [(1, 5), (2, 10), (3, 20), (8, 640), (9, 900), (12, 900), (10_000, 900)]
)
def test_a_pause_lies_between_half_its_ceiling_and_the_ceiling(attempts: int, ceiling: float) -> None:
    pauses = [next_pause(POLICY, attempts, LUCK).total_seconds() for _ in range(500)]
    assert min(pauses) >= ceiling / 2
    assert max(pauses) <= ceiling
    assert min(pauses) < ceiling * 0.55
    assert max(pauses) > ceiling * 0.95
    assert len(set(pauses)) > 450


@pytest.mark.parametrize(("attempts", "is_over"), [(0, False), (11, False), (12, True), (13, True)])
def test_the_schedule_ends_with_the_last_try(attempts: int, *, is_over: bool) -> None:
    assert is_exhausted(POLICY, attempts) is is_over
