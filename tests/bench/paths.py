# SPDX-License-Identifier: Apache-2.0
"""Certificates validated: the first time, with revocation answers at hand, when known, and by the library."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asn1crypto.x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko_certvalidator import CertificateValidator
from pyhanko_certvalidator.context import ValidationContext

from adapters.simulators.pki import make_development_pki, serve
from hub.clock import SystemClock
from hub.trust import OnlineRevocation, Use, Validator
from tests.bench.timing import on_one_core, rate
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.trust import ValidatedPath

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
        path = known.validate(chain, use=Use.ENVELOPE, at=now)
        cold = rate(lambda: Validator(trust_list, source).validate(chain, use=Use.ENVELOPE, at=now))
        with asyncio.Runner() as runner:
            library = rate(lambda: runner.run(_by_library(path)), at_a_time=5)
        again = rate(lambda: Validator(trust_list, source).validate(chain, use=Use.ENVELOPE, at=now))
        warm = rate(lambda: known.validate(chain, use=Use.ENVELOPE, at=now), at_a_time=1000)
    cold = max(cold, again)
    yield f"cold, answers at hand    {1000 / cold:>8.2f} ms"
    yield f"pyhanko-certvalidator    {1000 / library:>8.2f} ms, {cold / library:.1f} times as long"
    yield f"known                    {1_000_000 / warm:>8.2f} us"


async def _by_library(path: ValidatedPath) -> None:
    """Let the library validate the same path with the same answers, from loading the certificates on."""
    leaf, *others = [certificate.public_bytes(Encoding.DER) for certificate in path.path]
    context = ValidationContext(
        trust_roots=[asn1crypto.x509.Certificate.load(others[-1])],
        other_certs=[asn1crypto.x509.Certificate.load(der) for der in others[:-1]],
        ocsps=[answer.der for answer in path.revocation],
        moment=path.checked_at,
        revocation_mode="require",
    )
    validator = CertificateValidator(asn1crypto.x509.Certificate.load(leaf), validation_context=context)
    await validator.async_validate_usage({"digital_signature"})  # type: ignore[no-untyped-call]
