# SPDX-License-Identifier: Apache-2.0
"""Verifying behind the pages: once for each container, and never longer waited for than a page may take."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest

from hub.clock import FixedClock
from hub.portal.verifications import Verifications, Verified, wait_until
from hub.trust import VerificationReport, VerificationStep

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def verified(*, is_passed: bool = True, documents: tuple[VerificationReport, ...] = ()) -> Verified:
    return Verified(report=report(is_passed=is_passed), documents=documents, at=NOW)


def report(*, is_passed: bool) -> VerificationReport:
    step = VerificationStep(1, "a step", is_passed, None if is_passed else "envelope.not_a_zip", "because")
    return VerificationReport("container", "envelope", (step,))


def test_a_container_is_verified_once_however_often_it_is_asked_for() -> None:
    asked: list[bytes] = []

    def verify(container: bytes, at: datetime) -> Verified:
        assert at == NOW
        asked.append(container)
        return verified()

    verifications = Verifications(verify, FixedClock(NOW))
    for _ in range(3):
        future = verifications.begin("a", b"first")
        assert wait_until(future, time.monotonic() + 10) == verified()
    verifications.begin("b", b"second").result(10)
    verifications.close()
    assert asked == [b"first", b"second"]


def test_who_waits_gets_nothing_while_it_runs_and_the_report_when_it_is_there() -> None:
    goes_on = threading.Event()

    def verify(container: bytes, at: datetime) -> Verified:
        del container, at
        assert goes_on.wait(10)
        return verified()

    verifications = Verifications(verify, FixedClock(NOW))
    future = verifications.begin("a", b"")
    assert wait_until(future, time.monotonic()) is None
    assert verifications.begin("a", b"") is future
    goes_on.set()
    assert future.result(10) == verified()
    verifications.close()


def test_a_failure_of_the_verifier_itself_is_no_verdict() -> None:
    def verify(container: bytes, at: datetime) -> Verified:
        del container, at
        raise OSError("the disk is gone")

    verifications = Verifications(verify, FixedClock(NOW))
    with pytest.raises(OSError, match="gone"):
        wait_until(verifications.begin("a", b""), time.monotonic() + 10)
    verifications.close()


def test_the_memory_of_reports_is_bounded() -> None:
    verifications = Verifications(lambda _container, _at: verified(), FixedClock(NOW))
    for number in range(400):
        verifications.begin(str(number), b"").result(10)
    assert len(verifications._running) == 300  # noqa: SLF001 - nothing else shows it
    verifications.close()


def test_a_document_that_does_not_hold_makes_the_whole_not_hold() -> None:
    assert verified(documents=(report(is_passed=True),)).is_valid
    assert not verified(documents=(report(is_passed=False),)).is_valid
    assert not verified(is_passed=False).is_valid
