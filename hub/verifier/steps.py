# SPDX-License-Identifier: Apache-2.0
"""Steps of which some need others: what cannot be checked any more counts as failed, and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from hub.errors import BundleError, EnvelopeError, ExchangeError, LogError, TrustError
from hub.trust import StepRecorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.trust import VerificationStep

_T = TypeVar("_T")

NOT_CHECKED = "not checked because step"
"""How the reason of a step begins that was not run."""

_ERRORS = {kind.family: kind for kind in (BundleError, EnvelopeError, ExchangeError, LogError, TrustError)}


class DependentSteps:
    """Runs checks in order, each under a name; one whose needs failed is not run and counts as failed."""

    def __init__(self) -> None:
        self._recorder = StepRecorder()
        self._by_name: dict[str, VerificationStep] = {}

    @property
    def steps(self) -> tuple[VerificationStep, ...]:
        """The steps so far."""
        return self._recorder.steps

    def run(self, name: str, code: str, check: Callable[[], str], *, needs: tuple[str, ...] = ()) -> None:
        """Run a check and record it.

        Args:
            name: what is checked; once per report.
            code: stands in the step when the check fails with anything but a coded error.
            check: returns the reason why it holds, or raises.
            needs: names of earlier steps without which the check says nothing.
        """
        for need in needs:
            if not self._by_name[need].is_passed:
                check = _not_checked(self._by_name[need])
                break
        self._recorder.run(name, code, check)
        self._by_name[name] = self._recorder.last


def _not_checked(failed: VerificationStep) -> Callable[[], str]:
    def refuse() -> str:
        code = failed.code or "envelope.signature_invalid"
        error = _ERRORS[code.partition(".")[0]]
        raise error(code, f"{NOT_CHECKED} {failed.number} failed")

    return refuse


def known(value: _T | None) -> _T:
    """Return what an earlier step found; the steps before made sure of it."""
    if value is None:
        raise ValueError("an earlier step did not find it")
    return value
