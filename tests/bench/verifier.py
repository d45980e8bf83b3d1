# SPDX-License-Identifier: Apache-2.0
"""Containers verified offline, every step, on one core, beside openssl's bare verification."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import cycle
from statistics import median
from typing import TYPE_CHECKING

from cryptography import x509

from adapters.simulators.pki import make_development_pki, serve
from hub.clock import SystemClock
from hub.custody import load_signing_key
from hub.documents import verify_document
from hub.envelope import Payload, seal_envelope
from hub.identifiers import SubsystemId
from hub.trust import OnlineRevocation, Use, Validator
from hub.verifier import Verifier
from tests.bench.containers import PAYLOAD_BYTES, request_header
from tests.bench.timing import ROUNDS, on_one_core, openssl_rates, rate_once
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from adapters.simulators.pki import DevelopmentPki
    from hub.trust import SigningKey

_PASSPHRASE = b"only for the bench"
_SIGNERS = {
    "federation-sign": SubsystemId("13510108MB1A00003J/fund"),
    "labour-sign": SubsystemId("11510108MB1A00002M/employment"),
    "hub-sign": SubsystemId("11510108MB1A00001J/hub"),
}
_CONTAINERS = 1500


@dataclass(frozen=True)
class _Round:
    bare: float
    whole: float


def measure(folder: Path) -> Iterator[str]:
    """Measure full reports: ZIP, digests, manifest, signature, path, revocation, sender, binding."""
    pki = make_development_pki(folder / "pki-verifier", free_port(), _PASSPHRASE)
    with serve(pki, _PASSPHRASE):
        answers = _store_answers(pki, folder / "answers")
    containers = _containers(pki)
    now = SystemClock().now()
    with on_one_core():
        rounds = []
        for _ in range(ROUNDS):
            bare = openssl_rates().verify
            # Nothing is carried over from the round before: signers, paths and answers are met anew.
            verifier = Verifier(pki.trust_lists(), answers, verify_document=verify_document)
            each = cycle(containers)

            def verify(verifier: Verifier = verifier, each: Iterator[bytes] = each) -> None:
                if not verifier.verify(next(each), at=now).is_valid:
                    raise RuntimeError("a container of the bench is not valid")

            rounds.append(_Round(bare, rate_once(verify)))
    shares = sorted(each.whole / each.bare for each in rounds)
    yield f"container                {len(containers[0])} bytes, {len(containers)} of {len(_SIGNERS)} signers"
    yield f"openssl verify           {median(each.bare for each in rounds):>8.0f} /s"
    whole = sorted(each.whole for each in rounds)
    yield (
        f"full report              {median(whole):>8.0f} /s ({whole[0]:.0f} to {whole[-1]:.0f})"
        f" = {median(shares):.2f} of openssl ({shares[0]:.2f} to {shares[-1]:.2f})"
    )


def _store_answers(pki: DevelopmentPki, folder: Path) -> Path:
    folder.mkdir()
    validator = Validator(pki.approved(), OnlineRevocation())
    for label in _SIGNERS:
        chain = x509.load_pem_x509_certificates(pki.chain(label).read_bytes())
        path = validator.validate(chain, use=Use.ENVELOPE, at=SystemClock().now())
        for number, answer in enumerate(path.revocation):
            (folder / f"{label}-{number}.{answer.kind}").write_bytes(answer.der)
    return folder


def _containers(pki: DevelopmentPki) -> Sequence[bytes]:
    keys = {
        sender: load_signing_key(pki.key(label), pki.chain(label), _PASSPHRASE)
        for label, sender in _SIGNERS.items()
    }
    return [_sealed(sender, keys[sender]) for sender, _ in zip(cycle(keys), range(_CONTAINERS), strict=False)]


def _sealed(sender: SubsystemId, key: SigningKey) -> bytes:
    content = b'{"text":"' + b"x" * PAYLOAD_BYTES + b'"}'
    payloads = (Payload("request.json", "application/json", content),)
    return seal_envelope(replace(request_header(payloads), sender=sender), payloads, key).raw
