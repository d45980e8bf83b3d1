# SPDX-License-Identifier: Apache-2.0
"""From what a reading and a walk found to findings: one for each thing somebody did, not for each row."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.messagelog.locating import Located, children_of, span_of
from hub.messagelog.tampering import Finding, Tampering
from hub.tlog import Span, Subtree, node_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hub.messagelog.locating import Hashes
    from hub.messagelog.scanning import Scan


_LONGEST_NARROWED = 100_000


@dataclass(frozen=True)
class Teller:
    """Says what was found, each entry once.

    Attributes:
        scan: what the reading gave.
        hashes: what is stored and what the entries give.
        message_of: the message id an entry is stored with.
        proven: the first so many entries are proven by a checkpoint.
        failed: sizes of the believed checkpoints that the entries do not give, smallest first.
    """

    scan: Scan
    hashes: Hashes
    message_of: Callable[[int], str | None]
    proven: int
    failed: Sequence[int]

    def tell(self, located: Located) -> list[Finding]:
        """Return all findings about entries and hashes."""
        rest = Located(dict(located.true), dict(located.moved), list(located.unclear))
        missing = {index for span in self.scan.missing for index in range(*span)}
        for index in missing & rest.true.keys():
            del rest.true[index]
        right = _Spans(located.right)
        findings = [*self._tell_moved(rest), *self._tell_changed(rest), *self._tell_unclear(rest, missing)]
        findings += self._tell_missing(missing, right)
        wrong = sorted({*located.true, *missing, *(span.start for span in located.unclear)})
        findings += self._tell_hashes({*located.true, *missing}, right)
        findings += self._tell_nodes(located, wrong, right)
        findings += self._tell_hidden(set(located.true) | missing)
        findings += self._tell_unreadable(findings)
        findings += self._tell_strays()
        return findings

    def _at(self, kind: Tampering, index: int, detail: str, count: int = 1) -> Finding:
        message_id = self.message_of(index)
        return Finding(kind=kind, detail=detail, first=index, last=index, message_id=message_id, count=count)

    def _tell_moved(self, rest: Located) -> Iterator[Finding]:
        """Tell entries that stand elsewhere, and take them out of the rest."""
        later = {index: place for index, place in rest.moved.items() if place == index + 1}
        earlier = {index: place for index, place in rest.moved.items() if place == index - 1}
        among = {index: place for index, place in rest.moved.items() if place in rest.moved}
        if among and len(among) == len(rest.moved) and set(among.values()) == set(among):
            told, first = among, min(among)
            detail = f"the entry logged here stands at {among[first]}; {len(among)} entries changed places"
            yield self._at(Tampering.ENTRIES_SWAPPED, first, detail, len(among))
        elif later and len(later) >= len(rest.moved) - 1:
            told, first = later, min(later)
            detail = f"from here on {len(later)} entries stand one place later than they were logged"
            yield self._at(Tampering.ENTRY_INSERTED, first, detail)
        elif earlier and len(earlier) >= len(rest.moved) - 1:
            told = earlier
            yield self._tell_removed(rest, min(earlier), len(earlier))
        else:
            return
        # What moved otherwise is told by itself.
        for index in told:
            rest.true.pop(index, None)
            rest.moved.pop(index, None)

    def _tell_removed(self, rest: Located, earliest: int, count: int) -> Finding:
        """Tell that an entry is gone and those after it were moved up; it was one of the pair before them."""
        before = [span for span in rest.unclear if span.start <= earliest]
        first, last = (before[0].start, before[0].end - 1) if before else (earliest - 1, earliest - 1)
        rest.unclear = [span for span in rest.unclear if span not in before[:1]]
        detail = f"{count} entries after it stand one place earlier than they were logged"
        return Finding(
            kind=Tampering.ENTRY_MISSING,
            detail=detail,
            first=first,
            last=last,
            message_id=None,
        )

    def _tell_changed(self, rest: Located) -> Iterator[Finding]:
        for index, true in sorted(rest.true.items()):
            if index in rest.moved:
                detail = f"another entry was logged here; it stands at {rest.moved[index]}"
                yield self._at(Tampering.ENTRIES_SWAPPED, index, detail)
            elif self.hashes.stored(Subtree(0, index)) == true:
                yield self._at(Tampering.ENTRY_CHANGED, index, f"leaf hash {true.hex()} was logged")
            else:
                detail = f"leaf hash {true.hex()} was logged; the hash stored beside it was changed as well"
                yield self._at(Tampering.ENTRY_CHANGED, index, detail)

    def _tell_unclear(self, rest: Located, missing: set[int]) -> Iterator[Finding]:
        first = rest.first
        for span in rest.unclear:
            if missing.isdisjoint(range(*span)):
                why = "the hashes that could tell which one were changed as well"
                yield self._between(span, why, is_first=span.start == first)

    def _between(
        self,
        span: Span,
        why: str,
        *,
        is_first: bool = False,
        kind: Tampering = Tampering.ENTRY_CHANGED,
    ) -> Finding:
        """Enclose a wrong entry as closely as checkpoints and what others know of single entries allow."""
        first, last = max(span.start, self.proven), span.end - 1
        if is_first:
            # A checkpoint that fails although nothing before the span is wrong covers the wrong entry.
            last = min([last, *(size - 1 for size in self.failed if size > first)])
        first, last = narrow(self.hashes, first, last, self._unreadable)
        return Finding(
            kind=kind,
            detail=why if first != last else "the hash above it does not fit, and its neighbours are right",
            first=first,
            last=last,
            message_id=self.message_of(first) if first == last else None,
        )

    @property
    def _unreadable(self) -> frozenset[int]:
        return frozenset(self.scan.unreadable)

    def _tell_missing(self, missing: set[int], right: _Spans) -> Iterator[Finding]:
        for span in self.scan.missing:
            many = f"{span.end - span.start} rows are" if span.end - span.start > 1 else "its row is"
            # Below one hash with a row that is gone, the other one cannot be checked any more.
            beside = [
                index
                for index in (span.start - 1, span.end)
                if index ^ 1 in missing and index < self.scan.size and not right.cover(Span(index, index + 1))
            ]
            unchecked = f"; beside it, {beside} cannot be checked any more" if beside else ""
            yield Finding(
                kind=Tampering.ENTRY_MISSING,
                detail=f"{many} not there{unchecked}",
                first=span.start,
                last=span.start,
                count=span.end - span.start,
            )

    def _tell_hashes(self, told: set[int], right: _Spans) -> Iterator[Finding]:
        """Tell rows whose hash does not fit the entry, where the walk did not already."""
        for subtree, computed in self.scan.computed.items():
            index = subtree.number
            if subtree.level > 0 or computed is None or index in told:
                continue
            is_right = index < self.proven or right.cover(Span(index, index + 1))
            if is_right or self._is_vouched(subtree, computed):
                yield self._at(Tampering.HASH_CHANGED, index, f"the entry's hash is {computed.hex()}")
            else:
                detail = "the entry and the hash beside it do not fit"
                yield self._at(Tampering.ENTRY_OR_HASH_CHANGED, index, detail)

    def _is_vouched(self, subtree: Subtree, computed: bytes) -> bool:
        """Say whether the stored hash above vouches for what the entries give."""
        parent = Subtree(subtree.level + 1, subtree.number >> 1)
        left, right = (
            computed if child == subtree else self.hashes.computed(child) for child in children_of(parent)
        )
        above = self.hashes.stored(parent)
        return left is not None and right is not None and above == node_hash(left, right)

    def _tell_nodes(self, located: Located, wrong: list[int], right: _Spans) -> Iterator[Finding]:
        missing = set(self.scan.nodes_missing)
        enclosed: list[Span] = []
        # From the top: what is doubtful there is doubtful all the way down.
        for subtree, computed in sorted(self.scan.computed.items(), reverse=True):
            span = span_of(subtree)
            if subtree.level == 0 or computed is None or _any_in(wrong, span):
                continue
            if subtree in missing:
                detail = f"the hash over entries {span.start} to {span.end - 1} is not there"
                yield self._over(Tampering.NODE_MISSING, span, detail)
            elif (
                span.end <= self.proven
                or located.is_cut
                or right.cover(span)
                or self._is_vouched(subtree, computed)
            ):
                detail = f"the stored hash over entries {span.start} to {span.end - 1} is not theirs"
                yield self._over(Tampering.NODE_CHANGED, span, detail)
            elif not any(each.start <= span.start and span.end <= each.end for each in enclosed):
                enclosed.append(span)
                yield self._between(
                    span,
                    "these entries, or the hash stored over them, were changed; no checkpoint tells which",
                    kind=Tampering.ENTRY_OR_HASH_CHANGED,
                )

    def _over(self, kind: Tampering, span: Span, detail: str) -> Finding:
        return Finding(
            kind=kind,
            detail=detail,
            first=span.start,
            last=span.start,
            message_id=self.message_of(span.start),
            count=span.end - span.start,
        )

    def _tell_hidden(self, wrong: set[int]) -> Iterator[Finding]:
        for index, column in self.scan.hidden.items():
            if index not in wrong:
                yield Finding(
                    kind=Tampering.MESSAGE_ID_CHANGED,
                    detail=f"the entry is found by {column or 'no message'}",
                    first=index,
                    last=index,
                    message_id=column,
                )

    def _tell_unreadable(self, told: Sequence[Finding]) -> Iterator[Finding]:
        for index in self.scan.unreadable:
            is_told = any(
                finding.first is not None
                and finding.last is not None
                and finding.first <= index <= finding.last
                for finding in told
            )
            if not is_told:
                yield self._at(Tampering.ENTRY_CHANGED, index, "it is not an entry as this log writes them")

    def _tell_strays(self) -> Iterator[Finding]:
        for index in self.scan.strays:
            detail = f"a row numbered {index} cannot belong to a log of {self.scan.size} entries"
            yield self._at(Tampering.ENTRY_INSERTED, index, detail)


def _encloses(finding: Finding, index: int) -> bool:
    return finding.first is not None and finding.last is not None and finding.first <= index <= finding.last


class _Spans:
    """Spans that do not overlap, to be asked whether one covers another."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = sorted(spans)

    def cover(self, span: Span) -> bool:
        """Say whether one of them covers a span wholly."""
        place = bisect_left(self._spans, (span.start + 1,)) - 1
        return place >= 0 and self._spans[place].end >= span.end


def narrow(hashes: Hashes, first: int, last: int, unreadable: frozenset[int]) -> tuple[int, int]:
    """Narrow where the first wrong entry is by what is known of single entries between."""
    if last - first >= _LONGEST_NARROWED:
        return first, last
    known = hashes.known(Span(first, last + 1))
    right = {index for index, leaf in known.items() if hashes.computed(Subtree(0, index)) == leaf}
    open_places = [index for index in range(first, last + 1) if index not in right]
    wrong = [index for index in open_places if index in known or index in unreadable]
    if not open_places:
        return first, last
    return open_places[0], wrong[0] if wrong else open_places[-1]


def _any_in(numbers: list[int], span: Span) -> bool:
    place = bisect_left(numbers, span.start)
    return place < len(numbers) and numbers[place] < span.end
