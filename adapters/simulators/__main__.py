# SPDX-License-Identifier: Apache-2.0
"""`python -m adapters.simulators --folder FOLDER`: run the stand-ins until they are told to stop."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.simulators.serving import Ports, serve
from hub.clock import Clock, FixedClock, SystemClock

if TYPE_CHECKING:
    from collections.abc import Mapping


def main() -> None:
    """Run the stand-ins; prints one line of JSON when all three listen."""
    parser = argparse.ArgumentParser(
        prog="python -m adapters.simulators",
        description="Stand-ins of three departments' systems, on 127.0.0.1. Not for production.",
    )
    parser.add_argument("--folder", type=Path, required=True, help="for files, ports.json, environment.json")
    for name in ("soap", "rest", "sftp"):
        parser.add_argument(f"--{name}-port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--today", type=date.fromisoformat, help="the day the stand-ins live on: 2026-03-02")
    arguments = parser.parse_args()
    clock: Clock = SystemClock()
    if arguments.today is not None:
        clock = FixedClock(datetime.combine(arguments.today, time(4), UTC))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    (arguments.folder / "ports.json").unlink(missing_ok=True)
    ports = Ports(arguments.soap_port, arguments.rest_port, arguments.sftp_port)
    asyncio.run(_run(arguments.folder, ports, clock))


async def _run(folder: Path, ports: Ports, clock: Clock) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await serve(folder, ports, clock, stop=stop, on_ready=_announce)


def _announce(ports: Mapping[str, int]) -> None:
    sys.stdout.write(json.dumps({"ready": ports}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
