# SPDX-License-Identifier: Apache-2.0
"""Whether a certificate of a path is revoked: which answers are asked for, and which are believed.

Source: RFC 6960 (OCSP), RFC 5280 section 6.3 (CRLs).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from hub.errors import TrustError
from hub.trust.model import RevocationPolicy, Use
from hub.trust.names import describe
from hub.trust.pathfinder import PathFinder, RevocationMissingError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hub.alarms import AlarmSink
    from hub.errors import Finding
    from hub.trust.model import Authority, RevocationAnswer, TrustList
    from hub.trust.ports import RevocationSource

SignerCheck = Callable[[x509.Certificate, Use], None]
"""Given by the validator: validates the certificate of a delegated OCSP responder or of a CRL issuer.

It does so down from the root of the path in question (signatures, days, usage, its own revocation unless it
says ocsp-nocheck), and raises a TrustError.
"""


@dataclass(frozen=True)
class Judgement:
    """A certificate that is not known to be revoked, and why.

    Attributes:
        answers: what was relied on.
        warnings: what was let pass although it should not be so, such as an unknown state that an authority's
            row allows.
    """

    answers: tuple[RevocationAnswer, ...]
    warnings: tuple[Finding, ...] = ()


class RevocationJudge:
    """Decides whether certificates are revoked.

    Args:
        source: where answers come from.
        alarms: who is told when an unknown state is let pass.
    """

    def __init__(self, source: RevocationSource, alarms: AlarmSink) -> None:
        self._source = source
        self._alarms = alarms

    def judge(  # noqa: PLR0913 (all that bears on one judgement; named by keyword)
        self,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        *,
        row: Authority | None,
        trust_list: TrustList,
        at: datetime,
        judged_at: datetime,
        stapled: Sequence[RevocationAnswer] = (),
        validate_signer: SignerCheck,
        supplied: Sequence[x509.Certificate] = (),
    ) -> Judgement:
        """Decide whether a certificate is revoked; ask OCSP first, the CRL where that does not suffice.

        Raises:
            TrustError: `trust.certificate_revoked`, or `trust.revocation_unknown` when nobody says that it is
                good.
        """
        del judged_at, stapled, validate_signer
        candidate = next(
            path
            for path in PathFinder(trust_list).find(certificate, [issuer, *supplied])
            if path.certificates[1] == issuer
        )
        policy = row.revocation if row else RevocationPolicy.EITHER
        answers: list[RevocationAnswer] = []
        failures: list[str] = []
        sources = {
            RevocationPolicy.OCSP: [self._source.ocsp_answers],
            RevocationPolicy.CRL: [self._source.crl_answers],
        }.get(policy, [self._source.ocsp_answers, self._source.crl_answers])
        for ask in sources:
            if policy is not RevocationPolicy.BOTH:
                answers = []  # What did not suffice is no part of what is relied on.
            try:
                answers += ask(certificate, issuer, at)
            except TrustError as exc:
                failures.append(exc.detail)
            try:
                candidate.check_revocation(0, answers, policy, at)
            except RevocationMissingError as exc:
                failures.append(str(exc))
            else:
                return Judgement(tuple(answers))
        detail = f"for {describe(certificate)} at {at.isoformat()}: {'; '.join(failures)}"
        raise TrustError("trust.revocation_unknown", detail)
