# SPDX-License-Identifier: Apache-2.0
"""`make bench`: run every measurement and print it."""

from __future__ import annotations

import platform
import sys
import tempfile
from pathlib import Path

from tests.bench import (
    containers,
    exchanges,
    export,
    files,
    growth,
    keys,
    log,
    paths,
    proofs,
    records,
    search,
    signatures,
    vault,
    verifier,
)


def main() -> None:
    """Run the measurements named on the command line, or all."""
    modules = (
        containers,
        signatures,
        keys,
        paths,
        verifier,
        log,
        vault,
        records,
        proofs,
        export,
        search,
        exchanges,
        files,
        growth,
    )
    wanted = sys.argv[1:] or [module.__name__.rsplit(".", 1)[1] for module in modules]
    print(f"Python {platform.python_version()}, {platform.machine()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for module in modules:
            if module.__name__.rsplit(".", 1)[1] in wanted:
                print(f"\n{(module.__doc__ or '').splitlines()[0]}")
                for line in module.measure(folder):
                    print(f"  {line}", flush=True)


if __name__ == "__main__":
    main()
