# SPDX-License-Identifier: Apache-2.0
"""What the demonstration prints: each step with its time."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Steps:
    """Numbers the steps and takes their times."""

    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    started: float = field(default_factory=time.monotonic)
    _number: int = 0

    @contextmanager
    def step(self, zh: str, en: str) -> Iterator[None]:
        """Run one step and print how long it took; a failed step says so and stops the demonstration."""
        self._number += 1
        begun = time.monotonic()
        title = f"{self._number:>2}  {zh}  {en}"
        with self.console.status(title):
            try:
                yield
            except BaseException:
                self.console.print(f"{title}  [red]failed[/red] after {time.monotonic() - begun:.1f} s")
                raise
        self.console.print(f"{title}  [dim]{time.monotonic() - begun:.2f} s[/dim]")

    def say(self, text: str = "") -> None:
        """Print a line as it is."""
        self.console.print(text, markup=False)

    @property
    def seconds(self) -> float:
        """Return how long everything has taken so far."""
        return time.monotonic() - self.started
