# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

GUARDED = "from hub.custody import guard_memory\nguard_memory()\n"
SHOW = (
    "import ctypes, resource\n"
    "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))\n"
)
DIE = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that may dump as much core as the machine allows."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_guarded_process_dumps_no_core_and_is_not_looked_into(tmp_path: Path) -> None:
    assert run(SHOW, tmp_path).stdout.split()[0] == "1"
    assert run(GUARDED + SHOW, tmp_path).stdout.split() == ["0", "0", "0"]
    died = run(GUARDED + DIE, tmp_path)
    assert died.returncode < 0
    assert list(tmp_path.iterdir()) == []
