# SPDX-License-Identifier: Apache-2.0
"""Revocation answers at hand: those of a document, or of a folder beside a message.

Those that are fetched are in `online`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from cryptography import x509

from hub.trust.answers import load_ocsp, ocsp_answer
from hub.trust.distinguishednames import comparable
from hub.trust.lists import crl_answer, load_crl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from hub.trust.answers import ReadOcsp
    from hub.trust.lists import ReadCrl
    from hub.trust.model import RevocationAnswer


class HeldRevocation:
    """Answers at hand, for checking offline what was true at an earlier instant.

    Args:
        ocsp_responses: in DER.
        crls: in DER.

    Raises:
        TrustError: `trust.revocation_unknown` when a CRL cannot be read.
    """

    def __init__(self, ocsp_responses: Iterable[bytes], crls: Iterable[bytes]) -> None:
        self._responses = tuple(dict.fromkeys(ocsp_responses))
        self._crls = [(load_crl(der), crl_answer(der)) for der in dict.fromkeys(crls)]
        self._about: dict[tuple[x509.Certificate, x509.Certificate], tuple[RevocationAnswer, ...]] = {}

    @property
    def crls(self) -> tuple[ReadCrl, ...]:
        """The CRLs, as they are read."""
        return tuple(crl for crl, _ in self._crls)

    @cached_property
    def ocsp_responses(self) -> tuple[ReadOcsp, ...]:
        """The OCSP responses, as they are read.

        Raises:
            TrustError: `trust.revocation_unknown` when one cannot be read.
        """
        return tuple(load_ocsp(der) for der in self._responses)

    def ocsp_answers(
        self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        """Return the stored OCSP responses about this certificate, whenever they hold.

        Raises:
            TrustError: `trust.revocation_unknown` when a stored response cannot be read.
        """
        del at  # whether an answer reaches the instant in question is for the judge to say
        key = (certificate, issuer)
        if key not in self._about:
            likely = self._by_serial.get(certificate.serial_number, ())
            answers = (ocsp_answer(der, certificate, issuer) for der in likely)
            self._about[key] = tuple(answer for answer in answers if answer)
        return self._about[key]

    @cached_property
    def _by_serial(self) -> Mapping[int, Sequence[bytes]]:
        """The responses by the serial numbers they speak of, so that a large folder is gone through once."""
        found: dict[int, list[bytes]] = {}
        for der, response in zip(self._responses, self.ocsp_responses, strict=True):
            for serial in {single.cert_id.serial for single in response.singles}:
                found.setdefault(serial, []).append(der)
        return found

    def crl_answers(
        self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        """Return the stored CRLs, complete and delta, of whoever may issue them about this certificate."""
        del issuer, at
        issuers = crl_issuers(certificate)
        return tuple(answer for crl, answer in self._crls if crl.issuer_name in issuers)


class StoredRevocation(HeldRevocation):
    """Answers out of a folder.

    Args:
        folder: `*.ocsp` and `*.crl`, in DER, as the hub stores them beside a message. Read once.

    Raises:
        TrustError: `trust.revocation_unknown` when a CRL in it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            [path.read_bytes() for path in sorted(folder.glob("*.ocsp"))],
            [path.read_bytes() for path in sorted(folder.glob("*.crl"))],
        )


def crl_issuers(certificate: x509.Certificate) -> frozenset[object]:
    """Return the names, comparable, of those whose CRLs may be about a certificate.

    Source: RFC 5280 section 4.2.1.13: its issuer, and each cRLIssuer of its distribution points.
    """
    names = {comparable(certificate.issuer)}
    for point in distribution_points(certificate):
        names |= {
            comparable(each.value) for each in point.crl_issuer or () if isinstance(each, x509.DirectoryName)
        }
    return frozenset(names)


def distribution_points(certificate: x509.Certificate) -> tuple[x509.DistributionPoint, ...]:
    """Return where a certificate says that CRLs about it are (RFC 5280 section 4.2.1.13)."""
    try:
        return tuple(certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value)
    except x509.ExtensionNotFound:
        return ()


def freshest_points(certificate: x509.Certificate) -> tuple[x509.DistributionPoint, ...]:
    """Return where a certificate says that delta CRLs are (RFC 5280 section 4.2.1.15)."""
    try:
        return tuple(certificate.extensions.get_extension_for_class(x509.FreshestCRL).value)
    except x509.ExtensionNotFound:
        return ()
