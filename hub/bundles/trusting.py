# SPDX-License-Identifier: Apache-2.0
"""What a reader needs to believe the signers of a bundle: certificates, revocation answers, trust lists.

Each signer is judged here as a reader will judge it, offline and by what goes into the bundle; so what is not
enough is known, asked for once more, and otherwise listed as missing.

Source: docs/protocols/evidence-bundle.md section 5.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from hub.bundles.missing import Missing, Why
from hub.bundles.model import Piece
from hub.errors import TrustError
from hub.trust import AnswerKind, HeldRevocation, Use, Validator
from hub.trustlist import file_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from cryptography import x509

    from hub.bundles.model import Signer
    from hub.exchange import Belief, RevocationAnswers
    from hub.trust import RevocationAnswer, UsePolicy, ValidatedPath
    from hub.trustlist import SignedTrustList, TrustListArchive

CERTIFICATES = "trust/certificates"
LISTS = "trust/lists"
REVOCATION = "trust/revocation"
_UNKNOWN = "trust.revocation_unknown"
_LIST_CODES = frozenset({"trust.trust_list_outdated", "trust.trust_list_not_next"})
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrustSources:
    """Where it comes from.

    Attributes:
        trust_lists: every version there is.
        answers: what was kept of what the authorities said.
        validator: asks the authorities anew, for what was not kept.
        policies: what each use asks.
    """

    trust_lists: TrustListArchive
    answers: RevocationAnswers
    validator: Validator
    policies: Mapping[Use, UsePolicy]


class TrustMaterial:
    """The certificates, answers and lists of one bundle; each is given once.

    Args:
        sources: where it comes from.
        now: UTC; when the bundle is made.
    """

    def __init__(self, sources: TrustSources, now: datetime) -> None:
        self._sources = sources
        self._now = now
        self._beliefs: dict[x509.Certificate, Belief] = {}
        self._judged: set[tuple[x509.Certificate, tuple[str, ...]]] = set()
        self._refused: set[x509.Certificate] = set()
        self._given: set[str] = set()
        self._earliest = now
        self._missing: dict[Missing, None] = {}

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What could not be had."""
        return tuple(self._missing)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of everything that was given."""
        return tuple(sorted(self._given))

    def of(self, signer: Signer) -> Iterator[Piece]:
        """Give what is needed to believe a signer and was not given before."""
        self._earliest = min(self._earliest, signer.signed_at)
        leaf = signer.chain[0]
        belief = self._beliefs.get(leaf)
        if belief is None or not belief.holds(signer.relied_at):
            belief = self._beliefs[leaf] = self._sources.answers.belief(leaf, signer.relied_at)
        key = (leaf, tuple(name.sha256 for name in belief.answers))
        if key in self._judged:
            return
        self._judged.add(key)
        answers = [self._sources.answers.read(name.sha256) for name in belief.answers]
        try:
            path: ValidatedPath | None = self._judge(signer, answers)
        except TrustError as exc:
            path = self._ask_again(signer, exc)
        certificates = path.path if path is not None else signer.chain
        if path is not None:
            answers += path.revocation
        yield from self._new(_certificate(each) for each in certificates)
        yield from self._new(_answer(each) for each in answers)

    def lists(self) -> Iterator[Piece]:
        """Give the versions of the trust list, from the day of the earliest signature on."""
        for version in _versions(self._sources.trust_lists.history.versions, self._earliest):
            yield from self._new([Piece(f"{LISTS}/{file_name(version.sequence)}", version.raw)])

    def _judge(self, signer: Signer, answers: Iterable[RevocationAnswer]) -> ValidatedPath:
        """Judge a signer as the reader of the bundle will."""
        kinds = {kind: [each.der for each in answers if each.kind is kind] for kind in AnswerKind}
        held = HeldRevocation(kinds[AnswerKind.OCSP], kinds[AnswerKind.CRL])
        validator = Validator(self._sources.trust_lists, held, policies=self._sources.policies)
        return validator.validate(signer.chain, use=Use.ENVELOPE, at=signer.signed_at, judged_at=self._now)

    def _ask_again(self, signer: Signer, refusal: TrustError) -> ValidatedPath | None:
        """Ask the authorities now, once for each certificate, where only their answers are lacking."""
        leaf = signer.chain[0]
        if refusal.code in _LIST_CODES:
            self._note(Missing(LISTS, Why.NO_TRUST_LIST))
        if refusal.code != _UNKNOWN:
            # Nothing is lacking: what is wrong with the certificate, the reader is to find.
            return None
        if leaf not in self._refused:
            try:
                path = self._sources.validator.validate(
                    signer.chain, use=Use.ENVELOPE, at=signer.signed_at, judged_at=self._now
                )
            except TrustError as exc:
                _logger.info("evidence.no_revocation_answer", detail=exc.detail)
                self._refused.add(leaf)
            else:
                self._sources.answers.take(path)
                return path
        self._note(Missing(f"{REVOCATION}#{leaf.fingerprint(SHA256()).hex()}", Why.NO_REVOCATION_ANSWER))
        return None

    def _note(self, missing: Missing) -> None:
        self._missing[missing] = None

    def _new(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            if piece.path not in self._given:
                self._given.add(piece.path)
                yield piece


def _certificate(certificate: x509.Certificate) -> Piece:
    name = certificate.fingerprint(SHA256()).hex()
    return Piece(f"{CERTIFICATES}/{name}.pem", certificate.public_bytes(Encoding.PEM))


def _answer(answer: RevocationAnswer) -> Piece:
    name = hashlib.sha256(answer.der).hexdigest()
    return Piece(f"{REVOCATION}/{name}.{answer.kind.value}", answer.der)


def _versions(versions: tuple[SignedTrustList, ...], earliest: datetime) -> tuple[SignedTrustList, ...]:
    """Return the versions from an instant on, but from one on that the first signer signed.

    Who reads has pinned the certificate of who signed the first version, and can begin only with one of hers.
    """
    begin = 0
    for number, version in enumerate(versions):
        if version.document.issued_at > earliest:
            break
        if version.signer == versions[0].signer:
            begin = number
    return versions[begin:]
