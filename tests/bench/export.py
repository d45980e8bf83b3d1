# SPDX-License-Identifier: Apache-2.0
"""Evidence bundles: how many exchanges a second go into one, and what evidence costs in bytes for each."""

from __future__ import annotations

import io
import json
import logging
import time
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import structlog

from adapters.simulators.pki import serve
from hub.bundles import Selection
from tests.journeys.serving import wait_for
from tests.journeys.world import running_world
from tests.pki import make_served_pki

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.bundles import EvidenceBundles
    from hub.identifiers import MessageId

_EXCHANGES = 500
_ROUNDS = 3


def measure(folder: Path) -> Iterator[str]:
    """Exchange messages through a running hub, then export one of them and all of them."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    pki = make_served_pki(folder / "pki-export")
    with serve(pki, pki.passphrase), running_world(folder / "export", pki) as world:
        first = world.request()
        requests = [world.request(conversation=first.header.id) for _ in range(_EXCHANGES - 1)]
        for request in (first, *requests):
            world.send(request.raw)
        world.hub.log.checkpoint()
        # With the time stamp come the evidence records.
        wait_for(lambda: world.hub.records.waiting() == 0)
        yield from _report(world.hub.bundles, first.header.id)


def _report(bundles: EvidenceBundles, message_id: MessageId) -> Iterator[str]:
    one, one_seconds = _export(bundles, Selection(message=message_id))
    many, seconds = _export(bundles, Selection(conversation=message_id))
    tracemalloc.start()
    for _ in bundles.prepare(Selection(conversation=message_id)).stream():
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    containers = _compressed(many, ".asice", "messages/")
    unpacked = _unpacked(many)
    each = (len(many) - len(one)) / (_EXCHANGES - 1)
    yield f"exchanges exported       {_EXCHANGES / seconds:>8.0f} /s, a bundle of {_EXCHANGES}, one caller"
    yield f"one exchange alone       {one_seconds * 1000:>8.0f} ms, {len(one) / 1000:.0f} kB with summaries"
    yield f"each further exchange    {each / 1000:>8.1f} kB in the bundle, compressed"
    yield f"  its three containers   {containers / _EXCHANGES / 1000:>8.1f} kB compressed, with their records"
    yield f"  unpacked               {unpacked / _EXCHANGES / 1000:>8.1f} kB"
    yield f"memory at most           {peak / 1e6:>8.1f} MB for a bundle of {len(many) / 1e6:.1f} MB"


def _export(bundles: EvidenceBundles, selection: Selection) -> tuple[bytes, float]:
    best = float("inf")
    for _ in range(_ROUNDS):
        out = io.BytesIO()
        begun = time.perf_counter()
        bundles.write(selection, out)
        best = min(best, time.perf_counter() - begun)
    return out.getvalue(), best


def _compressed(bundle: bytes, suffix: str, prefix: str) -> int:
    with zipfile.ZipFile(io.BytesIO(bundle)) as file:
        return sum(
            each.compress_size
            for each in file.infolist()
            if each.filename.endswith(suffix) and each.filename.startswith(prefix)
        )


def _unpacked(bundle: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(bundle)) as file:
        files = json.loads(file.read("bundle.json"))["files"]
        return sum(
            said["bytes"] for name, said in files.items() if name.endswith(".asice") and "/lists/" not in name
        )
