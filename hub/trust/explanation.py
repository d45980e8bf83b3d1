# SPDX-License-Identifier: Apache-2.0
"""A certificate's whole story: every certificate of its path, and every check made on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from hub.errors import Finding
    from hub.trust.model import Authority, RevocationAnswer, Use


@dataclass(frozen=True)
class ExplainedCertificate:
    """One certificate of a path and what was found about it.

    Attributes:
        certificate: itself.
        role: `leaf`, `issuer`, `anchor`.
        findings: in the order of the checks; passed ones too.
        approval: its own row of the trust list, if it has one.
        answers: the revocation answers about it that were relied on; none where nobody was asked.
    """

    certificate: x509.Certificate
    role: str
    findings: tuple[Finding, ...]
    approval: Authority | None = None
    answers: tuple[RevocationAnswer, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """Why a certificate is believed for a use at an instant, or why not.

    Attributes:
        use: what it was checked for.
        at: UTC; the instant the check was made for.
        path: the certificate first, the root last; only the certificate where no path was found.
    """

    use: Use
    at: datetime
    path: tuple[ExplainedCertificate, ...]

    @property
    def failed(self) -> tuple[Finding, ...]:
        """Every check that does not hold."""
        return tuple(each for one in self.path for each in one.findings if not each.is_passed)

    @property
    def is_believed(self) -> bool:
        """Whether every check holds; nothing checked proves nothing."""
        return not self.failed and any(one.findings for one in self.path)
