# SPDX-License-Identifier: Apache-2.0
"""Auditing the log: everything that is wrong, and for each the first bad entry as exactly as can be known.

What can be known rests on what was signed. The tree that the entries give is compared with every checkpoint,
those of the database and those kept outside it. Below a checkpoint that holds, every entry is proven. Below
one that does not, the stored hashes lead from the signed root down to the wrong entry (`locating`); where
they were computed anew, the last checkpoint that holds and the first that does not enclose it, and a mirror
shows it. Behind the last checkpoint nothing is signed: there the stored hashes are all there is.

Nothing is changed, and no finding stops the audit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hub.errors import LogError
from hub.messagelog import store
from hub.messagelog.claims import Claim, Source, judge_stored
from hub.messagelog.locating import Located, believe_peaks, children_of, locate, span_of
from hub.messagelog.scanning import Scan, Scanner
from hub.messagelog.stampaudit import judge_stamps
from hub.messagelog.tampering import AuditReport, Finding, Tampering
from hub.messagelog.telling import Teller, narrow
from hub.tlog import Span, Subtree, node_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from hub.messagelog.mirror import Mirror
    from hub.tlog import SignedCheckpoint, VerifierKey

MOST_FINDINGS = 1_000
"""How many findings are listed; the rest is counted."""

_MOST_LOCATED = 500


@dataclass(frozen=True, kw_only=True)
class LogAudit:
    """An audit of one log.

    Attributes:
        engine: the database.
        verifiers: the keys that signed this log's checkpoints.
        origins: the log's names, the present one first.
        read_head: returns the last checkpoint as the file outside the database remembers it.
    """

    engine: Engine
    verifiers: Sequence[VerifierKey]
    origins: Sequence[str]
    read_head: Callable[[], SignedCheckpoint | None] = lambda: None

    def run(
        self,
        *,
        kept: Sequence[Claim] = (),
        mirror: Mirror | None = None,
        known: Callable[[Span], Mapping[int, bytes]] = lambda _span: {},
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> AuditReport:
        """Read everything and say what is wrong.

        Args:
            kept: checkpoints from outside the database.
            mirror: a copy of the log's tiles; its checkpoint is among `kept`.
            known: returns leaf hashes that signed receipts name for entries of a span.
            progress: is told how many entries were read, and how many there are.
        """
        # Before the database, which only grows while this runs.
        head = self._open_head()
        outside = [*kept, head] if isinstance(head, Claim) else kept
        with self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            run = _Run(connection, self, outside, mirror, known, progress)
            return run.report([head] if isinstance(head, Finding) else [])

    def _open_head(self) -> Claim | Finding | None:
        try:
            held = self.read_head()
        except LogError as exc:
            return Finding(kind=Tampering.HEAD_CHANGED, detail=exc.detail)
        if held is None:
            return None
        return Claim(held.checkpoint.size, held.checkpoint.root, Source.HEAD, "head file")


def with_findings(report: AuditReport, findings: Sequence[Finding], compared: str) -> AuditReport:
    """Add what the comparison with something else found.

    Args:
        report: of the log itself.
        findings: what else is wrong.
        compared: what the log was compared with.
    """
    everything = sorted(dict.fromkeys([*report.findings, *findings]), key=lambda finding: finding.place)
    return replace(
        report,
        findings=tuple(everything[:MOST_FINDINGS]),
        unlisted=report.unlisted + max(len(everything) - MOST_FINDINGS, 0),
        compared=tuple(sorted({*report.compared, compared})),
    )


class _Run:
    def __init__(  # noqa: PLR0913, PLR0917 (what `run` was given)
        self,
        connection: Connection,
        audit: LogAudit,
        kept: Sequence[Claim],
        mirror: Mirror | None,
        known: Callable[[Span], Mapping[int, bytes]],
        progress: Callable[[int, int], None],
    ) -> None:
        self._connection = connection
        stored, self._findings = judge_stored(store.read_notes(connection), audit.verifiers, audit.origins)
        self._stored = {claim.size for claim in stored}
        self._claims = sorted([*stored, *kept], key=lambda claim: claim.size)
        self._kept = kept
        self._mirror = mirror
        self._scan = Scanner(connection, {claim.size for claim in self._claims}, progress).run()
        self._hashes = _DatabaseHashes(connection, self._scan, known)
        self._unlisted = 0

    def report(self, found: Sequence[Finding]) -> AuditReport:
        self._findings += found
        self._findings += judge_stamps(self._connection)
        scan = self._scan
        covered = [claim for claim in self._claims if claim.size <= scan.size]
        good = [claim for claim in covered if scan.roots[claim.size] == claim.root]
        bad = [claim for claim in covered if scan.roots[claim.size] != claim.root]
        # Where the database has a checkpoint that contradicts one from outside, the key signed both: then
        # the database's own prove nothing any more.
        outside = min((claim.size for claim in bad if claim.is_outside), default=scan.size + 1)
        is_betrayed = any(claim.size >= outside for claim in good)
        trusted = [claim for claim in good if claim.is_outside or not is_betrayed]
        proven = max((claim.size for claim in trusted), default=0)
        located = self._judge_signed(good, bad, proven)
        self._judge_ends()
        self._judge_deleted(good)
        failed = [claim.size for claim in bad]
        teller = Teller(scan, self._hashes, self._message_of, proven, failed)
        self._findings += teller.tell(located)
        return self._conclude(good, proven)

    def _judge_signed(self, good: Sequence[Claim], bad: Sequence[Claim], proven: int) -> Located:
        """Find what makes believed checkpoints fail, from the largest whose root can be led back on.

        Returns the entries that are wrong, those behind the last checkpoint included.
        """
        best_good = max((claim.size for claim in good), default=-1)
        settled, located = max(best_good, 0), Located()
        for claim in reversed(bad):
            if claim.size > best_good or claim.is_outside:
                found = self._locate(claim)
                if found is not None and not found.is_empty():
                    settled, located = max(settled, claim.size), found
                    break
        # Only what was led back to a signed root explains why others fail.
        wrong = located.first
        self._locate_unsigned(located, max(settled, proven))
        unexplained = [
            claim for claim in bad if wrong is None or claim.size <= wrong or claim.size <= best_good
        ]
        if unexplained:
            self._findings.append(self._enclose(unexplained[0], good, proven, wrong))
        return located

    def _locate(self, claim: Claim) -> Located | None:
        if self._mirror is not None:
            return self._mirror.compare(self._hashes, min(claim.size, self._scan.size))
        believed = believe_peaks(self._hashes, claim.size, claim.root)
        return None if believed is None else locate(self._hashes, believed, _MOST_LOCATED)

    def _enclose(self, first: Claim, good: Sequence[Claim], proven: int, wrong: int | None) -> Finding:
        """Say between which checkpoints history parts, where nothing tells the very entry."""
        below = max((claim.size for claim in good if claim.size < first.size), default=0)
        start = min(below, proven) if first.is_outside else below
        end = max(first.size - 1, start)
        kind = Tampering.REWRITTEN
        if any(claim.size >= first.size for claim in good):
            kind = Tampering.FORKED if first.is_outside else Tampering.CHECKPOINT_FALSE
        if wrong is not None and start <= wrong <= end:
            start = end = wrong
        start, end = narrow(self._hashes, start, end, frozenset(self._scan.unreadable))
        detail = (
            f"the root signed for {first.size} entries ({first.source.value}: {first.name}) is not what the "
            "entries give"
        )
        message_id = self._message_of(start) if start == end else None
        return Finding(
            kind=kind, detail=detail, first=start, last=end, size=first.size, message_id=message_id
        )

    def _locate_unsigned(self, located: Located, settled: int) -> None:
        """Where no checkpoint helps, hold the entries to the stored hashes, which is all there is."""
        believed = {}
        for subtree in Span(0, self._scan.size).subtrees():
            if span_of(subtree).end <= settled:
                continue
            stored, computed = self._hashes.stored(subtree), self._hashes.computed(subtree)
            if stored is not None and stored != computed and _is_supported(self._hashes, subtree, stored):
                believed[subtree] = stored
        located.add(locate(self._hashes, believed, _MOST_LOCATED), settled)

    def _judge_ends(self) -> None:
        """Compare the log's end with what was signed or stored beyond it."""
        size = self._scan.size
        beyond = [claim for claim in self._claims if claim.size > size]
        inside = [claim for claim in beyond if not claim.is_outside]
        if inside or (beyond and self._scan.nodes_beyond):
            largest = max(beyond, key=lambda claim: claim.size)
            detail = f"{largest.size} entries were signed ({largest.source.value}), {size} are there"
            self._end(Tampering.TRUNCATED, detail, largest.size)
        elif beyond:
            largest = max(beyond, key=lambda claim: claim.size)
            detail = (
                f"{largest.size} entries were signed ({largest.source.value}: {largest.name}), {size} are "
                "there, and the database knows nothing of more"
            )
            self._end(Tampering.ROLLED_BACK, detail, largest.size)
        elif self._scan.nodes_beyond:
            detail = (
                f"{self._scan.nodes_beyond} hashes are stored over more than the {size} entries there are"
            )
            self._end(Tampering.NODE_STRAY, detail, None)

    def _end(self, kind: Tampering, detail: str, signed: int | None) -> None:
        size = self._scan.size
        count = signed - size if signed is not None else self._scan.nodes_beyond
        self._findings.append(
            Finding(kind=kind, detail=detail, first=size, last=size, size=signed, count=count)
        )

    def _judge_deleted(self, good: Sequence[Claim]) -> None:
        """Name published checkpoints that the database does not have although its entries match them."""
        largest = max(self._stored, default=-1)
        for claim in good:
            # The head is written just before the checkpoint is stored; a crash may come in between.
            is_due = claim.source is not Source.HEAD or claim.size < largest
            if claim.is_outside and claim.size not in self._stored and is_due:
                detail = f"the checkpoint of {claim.size} entries ({claim.name}) is not stored any more"
                self._findings.append(
                    Finding(kind=Tampering.CHECKPOINT_DELETED, detail=detail, size=claim.size)
                )

    def _message_of(self, index: int) -> str | None:
        rows = list(store.read_leaves(self._connection, Span(index, index + 1)))
        return rows[0].message_id if rows else None

    def _conclude(self, good: Sequence[Claim], proven: int) -> AuditReport:
        findings = sorted(dict.fromkeys(self._findings), key=lambda finding: finding.place)
        return AuditReport(
            size=self._scan.size,
            sealed=proven,
            checkpoints=sum(not claim.is_outside for claim in good),
            findings=tuple(findings[:MOST_FINDINGS]),
            unlisted=max(len(findings) - MOST_FINDINGS, 0) + self._unlisted,
            compared=tuple(sorted({claim.source.value for claim in self._kept})),
        )


class _DatabaseHashes:
    """What the database says about hashes, after it was scanned."""

    def __init__(
        self, connection: Connection, scan: Scan, known: Callable[[Span], Mapping[int, bytes]]
    ) -> None:
        self._connection = connection
        self._scan = scan
        self.known = known
        self._read: dict[Subtree, bytes | None] = {}

    def computed(self, subtree: Subtree) -> bytes | None:
        """Return the hash its entries give."""
        if subtree in self._scan.computed:
            return self._scan.computed[subtree]
        end = span_of(subtree).end
        known = self._scan.known_until
        if end > self._scan.size or (known is not None and end > known):
            return None
        # What is stored is what the entries give, or it would have been remembered.
        return self.stored(subtree)

    def stored(self, subtree: Subtree) -> bytes | None:
        """Return the hash that is stored."""
        if subtree not in self._read:
            self._read[subtree] = store.read_node(self._connection, subtree)
        return self._read[subtree]


def _is_supported(hashes: _DatabaseHashes, subtree: Subtree, stored: bytes) -> bool:
    """Say whether the hashes below a stored hash still give it, so that it was not itself changed."""
    if subtree.level == 0:
        return False
    named = list(hashes.known(span_of(subtree)).values()) if subtree.level == 1 else []
    left, right = (
        [each for each in (hashes.stored(child), hashes.computed(child), *named) if each is not None]
        for child in children_of(subtree)
    )
    return any(node_hash(one, other) == stored for one in left for other in right)
