# SPDX-License-Identifier: Apache-2.0
"""Files over SFTP: this project's transfers beside OpenSSH's own `sftp`, in the same run.

`HELIOGRAPH_SFTP_BYTES=1073741824` measures with 1 GiB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from hub.demo.preparation import PROJECT
from tests.adapters.bulk.gateway import write_data
from tests.adapters.running import tool
from tests.adapters.sftp.openssh import new_key, sshd, user_name
from tests.adapters.sftp.pickups import description

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = int(os.environ.get("HELIOGRAPH_SFTP_BYTES", str(256 * 1024 * 1024)))
_ROUNDS = 3


def measure(folder: Path) -> Iterator[str]:
    """Fetch and publish one file, by turns with OpenSSH; the best of three rounds counts."""
    if tool("sshd") is None or tool("sftp") is None:
        yield "skipped: needs OpenSSH's server and client"
        return
    place = folder / "sftp"
    place.mkdir()
    root = place / "exchange"
    (root / "inbox").mkdir(parents=True)
    write_data(root / "inbox" / "big.bin", SIZE, 1)
    with sshd(place) as environment:
        # The description's key has a passphrase, which `sftp` would have to be asked for.
        key = new_key(place / "plain", "ed25519")
        with (place / "authorized").open("a", encoding="ascii") as keys:
            keys.write(f"\n{key}\n")
        file = description(place, root)
        ours, theirs = [], []
        for _ in range(_ROUNDS):
            theirs.append(_openssh(place, root, int(environment["SOCIAL_INSURANCE_PORT"])))
            ours.append(_ours(file, environment))
    peak = max(each[2] for each in ours)
    for way, what in enumerate(("from the server", "to the server")):
        best, other = min(each[way] for each in ours), min(each[way] for each in theirs)
        speed, beside = SIZE / best / 1e6, SIZE / other / 1e6
        both = f"{speed:.0f} MB/s, OpenSSH {beside:.0f} MB/s, ratio {other / best:.2f}"
        yield f"{SIZE / 1e6:.0f} MB {what}: {both}"
    yield f"memory at most {peak / 1024:.0f} MiB"


def _ours(file: Path, environment: dict[str, str]) -> tuple[float, float, int]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.adapters.sftp.transfer", str(file), "big.bin"],
        check=True,
        capture_output=True,
        cwd=PROJECT,
        env={**os.environ, **environment},
    )
    (file.parent / "here.bin").unlink()
    told = json.loads(done.stdout)
    return told["fetch_seconds"], told["publish_seconds"], told["peak_kib"]


def _openssh(place: Path, root: Path, port: int) -> tuple[float, float]:
    seconds = []
    here = place / "theirs.bin"
    # Starting it and signing in are no part of a transfer.
    for line in ("pwd", f"get {root}/inbox/big.bin {here}", f"put {here} {root}/inbox/theirs.bin"):
        batch = place / "batch"
        batch.write_text(line + "\n", encoding="utf-8")
        command = ["sftp", "-q", "-b", str(batch), "-P", str(port), "-i", str(place / "plain")]
        options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        started = time.monotonic()
        subprocess.run([*command, *options, f"{user_name()}@127.0.0.1"], check=True, capture_output=True)
        seconds.append(time.monotonic() - started)
    return seconds[1] - seconds[0], seconds[2] - seconds[0]
