# SPDX-License-Identifier: Apache-2.0
"""Whose certificates' ends a hub has to know of: its members', its own, and those of the trust list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.trust import WatchedCertificate, latest_certificates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from cryptography import x509

    from hub.registry.certificates import RegisteredCertificate
    from hub.registry.model import Snapshot
    from hub.trust import TrustList


def certificates_to_watch(
    snapshot: Snapshot,
    trust_list: TrustList,
    own: Iterable[x509.Certificate],
    at: datetime,
    *,
    connections: x509.Certificate | None = None,
) -> list[WatchedCertificate]:
    """Return every certificate whose end matters; none that another one has taken over from.

    Of a member that has registered none, the hub knows none: its gateway watches its own.

    Args:
        snapshot: the registry.
        trust_list: the version in force.
        own: the certificates of the hub's own keys.
        at: UTC; now.
        connections: what the hub shows by TLS; None where it speaks plain HTTP.
    """
    watched = [
        WatchedCertificate(certificate, f"registered for {member} ({use})")
        for (member, use), entries in snapshot.certificates.items()
        for certificate in latest_certificates(_counting(entries.values()))
    ]
    watched += [
        WatchedCertificate(certificate, "the hub's own key") for certificate in latest_certificates(own)
    ]
    if connections is not None:
        watched.append(WatchedCertificate(connections, "the hub's TLS"))
    for row in trust_list.authorities:
        if row.is_approved(at):
            watched.append(WatchedCertificate(row.certificate, f"authority of the trust list: {row.name}"))
    for name, services in (
        ("time-stamping authority", trust_list.time_stamping),
        ("OCSP responder", trust_list.ocsp_responders),
    ):
        watched += [
            WatchedCertificate(each.certificate, f"{name} of the trust list: {each.name}")
            for each in services
            if each.is_approved(at)
        ]
    return watched


def _counting(entries: Iterable[RegisteredCertificate]) -> Iterator[x509.Certificate]:
    return (entry.x509 for entry in entries if entry.retired_because is None)
