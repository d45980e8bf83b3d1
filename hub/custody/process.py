# SPDX-License-Identifier: Apache-2.0
"""Keep the memory of a process that holds keys to itself.

Source: prctl(2), PR_SET_DUMPABLE; core(5), which says that a limit alone does not hold back dumps that are
piped to a program.
"""

from __future__ import annotations

import ctypes
import resource
import sys

import structlog

_PR_SET_DUMPABLE = 4
_logger = structlog.get_logger(__name__)


def guard_memory() -> None:
    """Let nobody but root look into this process: no core dump, no debugger of the same user.

    Where the system does not offer it, that is logged; the service runs all the same.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not sys.platform.startswith("linux"):
        _logger.warning("custody.memory_unguarded", system=sys.platform)
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        _logger.warning("custody.memory_unguarded", errno=ctypes.get_errno())
