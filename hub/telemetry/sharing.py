# SPDX-License-Identifier: Apache-2.0
"""Metrics of several processes of one service: each writes files, whoever is asked adds them up."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""The library reads it when it is loaded, and so do the children of who sets it."""


def share_metrics(folder: Path) -> None:
    """Let the processes that this one starts from now on add their metrics up.

    To be called by who starts them, before anything is counted: what lies in the folder is of processes that
    have all ended, and goes.

    Args:
        folder: of this service alone; made if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.db"):
        left.unlink()
    os.environ[FOLDER_VARIABLE] = str(folder)


def forget_process(number: int) -> None:
    """Drop what a process that has ended said of itself alone; what it counted stays counted.

    Args:
        number: its process id.
    """
    if FOLDER_VARIABLE in os.environ:
        # Loaded only now: who supervises counts nothing itself.
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

        mark_process_dead(number)  # type: ignore[no-untyped-call]  # it has no types
