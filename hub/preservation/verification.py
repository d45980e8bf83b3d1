# SPDX-License-Identifier: Apache-2.0
"""Verifying an evidence record, step by step.

    FORM         a record in DER, of digests the table has
    TIME_STAMPS  every token holds by itself
    ORDER        they follow one another in time; each chain has one digest, that of its tokens
    OBJECTS      the first archive time stamp of each chain covers the data objects, and what was before it
    RENEWALS     each later one covers the time stamp before it
    AUTHORITY    one step a time stamp: an approved authority gave it, and it lasted until the next one, the
                 last one until the instant of verification

Source: RFC 4998 sections 4.3 and 5.3. Step 4 of hash-tree renewal is read as its words say, the hash of the
data object first, as BouncyCastle and EU DSS do; the figure beside it sorts the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from hub.clock import format_instant
from hub.errors import EnvelopeError, TrustError
from hub.preservation.cryptoinfos import Answers, AnswersAtHand, read_answers
from hub.preservation.digests import NO_ENDS, DigestEnds, digest_of, read_digest
from hub.preservation.hashtree import root_of
from hub.preservation.records import EvidenceRecord, encode_sequence
from hub.trust import USE_POLICIES, Use, Validator, believe_token, describe, read_token, to_one_form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from hub.preservation.records import ArchiveTimeStamp
    from hub.trust import RevocationSource, TimeStamp, Token, TrustList, TrustLists, UsePolicy

FORM = "Form of the evidence record"
TIME_STAMPS = "Time stamps of the evidence record"
ORDER = "Order and digests of the evidence record"
OBJECTS = "Evidence record covers the data objects"
RENEWALS = "Renewals cover the time stamps before them"
AUTHORITY = "Authority of time stamp"

_T = TypeVar("_T")
_MOST_REMEMBERED = 4096
_GIVEN_UP = frozenset({"affiliationChanged", "superseded", "cessationOfOperation"})
_INVALID = "envelope.evidence_record_invalid"
_MALFORMED = "envelope.evidence_record_malformed"
_LAPSED = "envelope.evidence_record_lapsed"


class RecordStep(NamedTuple):
    """One check of a record.

    Attributes:
        name: what is checked.
        code: stands for anything that is no coded error.
        check: returns the reason why it holds, or raises.
        needs: names of the steps without which it says nothing.
    """

    name: str
    code: str
    check: Callable[[], str]
    needs: tuple[str, ...]


@dataclass(frozen=True)
class TimeStampJudge:
    """Says whom to believe.

    Attributes:
        trust_lists: who is approved, and was.
        source: revocation answers beside those of the record itself.
        policies: what the authorities' certificates are held to.
        ends: until when digests may be relied on.
    """

    trust_lists: TrustLists
    source: RevocationSource
    policies: Mapping[Use, UsePolicy] = field(default_factory=lambda: USE_POLICIES)
    ends: DigestEnds = NO_ENDS
    _remembered: dict[tuple[bytes, Answers, datetime], tuple[TrustList, TimeStamp]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def validator(self, answers: Answers) -> Validator:
        """Return what validates authorities' certificates with the answers of a record as well."""
        at_hand = AnswersAtHand(answers, self.source)
        return Validator(self.trust_lists, at_hand, policies=self.policies)

    def believe(self, token: Token, answers: Answers, until: datetime) -> TimeStamp:
        """Ask whether an approved authority gave a token, and was not found out until an instant.

        All records of a batch have the same token and answers, so what was found is remembered; a refusal is
        not.

        Raises:
            TrustError: why the authority's certificate is refused.
        """
        listed = self.trust_lists.of(token.at)
        key = (token.der, answers, until)
        known = self._remembered.get(key)
        # What one version of the list approved, another may not.
        if known is not None and known[0] is listed:
            return known[1]
        validator = self.validator(answers)
        believed = believe_token(token, validator, judged_at=until)
        _require_not_compromised(token, validator, until)
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = (listed, believed)
        return believed


@dataclass(frozen=True)
class VerifiedRecord:
    """A record that holds.

    Attributes:
        existed_at: UTC; the time of the first time stamp, by which the data objects existed.
        renewed_at: UTC; the time of the last one, the same where nothing was renewed.
        lasts_until: UTC; when the certificates behind the last one end. It has to be renewed before.
        digest: of the last chain, by its `hashlib` name.
        time_stamps: the authorities' words, oldest first.
        facts: what each step found, in words.
    """

    existed_at: datetime
    renewed_at: datetime
    lasts_until: datetime
    digest: str
    time_stamps: tuple[TimeStamp, ...]
    facts: tuple[tuple[str, str], ...]


class RecordVerification:
    """One verification; `steps` are to be run in their order, what one finds the later ones use.

    Args:
        der: the record.
        objects: returns the hashes of the group's data objects by a digest's `hashlib` name.
        judge: says whom to believe.
        at: UTC; the instant of verification.
        is_whole_group: whether the record's group must have no other data object.
        stated: digests that a manifest states of the data objects, by their `hashlib` names; each has to be
            that of the first chain, or the record would prove something else than the manifest says.
    """

    def __init__(  # noqa: PLR0913 (what is verified, by whom believed, and when)
        self,
        der: bytes,
        objects: Callable[[str], Sequence[bytes]],
        judge: TimeStampJudge,
        *,
        at: datetime,
        is_whole_group: bool = True,
        stated: frozenset[str] = frozenset(),
    ) -> None:
        self._der = der
        self._objects = objects
        self._judge = judge
        self._at = at
        self._is_whole_group = is_whole_group
        self._stated = stated
        self._record: EvidenceRecord | None = None
        self._chains: list[list[_Read]] = []
        self._answers = Answers()
        self._believed: dict[int, TimeStamp] = {}

    def steps(self, subject: str = "") -> Iterator[RecordStep]:
        """Yield the checks; those of the authorities follow from what the others found.

        Args:
            subject: which record it is, behind the names of the steps.
        """
        names = (FORM, TIME_STAMPS, ORDER, OBJECTS, RENEWALS)
        form, stamps, order, objects, renewals = (f"{name}{subject}" for name in names)
        yield RecordStep(form, _MALFORMED, self._decode, ())
        yield RecordStep(stamps, "trust.timestamp_invalid", self._read_time_stamps, (form,))
        yield RecordStep(order, _INVALID, self._check_order, (stamps,))
        yield RecordStep(objects, _INVALID, self._check_objects, (stamps,))
        yield RecordStep(renewals, _INVALID, self._check_renewals, (stamps,))
        for number in range(1, max(len(self._all()), 1) + 1):
            name = f"{AUTHORITY} {number}{subject}"
            yield RecordStep(name, "trust.path_invalid", _bind(self._check_authority, number), (stamps,))

    def result(self, facts: Sequence[tuple[str, str]] = ()) -> VerifiedRecord:
        """Return what was found, after every step passed."""
        stamps = tuple(self._believed[number] for number in sorted(self._believed))
        last = stamps[-1]
        return VerifiedRecord(
            existed_at=stamps[0].at,
            renewed_at=last.at,
            lasts_until=_end_of(last),
            digest=self._chains[-1][0].digest,
            time_stamps=stamps,
            facts=tuple(facts),
        )

    def _decode(self) -> str:
        record = EvidenceRecord.decode(self._der)
        if record.encryption_info is not None:
            raise EnvelopeError("envelope.not_evaluated", "the data objects were encrypted before")
        self._answers = read_answers(record)
        self._record = record
        count = sum(map(len, record.chains))
        return f"{len(self._der)} bytes, {count} archive time stamps in {len(record.chains)} chains"

    def _read_time_stamps(self) -> str:
        self._chains = [[_read(each) for each in chain] for chain in _known(self._record).chains]
        return "; ".join(f"{each.digest} at {format_instant(each.token.at)}" for each in self._all())

    def _check_order(self) -> str:
        """RFC 4998 sections 3.1 (digestAlgorithms), 4.2, step 5, 5.1, and 5.3, step 2."""
        for chain in self._chains:
            digests = {each.digest for each in chain} | {each.token.digest_algorithm for each in chain}
            if len(digests) > 1:
                raise EnvelopeError(_INVALID, f"one chain uses {' and '.join(sorted(digests))}")
        stated = {read_digest(each) for each in _known(self._record).digest_identifiers}
        unstated = {each.digest for each in self._all()} - stated
        if unstated:
            raise EnvelopeError(_INVALID, f"the record does not name {' and '.join(sorted(unstated))}")
        for before, after in pairwise(self._all()):
            if after.token.at < before.token.at:
                detail = f"{format_instant(after.token.at)} follows {format_instant(before.token.at)}"
                raise EnvelopeError(_INVALID, detail)
        return f"{format_instant(self._all()[0].token.at)} is the first"

    def _check_objects(self) -> str:
        """RFC 4998 section 5.3, steps 1 and 3."""
        digest = self._chains[0][0].digest
        if self._stated - {digest}:
            raise EnvelopeError(_INVALID, f"the manifest states another digest than {digest}")
        chains, extra = _known(self._record).chains, 0
        for number, chain in enumerate(self._chains):
            first = chain[0]
            hashes = list(self._objects(first.digest))
            if number:
                before = digest_of(first.digest, encode_sequence(chains[:number]))
                hashes = [digest_of(first.digest, each + before) for each in hashes]
            extra = max(extra, self._check_covered(first, hashes, number + 1))
            _check_root(first, hashes)
        others = f", and {extra} hashes of others" if extra else ""
        return f"{len(self._objects(digest))} data objects{others}"

    def _check_covered(self, first: _Read, hashes: Sequence[bytes], chain: int) -> int:
        """Return how many other hashes are in the first list."""
        if not hashes:
            raise EnvelopeError(_INVALID, "there are no data objects")
        tree = first.stamp.reduced_hashtree
        listed = set(tree[0]) if tree else {first.token.digest}
        if not set(hashes) <= listed:
            missing = len(set(hashes) - listed)
            raise EnvelopeError(_INVALID, f"chain {chain} does not cover {missing} of the data objects")
        others = len(listed - set(hashes))
        if others and len(set(hashes)) > 1 and self._is_whole_group:
            raise EnvelopeError(_INVALID, f"{others} data objects of the group are not here")
        return others

    def _check_renewals(self) -> str:
        """RFC 4998 section 5.3, step 2."""
        count = 0
        for chain in self._chains:
            for before, after in pairwise(chain):
                covered = digest_of(after.digest, before.stamp.time_stamp)
                tree = after.stamp.reduced_hashtree
                if tree and covered not in tree[0]:
                    detail = f"that of {format_instant(after.token.at)} does not cover the one before it"
                    raise EnvelopeError(_INVALID, detail)
                _check_root(after, [covered])
                count += 1
        return f"{count} renewals of a time stamp, {len(self._chains) - 1} of a hash tree"

    def _check_authority(self, number: int) -> str:
        """RFC 4998 section 5.3, step 2: valid relative to the time of the next one."""
        found = self._all()
        stamp = found[number - 1]
        until = found[number].token.at if number < len(found) else self._at
        if stamp.token.at > self._at:
            raise EnvelopeError(_INVALID, f"it is of {format_instant(stamp.token.at)}, which is to come")
        believed = self._judge.believe(stamp.token, self._answers, until)
        self._check_lasted(believed, stamp.digest, until)
        self._believed[number] = believed
        return (
            f"{describe(believed.path.leaf)} at {format_instant(believed.at)}, until {format_instant(until)}"
        )

    def _check_lasted(self, believed: TimeStamp, digest: str, until: datetime) -> None:
        self._judge.ends.require(digest, until)
        end = _end_of(believed)
        if until > end:
            detail = f"its authority's certificates ended at {format_instant(end)}, before it was renewed"
            raise EnvelopeError(_LAPSED, detail)

    def _all(self) -> list[_Read]:
        return [each for chain in self._chains for each in chain]


def verify_record(
    der: bytes,
    objects: Callable[[str], Sequence[bytes]],
    judge: TimeStampJudge,
    *,
    at: datetime,
    is_whole_group: bool = True,
) -> VerifiedRecord:
    """Verify a record; what each argument is, `RecordVerification` says.

    Raises:
        EnvelopeError: `envelope.evidence_record_malformed`, `envelope.evidence_record_invalid`,
            `envelope.evidence_record_lapsed`, `envelope.algorithm_not_allowed`, `envelope.not_evaluated`.
        TrustError: why a time stamp or its authority is not believed.
    """
    verification = RecordVerification(der, objects, judge, at=at, is_whole_group=is_whole_group)
    facts = [(step.name, step.check()) for step in verification.steps()]
    return verification.result(facts)


@dataclass(frozen=True)
class _Read:
    """An archive time stamp with its token read, and the digest of its tree."""

    stamp: ArchiveTimeStamp
    token: Token
    digest: str


def _read(stamp: ArchiveTimeStamp) -> _Read:
    """Read a token; the tree's digest is the token's where it does not state one (RFC 4998 section 4.1)."""
    token = _read_token(stamp.time_stamp)
    return _Read(stamp, token, stamp.stated_digest or token.digest_algorithm)


@lru_cache(maxsize=256)
def _read_token(der: bytes) -> Token:
    """Read a token; pure, and the same for all records of a batch."""
    return read_token(to_one_form(der))


def _require_not_compromised(token: Token, validator: Validator, until: datetime) -> None:
    """Refuse a token whose authority's key was known to be in wrong hands before the token was renewed.

    A key that was given up for another reason leaves the tokens it signed before as they are. Not knowing is
    no refusal: that nobody was revoked when the token was given has been shown.

    Raises:
        TrustError: `trust.certificate_revoked`.

    Source: RFC 3161 section 4, item 1; RFC 4998 section 5.3, step 2.
    """
    try:
        validator.validate(token.certificates, use=Use.TIMESTAMP, at=until, judged_at=until)
    except TrustError as exc:
        reason = exc.finding.facts.get("why") if exc.finding else None
        if exc.code == "trust.certificate_revoked" and reason not in _GIVEN_UP:
            raise


def _check_root(read: _Read, hashes: Sequence[bytes]) -> None:
    """Compare the root with what was stamped (RFC 4998 section 4.3, steps 3 and 4)."""
    tree = read.stamp.reduced_hashtree
    if not tree and len(hashes) != 1:
        raise EnvelopeError(_INVALID, "a time stamp without hash tree covers one data object only")
    if (root_of(read.digest, tree) if tree else hashes[0]) != read.token.digest:
        detail = f"the hash tree does not lead to the time stamp of {format_instant(read.token.at)}"
        raise EnvelopeError(_INVALID, detail)


def _end_of(stamp: TimeStamp) -> datetime:
    return min(each.not_valid_after_utc for each in stamp.path.path)


def _bind(check: Callable[[int], str], number: int) -> Callable[[], str]:
    return lambda: check(number)


def _known(value: _T | None) -> _T:
    if value is None:
        raise ValueError("an earlier step did not find it")
    return value
