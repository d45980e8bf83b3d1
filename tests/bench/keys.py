# SPDX-License-Identifier: Apache-2.0
"""Signing with a key in a file and with one in a token (SoftHSM), by one thread and by four."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from hub.custody import KeyAlgorithm, Secret, TokenPlace, generate_key
from hub.trust import algorithm_for
from tests.bench.timing import on_one_core, rate
from tests.softhsm import PIN, find_module, initialise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hub.custody import KeyPlace

_DATA = b"x" * 400
_TOGETHER = 8000


def measure(folder: Path) -> Iterator[str]:
    """Measure signatures a second, and what a token costs in comparison."""
    module = find_module()
    if module is None:
        yield "softhsm2 is not installed"
        return
    (folder / "softhsm").mkdir()
    os.environ["SOFTHSM2_CONF"] = str(initialise(folder / "softhsm", ["bench"]))
    for algorithm in (KeyAlgorithm.P256, KeyAlgorithm.RSA3072):
        by_file = _signer(folder / f"{algorithm}.key.pem", algorithm, Secret("the bench", "of the bench"))
        place = TokenPlace(token="bench", object=algorithm.value, module=module)  # noqa: S106 (its label)
        by_token = _signer(place, algorithm, Secret("the bench", PIN))
        with on_one_core():
            alone, inside = rate(partial(by_file, _DATA)), rate(partial(by_token, _DATA))
        yield f"{algorithm:<8} file  {alone:>8.0f} /s"
        yield f"{algorithm:<8} token {inside:>8.0f} /s, {inside / alone:.2f} of the file's"
        if algorithm is KeyAlgorithm.P256:
            yield f"{algorithm:<8} token {_by_threads(by_token, 4):>8.0f} /s by 4 threads"


def _signer(place: KeyPlace, algorithm: KeyAlgorithm, secret: Secret) -> Callable[[bytes], bytes]:
    holder = generate_key(place, algorithm, secret)
    row = algorithm_for(holder.public_key)
    if row is None:
        raise RuntimeError("a key of no row")
    return holder.signer(row)


def _by_threads(sign: Callable[[bytes], bytes], threads: int) -> float:
    with ThreadPoolExecutor(threads) as pool:
        begun = time.perf_counter()
        for _ in pool.map(sign, [_DATA] * _TOGETHER):
            pass
        return _TOGETHER / (time.perf_counter() - begun)
