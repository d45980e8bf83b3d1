# SPDX-License-Identifier: Apache-2.0
"""How a verification tells what it found: numbered steps, each passed or failed with the reason.

Every verifier runs all its steps, also after one has failed. A step that needs what an earlier one could not
find fails too: nothing counts as passed that was not checked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from hub.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hub.errors import Finding


@dataclass(frozen=True)
class VerificationStep:
    """One check and its outcome.

    Attributes:
        number: from 1 on, in the order of the checks.
        name: what was checked.
        is_passed: whether it holds.
        code: a stable code of `errors.toml` when it does not hold, else None.
        reason: the facts for people, in English.
        finding: the failed check in full, where a certificate was refused.
    """

    number: int
    name: str
    is_passed: bool
    code: str | None
    reason: str
    finding: Finding | None = None


@dataclass(frozen=True)
class VerificationReport:
    """All steps of one verification.

    Attributes:
        subject: what was verified; a file's name or a message id.
        kind: what it is, such as `document` or `envelope`.
        steps: in order.
        facts: what was learned on the way, such as who signed and when; only to be believed when `is_valid`.
        sections: the reports of its parts, such as the containers of an evidence bundle.
    """

    subject: str
    kind: str
    steps: tuple[VerificationStep, ...]
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    sections: tuple[VerificationReport, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether every step holds, those of its parts too; a report without steps proves nothing."""
        own = bool(self.steps) and all(step.is_passed for step in self.steps)
        return own and all(section.is_valid for section in self.sections)


class StepRecorder:
    """Runs checks one after another and writes down how each ended."""

    def __init__(self) -> None:
        self._steps: list[VerificationStep] = []

    @property
    def steps(self) -> tuple[VerificationStep, ...]:
        """The steps so far."""
        return tuple(self._steps)

    @property
    def last(self) -> VerificationStep:
        """The step that was run last."""
        return self._steps[-1]

    def run(self, name: str, code: str, check: Callable[[], str]) -> bool:
        """Run a check and record it.

        Args:
            name: what is checked.
            code: stands in the step when the check fails with anything but a coded error.
            check: returns the reason why it holds, or raises.
        """
        number = len(self._steps) + 1
        try:
            step = VerificationStep(number, name, is_passed=True, code=None, reason=check())
        except HubError as exc:
            reason = exc.detail or str(exc)
            step = VerificationStep(
                number, name, is_passed=False, code=exc.code, reason=reason, finding=exc.finding
            )
        except Exception as exc:  # noqa: BLE001 (hostile input: whatever a parser trips over, the answer is no)
            step = VerificationStep(number, name, is_passed=False, code=code, reason=_describe(exc))
        self._steps.append(step)
        return step.is_passed


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
