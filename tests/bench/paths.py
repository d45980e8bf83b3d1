# SPDX-License-Identifier: Apache-2.0
"""Certificates validated: the first time, with revocation answers at hand, and when known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from adapters.simulators.pki import make_development_pki, serve
from hub.clock import SystemClock
from hub.trust import OnlineRevocation, Use, Validator
from tests.bench.timing import on_one_core, rate
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PASSPHRASE = b"only for the bench"


def measure(folder: Path) -> Iterator[str]:
    """Measure cold and remembered validation of a department's certificate."""
    pki = make_development_pki(folder / "pki-paths", free_port(), _PASSPHRASE)
    chain = x509.load_pem_x509_certificates(pki.chain("labour-sign").read_bytes())
    trust_list = pki.approved()
    source = OnlineRevocation()
    now = SystemClock().now()
    with serve(pki, _PASSPHRASE), on_one_core():
        known = Validator(trust_list, source)
        known.validate(chain, use=Use.ENVELOPE, at=now)
        cold = rate(lambda: Validator(trust_list, source).validate(chain, use=Use.ENVELOPE, at=now))
        warm = rate(lambda: known.validate(chain, use=Use.ENVELOPE, at=now))
    yield f"cold, answers at hand    {1000 / cold:>8.2f} ms"
    yield f"known                    {1_000_000 / warm:>8.2f} us"
