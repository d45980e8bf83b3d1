# SPDX-License-Identifier: Apache-2.0
"""`make chaos`: five minutes of mishaps at 50 messages a second, and what came of it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from adapters.simulators.pki import serve
from tests.chaos.run import run
from tests.pki import PASSPHRASE, make_served_pki


def main() -> int:
    """Run it; returns 0 when all holds."""
    options = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    options.add_argument("--seed", type=int, default=1, help="of the mishaps; the same seed, the same plan")
    options.add_argument("--seconds", type=float, default=300.0)
    options.add_argument("--per-second", type=float, default=50.0)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "run").mkdir()
        pki = make_served_pki(folder / "pki")
        with serve(pki, PASSPHRASE):
            outcome = run(
                folder / "run",
                pki,
                seed=chosen.seed,
                seconds=chosen.seconds,
                per_second=chosen.per_second,
                say=lambda line: print(line, flush=True),
            )
    judgement = outcome.judgement
    kinds = Counter(f"{each.kind} {each.machine}" for each in outcome.mishaps)
    print(f"\nseed {chosen.seed}: {len(outcome.mishaps)} mishaps: {dict(sorted(kinds.items()))}")
    print(f"{outcome.sent} messages, {dict(judgement.states)}; callers came again: {outcome.told}")
    print(
        f"the old system was asked {judgement.calls} times; the log has {judgement.log_size} entries;"
        f" the last message was done {outcome.drained_seconds:.1f} s after the last mishap"
    )
    for fault in judgement.faults[:50]:
        print(f"FAULT {fault}")
    print("nothing was lost and nothing was done twice" if not judgement.faults else "IT DOES NOT HOLD")
    return 1 if judgement.faults else 0


if __name__ == "__main__":
    sys.exit(main())
