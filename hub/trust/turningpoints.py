# SPDX-License-Identifier: Apache-2.0
"""The instants at which a judgement from stored answers may change; between two of them it is the same.

Whether a certificate held at an instant depends on the instant only by comparisons: with the days of
certificates, with the times of approvals, with those of revocation answers and of the revocations in them,
some with the clocks' difference added or taken away. Where no such time lies between two instants, every
comparison comes out alike, and so does the judgement. When the question is asked (`judged_at`) has to be the
instant itself, or one instant for all.

A new rule about time, in `rules`, `statements`, `ocsp`, `crls` or `model`, needs its times here; a test
compares remembered judgements with fresh ones around all of them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from hub.trust.statements import CLOCK_SKEW, WITHOUT_NEXT_UPDATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from cryptography import x509

    from hub.trust.lists import ReadCrl
    from hub.trust.model import Authority, ListedService, TrustList
    from hub.trust.revocation import HeldRevocation


class TurningPoints:
    """Divides time into pieces within which one version of the trust list and stored answers judge alike.

    Args:
        trust_list: the version in force.
        held: the stored answers, if there are any.

    Raises:
        TrustError: `trust.revocation_unknown` when a stored response cannot be read.
    """

    def __init__(self, trust_list: TrustList, held: HeldRevocation | None) -> None:
        self._crls = held.crls if held else ()
        found: set[datetime] = set()
        certificates: set[x509.Certificate] = set()
        rows: list[Authority | ListedService] = [*trust_list.authorities, *trust_list.ocsp_responders]
        for row in rows:
            found |= {instant for instant in (row.approved_from, row.approved_until) if instant}
            certificates.add(row.certificate)
        ages = {row.longest_answer_age for row in trust_list.authorities if row.longest_answer_age}
        for response in held.ocsp_responses if held else ():
            found.add(response.produced_at)
            certificates.update(response.certificates)
            for single in response.singles:
                found.update(_times(single.this_update, single.next_update, ages))
                if single.revocation:
                    found.add(single.revocation.since)
        for crl in self._crls:
            found.update(_times(crl.this_update, crl.next_update, ages))
        found.update(_times_about(certificates, self._crls))
        self._instants = sorted(found)
        self._own: dict[tuple[x509.Certificate, ...], Sequence[datetime]] = {}

    def piece(self, certificates: tuple[x509.Certificate, ...], at: datetime) -> tuple[int, ...]:
        """Name the piece an instant lies in, divided further by the times of some certificates.

        Two instants of one name are judged alike, for these certificates.
        """
        own = self._own.get(certificates)
        if own is None:
            own = self._own[certificates] = sorted(_times_about(certificates, self._crls))
        return (
            bisect_left(self._instants, at),
            bisect_right(self._instants, at),
            bisect_left(own, at),
            bisect_right(own, at),
        )


def _times_about(certificates: Iterable[x509.Certificate], crls: Sequence[ReadCrl]) -> Iterator[datetime]:
    for certificate in certificates:
        yield certificate.not_valid_before_utc
        yield certificate.not_valid_after_utc
        for crl in crls:
            entry = crl.entry(certificate)
            if entry:
                yield entry.since


def _times(
    this_update: datetime, next_update: datetime | None, ages: Iterable[timedelta]
) -> Iterator[datetime]:
    yield this_update
    yield this_update - CLOCK_SKEW
    yield (next_update or this_update + WITHOUT_NEXT_UPDATE) + CLOCK_SKEW
    for age in ages:
        yield this_update + age + CLOCK_SKEW
