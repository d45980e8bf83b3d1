# SPDX-License-Identifier: Apache-2.0
"""How often somebody may try to sign in."""

from __future__ import annotations

import pytest

from hub.errors import PortalError
from hub.pages import SignInAttempts


class Watch:
    """A stopwatch that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def failures_until_refused(attempts: SignInAttempts, address: str) -> int:
    failures = 0
    while not is_refused(attempts, address):
        attempts.note_failure(address)
        failures += 1
    return failures


def is_refused(attempts: SignInAttempts, address: str) -> bool:
    try:
        attempts.require_left(address)
    except PortalError as error:
        return error.code == "portal.too_many_attempts"
    return False


def test_ten_failures_at_once_are_enough() -> None:
    assert failures_until_refused(SignInAttempts(Watch()), "192.0.2.1") == 10


def test_another_try_is_given_every_half_minute() -> None:
    watch = Watch()
    attempts = SignInAttempts(watch)
    failures_until_refused(attempts, "192.0.2.1")
    watch.seconds += 29
    with pytest.raises(PortalError):
        attempts.require_left("192.0.2.1")
    watch.seconds += 2
    attempts.require_left("192.0.2.1")
    assert failures_until_refused(attempts, "192.0.2.1") == 1
    watch.seconds += 10_000
    assert failures_until_refused(attempts, "192.0.2.1") == 10


def test_one_address_does_not_lock_out_another() -> None:
    attempts = SignInAttempts(Watch())
    failures_until_refused(attempts, "192.0.2.1")
    attempts.require_left("192.0.2.2")
    attempts.require_left("2001:db8:1::1")


def test_the_addresses_of_one_ipv6_network_count_as_one() -> None:
    attempts = SignInAttempts(Watch())
    failures_until_refused(attempts, "2001:db8:1:2::1")
    with pytest.raises(PortalError):
        attempts.require_left("2001:db8:1:2:ffff::9")
    attempts.require_left("2001:db8:1:3::1")


def test_an_ipv4_address_in_ipv6_form_counts_by_itself() -> None:
    attempts = SignInAttempts(Watch())
    failures_until_refused(attempts, "::ffff:192.0.2.1")
    attempts.require_left("::ffff:192.0.2.2")


def test_the_memory_of_failures_is_bounded() -> None:
    attempts = SignInAttempts(Watch())
    for number in range(12_000):
        attempts.note_failure(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(attempts._used) == 10_000  # noqa: SLF001 - nothing else shows it
