# SPDX-License-Identifier: Apache-2.0
"""Proofs typeset and sealed on one core: PDF/A-3b with the data attached, then PAdES B-LTA."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from adapters.simulators.pki import make_development_pki, serve
from hub.custody import load_signing_key
from hub.demo.preparation import PROJECT
from hub.documents import DocumentSealer, typeset_proof
from hub.trust import OnlineRevocation
from tests.bench.timing import on_one_core, rate
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PASSPHRASE = b"only for the bench"
_EXAMPLE = PROJECT / "contracts" / "disability-employment-proof" / "v1" / "examples" / "response.json"


def measure(folder: Path) -> Iterator[str]:
    """Measure the contract's example of a proof; the time-stamping authority runs in this process too."""
    data = json.loads(_EXAMPLE.read_text(encoding="utf-8"))
    pki = make_development_pki(folder / "pki-proofs", free_port(), _PASSPHRASE)
    key = load_signing_key(pki.key("labour-seal"), pki.chain("labour-seal"), _PASSPHRASE)
    with serve(pki, _PASSPHRASE), on_one_core():
        trust_list = pki.approved()
        sealer = DocumentSealer(key, trust_list, OnlineRevocation(), [pki.time_stamp_url])
        pdf = typeset_proof(data)
        typeset = rate(lambda: typeset_proof(data), at_a_time=1)
        seal = rate(lambda: sealer.seal(pdf), at_a_time=1)
    yield f"typeset                  {1000 / typeset:>8.1f} ms, {len(pdf) / 1000:.0f} KB"
    yield f"sealed B-LTA             {1000 / seal:>8.1f} ms, two time stamps included"
