# SPDX-License-Identifier: Apache-2.0
"""The two steps about a signer's certificate: its path, and whether anybody in it was revoked at that time.

Revocation is judged offline, from stored answers. Without one that held at the instant of signing the step
fails: not knowing is not good enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.clock import format_instant
from hub.errors import TrustError
from hub.trust import USE_POLICIES, StoredRevocation, Use, Validator, describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509

    from hub.trust import (
        RevocationAnswer,
        RevocationSource,
        SignatureAlgorithm,
        TrustLists,
        UsePolicy,
        ValidatedPath,
    )

_REVOCATION_CODES = frozenset({"trust.certificate_revoked", "trust.revocation_unknown"})


class SignerCertificate:
    """Judges signers' certificates by a trust list and a folder of stored revocation answers."""

    def __init__(
        self,
        trust_lists: TrustLists,
        revocation: Path | None,
        policies: Mapping[Use, UsePolicy] = USE_POLICIES,
    ) -> None:
        self._validator = Validator(trust_lists, _source(revocation), policies=policies)

    @property
    def algorithms(self) -> frozenset[SignatureAlgorithm]:
        """The rows of the table of algorithms that envelopes may be signed with."""
        return self._validator.algorithms(Use.ENVELOPE)

    def check_path(self, chain: Sequence[x509.Certificate], at: datetime) -> str:
        """Check that a certificate may sign envelopes: days, usage, strength, path, approval of its issuer.

        What is wrong about revocation only is `check_revocation`'s matter.

        Raises:
            TrustError: the path does not hold.
        """
        try:
            path = self._validator.validate(chain, use=Use.ENVELOPE, at=at)
        except TrustError as exc:
            # Revocation is asked last, so this refusal means that the path itself held.
            if exc.code in _REVOCATION_CODES:
                return f"{describe(chain[0])} was issued by an approved authority"
            raise
        return "; issued by ".join(describe(each) for each in path.path)

    def check_revocation(self, chain: Sequence[x509.Certificate], at: datetime) -> str:
        """Check that nobody in the path was revoked at the instant.

        Raises:
            TrustError: `trust.certificate_revoked` or `trust.revocation_unknown`.
        """
        path: ValidatedPath = self._validator.validate(chain, use=Use.ENVELOPE, at=at)
        answers = dict.fromkeys(
            f"{answer.kind} of {format_instant(answer.this_update)}" for answer in path.revocation
        )
        return f"nobody in the path was revoked at {format_instant(at)}: {', '.join(answers)}"


class _NoAnswers:
    """Stands where there is no folder of answers, or none that can be read."""

    def __init__(self, detail: str) -> None:
        self._detail = detail

    def ocsp_answers(
        self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        """Refuse to answer."""
        del certificate, issuer, at
        raise TrustError("trust.revocation_unknown", self._detail)

    crl_answers = ocsp_answers


def _source(folder: Path | None) -> RevocationSource:
    if folder is None:
        return _NoAnswers("no folder of stored revocation answers was given")
    if not folder.is_dir():
        return _NoAnswers(f"{folder.name} is not a folder of stored revocation answers")
    try:
        return StoredRevocation(folder)
    except TrustError as exc:
        return _NoAnswers(exc.detail)
