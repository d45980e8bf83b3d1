# SPDX-License-Identifier: Apache-2.0
"""Fetches one file and publishes it again, in a process of its own: description, name. Says how, as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from adapters.configuration import load_intakes
from adapters.sftp.connecting import Login, Stillness
from adapters.sftp.pickupsettings import PickupSettings
from adapters.sftp.session import opened


def main() -> None:
    """Fetch, publish as `back.bin`, and tell digest, seconds and memory."""
    description, name = Path(sys.argv[1]), sys.argv[2]
    [configured] = load_intakes(description)
    settings = configured.entry.settings(PickupSettings)
    guard = configured.entry.guard((settings.host, settings.port))
    here = description.parent / "here.bin"
    with opened(Login.of(settings, guard, at="here"), Stillness(60)) as session:
        path = f"{settings.inbox}/{name}"
        seen = session.find(path)
        if seen is None:
            raise FileNotFoundError(path)
        started = time.monotonic()
        sha256 = session.fetch(path, here, seen, lambda: False)
        fetched = time.monotonic()
        session.publish_file(settings.inbox, "back.bin", here, sha256=sha256)
        published = time.monotonic()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    told = {
        "sha256": sha256,
        "peak_kib": int(peak),
        "fetch_seconds": fetched - started,
        "publish_seconds": published - fetched,
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
