# SPDX-License-Identifier: Apache-2.0
"""The versions of the trust list, one following the other; adding one makes a new history. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from hub.clock import format_instant
from hub.trust import refusal
from hub.trustlist import rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from cryptography import x509

    from hub.errors import TrustError
    from hub.trust import TrustList
    from hub.trustlist.container import SignedTrustList


@dataclass(frozen=True, eq=False)
class TrustListHistory:
    """Versions that follow one another, the first one signed by a pinned signer; made by `check_history`.

    It is one of `hub.trust.TrustLists`: it says which list was in force when.

    Attributes:
        versions: at least one, the oldest first.
    """

    versions: tuple[SignedTrustList, ...]

    @property
    def current(self) -> SignedTrustList:
        """The newest version."""
        return self.versions[-1]

    @property
    def is_complete(self) -> bool:
        """Whether the history begins with the first version ever."""
        return self.versions[0].sequence == 1

    def require_complete(self) -> TrustListHistory:
        """Return this history when nothing is missing before it.

        Raises:
            TrustError: `trust.trust_list_not_next`.
        """
        if not self.is_complete:
            raise self._truncated()
        return self

    def find(self, sequence: int) -> SignedTrustList | None:
        """Return the version of a number."""
        index = sequence - self.versions[0].sequence
        return self.versions[index] if 0 <= index < len(self.versions) else None

    def require(self, sequence: int) -> SignedTrustList:
        """Return the version of a number.

        Raises:
            TrustError: `trust.trust_list_unknown`.
        """
        version = self.find(sequence)
        if version is None:
            raise refusal("list_unknown", sequence=str(sequence))
        return version

    def require_same(self, version: SignedTrustList) -> None:
        """Refuse another version of a number that is held.

        Raises:
            TrustError: `trust.trust_list_forked`, or `trust.trust_list_unknown`.
        """
        if self.require(version.sequence).raw != version.raw:
            sequence = str(version.sequence)
            raise refusal("list_forked", version.signer, version.document.issued_at, sequence=sequence)

    def extended(self, version: SignedTrustList) -> TrustListHistory:
        """Return the history with one version more; the history itself when that is its newest already.

        Raises:
            TrustError: `trust.trust_list_forked` for another version of a number that is held,
                `trust.trust_list_rolled_back` for an older one, or as `rules.check_next`.
        """
        held = self.current
        if self.find(version.sequence) is not None:
            self.require_same(version)
        if version.sequence == held.sequence:
            return self
        if version.sequence < held.sequence:
            raise refusal("list_rolled_back", sequence=str(version.sequence), held=str(held.sequence))
        rules.check_next(held, version)
        return TrustListHistory((*self.versions, version))

    def of(self, at: datetime) -> TrustList:
        """Return the list in force at an instant: the last one issued by then.

        An instant before the first version ever is judged by it.

        Raises:
            TrustError: `trust.trust_list_outdated` when its grace was over by then;
                `trust.trust_list_not_next` when the version of that day is missing.
        """
        index = bisect_right(self._instants, at) - 1
        if index < 0 and not self.is_complete:
            raise self._truncated(at)
        version = self.versions[max(index, 0)]
        due = version.document.next_update
        if at >= due + rules.GRACE:
            raise refusal("list_outdated", at=at, sequence=str(version.sequence), due=format_instant(due))
        return version.trust_list

    @cached_property
    def _instants(self) -> list[datetime]:
        return [version.document.issued_at for version in self.versions]

    def _truncated(self, at: datetime | None = None) -> TrustError:
        return refusal("list_history_truncated", at=at, sequence=str(self.versions[0].sequence))


def check_history(
    versions: Iterable[SignedTrustList], pinned: Sequence[x509.Certificate]
) -> TrustListHistory:
    """Put versions together to a history.

    Args:
        versions: the oldest first.
        pinned: certificates that were handed over by another way than the list itself.

    Raises:
        TrustError: there are none, or as `rules.check_first` and `rules.check_next`.
    """
    ordered = tuple(versions)
    if not ordered:
        raise refusal("list_unknown", sequence="1")
    rules.check_first(ordered[0], pinned)
    for previous, version in pairwise(ordered):
        rules.check_next(previous, version)
    return TrustListHistory(ordered)
