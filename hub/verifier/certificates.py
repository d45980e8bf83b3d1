# SPDX-License-Identifier: Apache-2.0
"""The two steps about a signer's certificate: its path, and whether anybody in it was revoked at that time.

Revocation is judged offline, from stored answers. Without one that held at the instant of signing the step
fails: not knowing is not good enough.

A judgement that holds is remembered for the piece of time in which no certificate, approval or answer begins
or ends (`hub.trust.TurningPoints`), so a thousand messages of one morning cost one validation. A refusal is
never remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from hub.clock import format_instant
from hub.errors import TrustError
from hub.preservation import TimeStampJudge
from hub.trust import (
    USE_POLICIES,
    HeldRevocation,
    StoredRevocation,
    TurningPoints,
    Use,
    Validator,
    describe,
    member_of_certificate,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from cryptography import x509

    from hub.trust import (
        RevocationAnswer,
        RevocationSource,
        SignatureAlgorithm,
        TrustList,
        TrustLists,
        UsePolicy,
        ValidatedPath,
    )

    Chain = tuple[x509.Certificate, ...]

_REVOCATION_CODES = frozenset({"trust.certificate_revoked", "trust.revocation_unknown"})
_MOST_REMEMBERED = 65_536
_ANEW = timedelta(0)

describe_once = lru_cache(maxsize=1024)(describe)
"""Name a certificate for people; a few signers sign thousands of messages."""

member_once = lru_cache(maxsize=1024)(member_of_certificate)
"""Name the member a certificate speaks for."""


@dataclass(frozen=True)
class SignerJudgement:
    """What both steps say of a signer: a reason why it holds, or the refusal."""

    _path: str | TrustError
    _revocation: str | TrustError

    def path(self) -> str:
        """Say why it may sign envelopes: days, usage, strength, path, approval of its issuer.

        What is wrong about revocation only is `revocation`'s matter.

        Raises:
            TrustError: the path does not hold.
        """
        return _hold(self._path)

    def revocation(self, at: datetime) -> str:
        """Say that nobody in the path was revoked at the instant judged for.

        Raises:
            TrustError: `trust.certificate_revoked` or `trust.revocation_unknown`.
        """
        return f"nobody in the path was revoked at {format_instant(at)}: {_hold(self._revocation)}"


class SignerCertificate:
    """Judges signers' certificates by the trust list and stored revocation answers.

    Args:
        trust_lists: who is approved, and when.
        revocation: the answers, or the folder they lie in, which is read once; None where there are none.
        policies: what an envelope's signature and its signer's certificate are held to.
        judged_at: UTC; answers published after the signing and up to this instant speak too, and one that
            revokes from before the signing counts. None hears only answers from before each signing.
    """

    def __init__(
        self,
        trust_lists: TrustLists,
        revocation: HeldRevocation | Path | None,
        policies: Mapping[Use, UsePolicy] = USE_POLICIES,
        *,
        judged_at: datetime | None = None,
    ) -> None:
        source = _source(revocation)
        self._trust_lists = trust_lists
        self._held = source if isinstance(source, HeldRevocation) else None
        # The validator's own memory serves online answers; it takes a minute more or less for the same.
        self._validator = Validator(trust_lists, source, policies=policies, longest_age=_ANEW)
        self._judged_at = judged_at
        self._points: dict[int, tuple[TrustList, TurningPoints]] = {}
        self._remembered: dict[tuple[object, ...], SignerJudgement] = {}
        self._time_stamps = TimeStampJudge(trust_lists, source, policies)

    @property
    def algorithms(self) -> frozenset[SignatureAlgorithm]:
        """The rows of the table of algorithms that envelopes may be signed with."""
        return self._validator.algorithms(Use.ENVELOPE)

    @property
    def time_stamps(self) -> TimeStampJudge:
        """Judges the authorities of time stamps by the same list and answers."""
        return self._time_stamps

    def judge(self, chain: Chain, at: datetime) -> SignerJudgement:
        """Check that a certificate may sign envelopes, and that nobody in its path was revoked.

        Args:
            chain: the signer's certificate first.
            at: UTC; when it signed.
        """
        key = self._piece(chain, at)
        judgement = self._remembered.get(key) if key else None
        if judgement is not None:
            return judgement
        try:
            path = self._validator.validate(chain, use=Use.ENVELOPE, at=at, judged_at=self._judged_at)
        except TrustError as exc:
            # Revocation is asked last, so its refusal means that the path itself held.
            is_path_sound = exc.code in _REVOCATION_CODES
            issued = f"{describe_once(chain[0])} was issued by an approved authority"
            return SignerJudgement(issued if is_path_sound else exc, exc)
        judgement = _tell(path)
        if key:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = judgement
        return judgement

    def _piece(self, chain: Chain, at: datetime) -> tuple[object, ...] | None:
        """Name the piece of time and the list by which a chain is judged; None where that cannot be told."""
        try:
            trust_list = self._trust_lists.of(at)
            known = self._points.get(id(trust_list))
            if known is None:
                # While it is kept, so is the list, and no other object gets its identity.
                known = self._points[id(trust_list)] = (trust_list, TurningPoints(trust_list, self._held))
        except TrustError:
            return None
        return (chain, id(trust_list), known[1].piece(chain, at))


def _hold(reason: str | TrustError) -> str:
    if isinstance(reason, TrustError):
        raise reason
    return reason


def _tell(path: ValidatedPath) -> SignerJudgement:
    answers = (f"{answer.kind} of {format_instant(answer.this_update)}" for answer in path.revocation)
    return SignerJudgement(
        "; issued by ".join(map(describe_once, path.path)), ", ".join(dict.fromkeys(answers))
    )


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


def _source(revocation: HeldRevocation | Path | None) -> RevocationSource:
    if revocation is None:
        return _NoAnswers("no folder of stored revocation answers was given")
    if not isinstance(revocation, Path):
        return revocation
    if not revocation.is_dir():
        return _NoAnswers(f"{revocation.name} is not a folder of stored revocation answers")
    try:
        return StoredRevocation(revocation)
    except TrustError as exc:
        return _NoAnswers(exc.detail)
