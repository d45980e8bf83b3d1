# SPDX-License-Identifier: Apache-2.0
"""When a certificate's end comes near, an operator is told: 60, 30, 7 and 1 days before, once each.

An alarm's subject is the certificate's SHA-256 and the threshold, so every threshold is an alarm of its own.
It stays open until the certificate is replaced or no longer watched.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes

from hub.clock import format_instant
from hub.trust.description import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from cryptography import x509

    from hub.alarms import AlarmSink

EXPIRY_ALARM = "trust.certificate_expiring"
EXPIRY_THRESHOLDS_DAYS = (60, 30, 7, 1)


@dataclass(frozen=True)
class WatchedCertificate:
    """A certificate whose end somebody has to know of.

    Attributes:
        certificate: the one.
        role: what it is here, in English, for example `registered for 11510108MB1A00002M`.
    """

    certificate: x509.Certificate
    role: str


def reached_threshold(certificate: x509.Certificate, at: datetime) -> int | None:
    """Return the smallest threshold, in days, that the certificate's end is within; None while it is far."""
    left = certificate.not_valid_after_utc - at
    return min((days for days in EXPIRY_THRESHOLDS_DAYS if left <= timedelta(days=days)), default=None)


def latest_certificates(certificates: Iterable[x509.Certificate]) -> list[x509.Certificate]:
    """Return those that no other takes over from: one that begins in time and ends later."""
    of_all = list(certificates)
    return [
        each
        for each in of_all
        if not any(
            other.not_valid_after_utc > each.not_valid_after_utc
            and other.not_valid_before_utc <= each.not_valid_after_utc
            for other in of_all
        )
    ]


class ExpiryWatch:
    """Raises and clears the alarms about certificates that end.

    A watch that first sees a certificate late raises the threshold it is within, not those it has missed.

    Args:
        alarms: takes them.
        open_subjects: the subjects of the alarms of this kind that are open, where the sink keeps them: so a
            restart raises none again and clears what was replaced meanwhile.
    """

    def __init__(self, alarms: AlarmSink, open_subjects: Callable[[], Iterable[str]] | None = None) -> None:
        self._alarms = alarms
        self._open_subjects = open_subjects
        self._raised: set[str] = set()

    def check(self, watched: Iterable[WatchedCertificate], at: datetime) -> None:
        """Look at every certificate once.

        Args:
            watched: all there are now; one that is missing is replaced or gone, and its alarms end.
            at: UTC; now.
        """
        by_digest = {_sha256(each.certificate): each for each in watched}
        # What was raised a moment ago may not be written yet.
        subjects = self._raised.union(self._open_subjects() if self._open_subjects else ())
        for subject in subjects:
            if subject.partition("/")[0] not in by_digest:
                self._alarms.clear(EXPIRY_ALARM, subject)
                self._raised.discard(subject)
        for digest, each in by_digest.items():
            days = reached_threshold(each.certificate, at)
            subject = f"{digest}/{days}"
            if days is not None and subject not in subjects:
                self._alarms.raise_alarm(EXPIRY_ALARM, subject, _detail(each, days))
                self._raised.add(subject)


def _detail(watched: WatchedCertificate, days: int) -> str:
    end = format_instant(watched.certificate.not_valid_after_utc)
    return f"{watched.role}: {describe(watched.certificate)} ends at {end}, in {days} days or less"


def _sha256(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()
