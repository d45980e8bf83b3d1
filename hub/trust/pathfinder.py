# SPDX-License-Identifier: Apache-2.0
"""pyhanko-certvalidator, set up in one place; its exceptions become ours here.

The library is asynchronous because it can fetch. Here it never does, so its coroutines run to their end
without an event loop, inside one or outside.

Source: RFC 5280 section 6 (paths), RFC 6960 (OCSP).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import asn1crypto.x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.errors import (
    DisallowedAlgorithmError,
    ExpiredError,
    InsufficientRevinfoError,
    NotYetValidError,
    PathBuildingError,
    PathValidationError,
    RevokedError,
)
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import (
    NO_REVOCATION,
    CertRevTrustPolicy,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)
from pyhanko_certvalidator.registry import CertificateRegistry, PathBuilder, SimpleTrustManager
from pyhanko_certvalidator.validate import async_validate_path

from hub.clock import format_instant
from hub.errors import TrustError
from hub.trust.model import AnswerKind, RevocationPolicy
from hub.trust.names import describe
from hub.trust.statements import CLOCK_SKEW

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from datetime import datetime

    from hub.trust.model import RevocationAnswer, TrustList

T = TypeVar("T")

_MOST_PATHS = 8
_RULES = {
    RevocationPolicy.EITHER: RevocationCheckingRule.CRL_OR_OCSP_REQUIRED,
    RevocationPolicy.OCSP: RevocationCheckingRule.OCSP_REQUIRED,
    RevocationPolicy.CRL: RevocationCheckingRule.CRL_REQUIRED,
    RevocationPolicy.BOTH: RevocationCheckingRule.CRL_AND_OCSP_REQUIRED,
}


class RevocationMissingError(Exception):
    """The answers at hand do not say whether the certificate is revoked; more may."""


class PathFinder:
    """Finds the paths from a certificate to a root of the trust list."""

    def __init__(self, trust_list: TrustList) -> None:
        self._anchors = [
            CertTrustAnchor(_to_asn1(row.certificate)) for row in trust_list.authorities if row.is_anchor
        ]
        self._listed = [_to_asn1(row.certificate) for row in trust_list.authorities if not row.is_anchor]

    def find(self, leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> list[CandidatePath]:
        """Return at least one path; its signatures are not checked yet.

        Raises:
            TrustError: `trust.unknown_authority` when no root of the list is reached.
        """
        trust_manager = SimpleTrustManager.build(trust_roots=self._anchors)
        registry = CertificateRegistry.build([*self._listed, *map(_to_asn1, others)])
        builder = PathBuilder(trust_manager=trust_manager, registry=registry)
        try:
            paths = _run(builder.async_build_paths(_to_asn1(leaf)))
        except PathBuildingError as exc:
            detail = f"no path leads from {describe(leaf)} to a root of the trust list"
            raise TrustError("trust.unknown_authority", detail) from exc
        return [CandidatePath.of(path) for path in paths[:_MOST_PATHS]]


@dataclass(frozen=True)
class CandidatePath:
    """A path whose names fit; whether it holds is for its methods to say.

    Attributes:
        certificates: the certificate first, the root last.
    """

    certificates: tuple[x509.Certificate, ...]
    _anchor: CertTrustAnchor
    _below_anchor: tuple[asn1crypto.x509.Certificate, ...]

    @classmethod
    def of(cls, path: ValidationPath) -> CandidatePath:
        """Take over a path the library built."""
        anchor = path.trust_anchor
        if not isinstance(anchor, CertTrustAnchor):
            raise TypeError("every root of the trust list is a certificate")
        below = tuple(path[index] for index in range(1, path.pkix_len + 1))
        certificates = tuple(_from_asn1(each) for each in (*reversed(below), anchor.certificate))
        return cls(certificates, anchor, below)

    def check_signatures(self, at: datetime) -> None:
        """Check everything but revocation, from the root down.

        Raises:
            TrustError: `trust.unknown_authority` when a certificate only bears the name of its issuer,
                `trust.path_invalid` when a name, constraint or policy does not hold.
        """
        for certificate, issuer in pairwise(self.certificates):
            try:
                certificate.verify_directly_issued_by(issuer)
            except (ValueError, TypeError, InvalidSignature) as exc:
                detail = f"{describe(certificate)} was not signed by the approved {describe(issuer)}"
                raise TrustError("trust.unknown_authority", detail) from exc
        self._validate(0, CertRevTrustPolicy(NO_REVOCATION), (), at)

    def check_revocation(
        self, position: int, answers: Sequence[RevocationAnswer], policy: RevocationPolicy, at: datetime
    ) -> None:
        """Check with these answers that one certificate of the path is not revoked.

        Args:
            position: of the certificate, in `certificates`; those nearer the root were checked before.
            answers: everything known about it.
            policy: which kinds of answers have to be there.
            at: UTC; a revocation after this instant does not count.

        Raises:
            TrustError: `trust.certificate_revoked`.
            RevocationMissingError: no answer that may be believed says it is good.
        """
        rule = RevocationCheckingPolicy(_RULES[policy], RevocationCheckingRule.NO_CHECK)
        self._validate(position, CertRevTrustPolicy(rule), answers, at)

    def _validate(
        self, position: int, policy: CertRevTrustPolicy, answers: Sequence[RevocationAnswer], at: datetime
    ) -> None:
        """Run the library on the part of the path from the root down to `position`."""
        below = self._below_anchor[: len(self._below_anchor) - position]
        context = ValidationContext(
            trust_roots=[self._anchor],
            other_certs=below,
            moment=at,
            crls=[answer.der for answer in answers if answer.kind is AnswerKind.CRL],
            ocsps=[answer.der for answer in answers if answer.kind is AnswerKind.OCSP],
            revinfo_policy=policy,
            time_tolerance=CLOCK_SKEW,
        )
        path = ValidationPath(self._anchor, list(below[:-1]), below[-1])
        certificate = self.certificates[position]
        try:
            _run(async_validate_path(context, path))
        except RevokedError as exc:
            detail = f"{describe(certificate)} was revoked at {format_instant(exc.revocation_dt)}"
            detail += f" ({exc.reason.native}), checked at {format_instant(at)}"
            raise TrustError("trust.certificate_revoked", detail) from exc
        except InsufficientRevinfoError as exc:
            raise RevocationMissingError(exc.failure_msg) from exc
        except PathValidationError as exc:
            raise TrustError(_code(exc), f"{describe(certificate)}: {exc.failure_msg}") from exc
        except ValueError as exc:
            raise TrustError(
                "trust.path_invalid", f"the path of {describe(certificate)} cannot be read"
            ) from exc


def _code(refusal: PathValidationError) -> str:
    match refusal:
        case ExpiredError():
            return "trust.certificate_expired"
        case NotYetValidError():
            return "trust.certificate_not_yet_valid"
        case DisallowedAlgorithmError():
            return "trust.algorithm_not_allowed"
        case _:
            return "trust.path_invalid"


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError("path validation tried to fetch something")


def _to_asn1(certificate: x509.Certificate) -> asn1crypto.x509.Certificate:
    return asn1crypto.x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def _from_asn1(certificate: asn1crypto.x509.Certificate) -> x509.Certificate:
    return x509.load_der_x509_certificate(certificate.dump())
