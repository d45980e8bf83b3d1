# SPDX-License-Identifier: Apache-2.0
"""What a check of a certificate is, and how the checks of a path are made one after the other.

The same list serves two readers: who validates stops at the first check that fails, who explains wants them
all. A check that holds says so in the words of checks.toml, one that fails in those of its row in `refusals`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from hub.errors import Finding, Language, TrustError
from hub.trust.contents import UNREADABLE
from hub.trust.description import full_name
from hub.trust.refusals import refusal
from hub.trust.words import spoken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from cryptography import x509

    from hub.trust.contents import Contents
    from hub.trust.model import RevocationAnswer, Use
    from hub.trust.nameconstraints import NameConstraints
    from hub.trust.paths import Listed
    from hub.trust.policies import PolicyState
    from hub.trust.uses import UsePolicy


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked about a certificate, and what answers it.

    Attributes:
        chain: the certificate first, then what may help to find its issuers.
        use: what it was used for.
        policy: what that use asks.
        at: UTC; the instant it was used.
        judged_at: UTC; when the question is asked.
        stapled: revocation answers that came along.
        listed: the trust list in force at the instant.
        root: where the path has to end, or None for any root of the list. Given for those who sign revocation
            answers: their authority appoints them, so no row of the list has to name their use.
    """

    chain: tuple[x509.Certificate, ...]
    use: Use
    policy: UsePolicy
    at: datetime
    judged_at: datetime
    stapled: tuple[RevocationAnswer, ...]
    listed: Listed
    root: x509.Certificate | None = None


@dataclass(frozen=True)
class PathState:
    """What is known when the validation of a path comes to a certificate.

    Attributes:
        constraints: the name constraints of every certificate above.
        room: how many authorities may follow from here on, those that issued to themselves not counted.
        policies: with the certificate's own taken in.

    Source: RFC 5280 section 6.1.2 (b), (c) and (k) for the first two.
    """

    constraints: tuple[NameConstraints, ...]
    room: int
    policies: PolicyState


@dataclass(frozen=True, eq=False)
class Place:
    """One certificate where it stands.

    Attributes:
        path: the certificate in question first, the root last; only itself while no path is known.
        index: of this certificate in the path.
        question: what is asked.
        state: what is known there; None while no path is known.
    """

    path: tuple[Contents, ...]
    index: int
    question: Question
    state: PathState | None = None

    @property
    def contents(self) -> Contents:
        """What the certificate says."""
        return self.path[self.index]

    @property
    def issuer(self) -> Contents:
        """What the next certificate up the path says."""
        return self.path[self.index + 1]

    @property
    def is_leaf(self) -> bool:
        """Whether it is the certificate in question itself."""
        return self.index == 0

    @property
    def is_root(self) -> bool:
        """Whether the path ends with it."""
        return self.index == len(self.path) - 1

    @property
    def known(self) -> PathState:
        """The state, for checks that are made when there is one."""
        if self.state is None:
            raise RuntimeError("the path is not known yet")
        return self.state

    def refuse(self, reason_id: str, **facts: str) -> TrustError:
        """Make the error that refuses this certificate."""
        return refusal(reason_id, self.contents.certificate, self.question.at, **facts)


class Of(Enum):
    """Which certificates of a path a check is about."""

    LEAF = auto()
    ISSUERS = auto()
    BELOW_ROOT = auto()
    EACH = auto()

    def includes(self, place: Place) -> bool:
        """Tell whether the check is about a certificate."""
        match self:
            case Of.LEAF:
                return place.is_leaf
            case Of.ISSUERS:
                return not place.is_leaf
            case Of.BELOW_ROOT:
                return not place.is_root
            case Of.EACH:
                return True


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: a row of checks.toml.
        of: which certificates it is about.
        run: raises a TrustError when it does not hold.
        facts: what the row's words name in braces.
    """

    name: str
    of: Of
    run: Callable[[Place], None]
    facts: Callable[[Place], dict[str, str]] = lambda _: {}

    def make(self, place: Place) -> Outcome:
        """Make the check; whatever a parser trips over, the answer is no."""
        try:
            self.run(place)
        except TrustError as exc:
            return Outcome(self, place, exc)
        except UNREADABLE as exc:
            return Outcome(self, place, place.refuse("unreadable_part", why=type(exc).__name__))
        return Outcome(self, place, None)


@dataclass(frozen=True)
class Outcome:
    """How a check of a certificate ended.

    Attributes:
        check: which one.
        place: of which certificate.
        error: why it does not hold, or None.
    """

    check: Check
    place: Place
    error: TrustError | None

    @property
    def finding(self) -> Finding:
        """The outcome in words."""
        if self.error is None:
            return passed(self.check.name, self.place, **self.check.facts(self.place))
        if self.error.finding is not None:
            return self.error.finding
        kind = self.error.kind
        reason = {**kind.message, Language.EN: self.error.detail or kind.message[Language.EN]}
        return replace(
            passed(self.check.name, self.place, **self.check.facts(self.place)),
            code=kind.code,
            reason=reason,
            cure=kind.cure,
        )


def make(checks: Sequence[Check], places: Sequence[Place]) -> Iterator[Outcome]:
    """Make checks, each of every certificate it is about, only as far as the caller reads."""
    for check in checks:
        for place in places:
            if check.of.includes(place):
                yield check.make(place)


def first_failure(outcomes: Iterator[Outcome]) -> Outcome | None:
    """Read outcomes up to the first that does not hold, and return that one."""
    return next((outcome for outcome in outcomes if outcome.error is not None), None)


def passed(name: str, place: Place, **facts: str) -> Finding:
    """Make the finding of a check that holds."""
    row, certificate = _rows()[name], place.contents.certificate
    return Finding(
        reason_id=name,
        code=None,
        clause=row["clause"],
        subject=full_name(certificate.subject),
        issuer=full_name(certificate.issuer),
        serial=f"{certificate.serial_number:x}",
        at=place.question.at,
        reason={
            language: row[key].format(**{name: spoken(fact, language) for name, fact in facts.items()})
            for language, key in ((Language.EN, "en"), (Language.ZH, "zh"))
        },
        cure=dict.fromkeys(Language, ""),
    )


@cache
def _rows() -> dict[str, dict[str, str]]:
    text = resources.files("hub.trust").joinpath("checks.toml").read_text(encoding="utf-8")
    table: dict[str, dict[str, str]] = tomllib.loads(text)
    return table
