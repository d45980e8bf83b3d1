# SPDX-License-Identifier: Apache-2.0
"""Try whether a system takes connections, without saying anything to it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from adapters.sources import Probe, found
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.addresses import AddressGuard

_STANDARD_PORTS = {"http": 80, "https": 443}


def reach(host: str, port: int, seconds: float, *, at: str, guard: AddressGuard) -> Probe:
    """Connect and leave again.

    Args:
        host: its name or address.
        port: TCP.
        seconds: how long the connection may take.
        at: where the address is described, for findings.
        guard: says which addresses may be connected to; a try reaches no further than a call.
    """
    started = time.monotonic()
    try:
        guard.connect(host, port, seconds).close()
    except AdapterError as error:
        match error.code:
            case "adapter.system_timeout":
                finding = found("probe.late", at, host=host, port=port, seconds=round(seconds, 1))
            case "adapter.address_forbidden":
                finding = found("probe.forbidden", at, host=host, port=port)
            case _:
                finding = found("probe.unreachable", at, host=host, port=port, reason=error.detail)
    else:
        return Probe(is_reachable=True, took_seconds=time.monotonic() - started)
    return Probe(is_reachable=False, took_seconds=time.monotonic() - started, findings=(finding,))


def reach_all(addresses: Sequence[str], seconds: float, *, at: str, guard: AddressGuard) -> Probe:
    """Try every http or https address, one after the other, within `seconds` together."""
    deadline = time.monotonic() + seconds
    probes = [
        reach(*_place_of(address), max(deadline - time.monotonic(), 0.001), at=at, guard=guard)
        for address in addresses
    ]
    return joined(probes)


def joined(probes: Sequence[Probe]) -> Probe:
    """Return one result of several: reachable when all are."""
    return Probe(
        is_reachable=all(probe.is_reachable for probe in probes),
        took_seconds=sum(probe.took_seconds for probe in probes),
        findings=tuple(finding for probe in probes for finding in probe.findings),
    )


def _place_of(address: str) -> tuple[str, int]:
    parts = urlsplit(address)
    return parts.hostname or "", parts.port or _STANDARD_PORTS.get(parts.scheme, 443)
