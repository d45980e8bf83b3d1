# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hub.clock import SystemClock
from hub.identifiers import MemberId
from hub.registry import Snapshot, certificates_to_watch
from hub.registry.certificates import registered
from hub.trust import ListedService, Use

if TYPE_CHECKING:
    from cryptography import x509

    from hub.registry import RegisteredCertificate
    from tests.pki import ServedPki

LABOUR = MemberId("11510108MB1A00002M")


def leaf(pki: ServedPki, label: str) -> x509.Certificate:
    return pki.certificates(label)[0]


def entry(pki: ServedPki, label: str, because: str | None = None) -> RegisteredCertificate:
    return registered(leaf(pki, label), LABOUR, Use.ENVELOPE, because=because)


def roles(pki: ServedPki, *entries: RegisteredCertificate, hub: tuple[str, ...] = ("hub-sign",)) -> set[str]:
    """Return what is watched, as `<first word of the role> <subject's serial>`."""
    snapshot, now = Snapshot.of(entries, len(entries)), SystemClock().now()
    own = [leaf(pki, label) for label in hub]
    watched = certificates_to_watch(snapshot, pki.approved(), own, now)
    return {f"{each.role.split()[0]} {each.certificate.serial_number:x}" for each in watched}


def named(role: str, certificate: x509.Certificate) -> str:
    return f"{role} {certificate.serial_number:x}"


def test_the_ends_of_members_the_hubs_and_the_trust_lists_certificates_are_watched(pki: ServedPki) -> None:
    now = SystemClock().now()
    listed = [row.certificate for row in pki.approved().authorities if row.is_approved(now)]
    assert roles(pki, entry(pki, "labour-sign")) == {
        named("registered", leaf(pki, "labour-sign")),
        named("the", leaf(pki, "hub-sign")),
        *(named("authority", each) for each in listed),
        *(named("time-stamping", each.certificate) for each in pki.approved().time_stamping),
    }


def test_what_is_retired_or_replaced_is_watched_no_more(pki: ServedPki) -> None:
    expired, future = entry(pki, "labour-expired"), entry(pki, "labour-not-yet-valid")
    present = entry(pki, "labour-sign")
    assert named("registered", present.x509) in roles(pki, expired, present)
    retired = replace(present, retired_because="test")
    watched = roles(pki, retired, future, expired)
    assert named("registered", present.x509) not in watched
    assert named("registered", future.x509) in watched
    # The future one begins too late to take over from the expired one, but the present one did not.
    assert named("registered", expired.x509) in watched


def test_services_of_the_trust_list_are_watched_while_they_are_approved(pki: ServedPki) -> None:
    now = SystemClock().now()
    authority = leaf(pki, "tsa")
    row = ListedService(authority, "TSA", None, authority.not_valid_before_utc, None)
    trust_list = pki.approved()
    over = replace(row, certificate=leaf(pki, "envelope-ocsp"), approved_until=now)
    watched = certificates_to_watch(
        Snapshot(), replace(trust_list, time_stamping=(row,), ocsp_responders=(over,)), (), now
    )
    assert [each.role for each in watched if each.certificate == authority] == [
        "time-stamping authority of the trust list: TSA"
    ]
    assert not [each for each in watched if each.certificate == over.certificate]


def test_what_the_hub_shows_by_tls_is_watched_where_it_speaks_tls(pki: ServedPki) -> None:
    now = SystemClock().now()
    shown = leaf(pki, "hub-sign")
    with_tls = certificates_to_watch(Snapshot(), pki.approved(), (), now, connections=shown)
    without = certificates_to_watch(Snapshot(), pki.approved(), (), now)
    assert [each.role for each in with_tls if each.certificate == shown] == ["the hub's TLS"]
    assert len(with_tls) == len(without) + 1
