# SPDX-License-Identifier: Apache-2.0
"""Containers signed and verified on one core, beside openssl's bare ECDSA P-256 on the same core."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING

from adapters.simulators.pki import make_development_pki
from hub.clock import SystemClock
from hub.custody import load_signing_key
from hub.envelope import Header, Kind, Payload, Purpose, open_envelope, seal_envelope, verify_signature
from hub.identifiers import ContractId, ServiceId, SubsystemId, new_message_id
from tests.bench.timing import ROUNDS, OpensslRates, on_one_core, openssl_rates, rate_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.envelope import Envelope
    from hub.trust import SigningKey

_PASSPHRASE = b"only for the bench"


@dataclass(frozen=True)
class _Round:
    bare: OpensslRates
    sign: float
    verify: float


PAYLOAD_BYTES = 1700
"""What X-Road's published figures for evidence are stated for."""


def measure(folder: Path) -> Iterator[str]:
    """Measure signing and verifying whole containers with a payload of 1.7 KB."""
    pki = make_development_pki(folder / "pki", 1, _PASSPHRASE)
    key = load_signing_key(pki.key("labour-sign"), pki.chain("labour-sign"), _PASSPHRASE)
    payloads = (Payload("request.json", "application/json", b'{"text":"' + b"x" * PAYLOAD_BYTES + b'"}'),)
    header = request_header(payloads)
    sealed = seal_envelope(header, payloads, key)
    with on_one_core():
        # A machine's speed drifts, so each round measures openssl and the containers one after the other.
        rounds = [
            _Round(
                openssl_rates(),
                rate_once(lambda: seal_envelope(header, payloads, key)),
                rate_once(lambda: verify_signature(open_envelope(sealed.raw))),
            )
            for _ in range(ROUNDS)
        ]
    yield f"container                {len(sealed.raw)} bytes, of them {PAYLOAD_BYTES + 11} payload"
    for name in ("sign", "verify"):
        bare = median(getattr(each.bare, name) for each in rounds)
        ours = median(getattr(each, name) for each in rounds)
        yield f"openssl {name:<6}           {bare:>8.0f} /s"
        yield f"container {name:<6}         {ours:>8.0f} /s = {_shares(rounds, name)}"


def _shares(rounds: list[_Round], name: str) -> str:
    shares = sorted(getattr(each, name) / getattr(each.bare, name) for each in rounds)
    return f"{median(shares):.2f} of openssl ({shares[0]:.2f} to {shares[-1]:.2f})"


def request_header(payloads: tuple[Payload, ...]) -> Header:
    """Return a request's header, new at every call."""
    now = SystemClock().now()
    message_id = new_message_id(now)
    return Header(
        id=message_id,
        kind=Kind.REQUEST,
        sender=SubsystemId("13510108MB1A00003J/fund"),
        recipient=SubsystemId("11510108MB1A00002M/employment"),
        service=ServiceId("11510108MB1A00002M/employment/echo"),
        contract=ContractId("echo/v1"),
        sent_at=now,
        expires_at=now + timedelta(hours=1),
        conversation=message_id,
        purpose=Purpose(item="000788002000", case="B-1", legal_basis="bench", official="bench", post="bench"),
        payload=tuple(payload.describe() for payload in payloads),
    )


def signed_request(key: SigningKey, payload_bytes: int) -> Envelope:
    """Return a new signed request to the echo service."""
    payloads = (Payload("request.json", "application/json", b'{"text":"' + b"x" * payload_bytes + b'"}'),)
    return seal_envelope(request_header(payloads), payloads, key)
