# SPDX-License-Identifier: Apache-2.0
"""The message log: append, look up, prove, and sign what was appended so that it cannot be taken back."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from hub.clock import SystemClock
from hub.errors import Language, LogError
from hub.messagelog import store
from hub.messagelog.audit import LogAudit
from hub.messagelog.batch import OpenBatches
from hub.messagelog.head import LogHead
from hub.messagelog.tampering import describe_place
from hub.tlog import (
    Checkpoint,
    Frontier,
    NoteSigner,
    SignedCheckpoint,
    Span,
    Subtree,
    VerifierKey,
    consistency_spans,
    inclusion_spans,
    leaf_hash,
    message_id_in,
    open_checkpoint,
    prove,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from hub.clock import Clock
    from hub.database import Writer
    from hub.identifiers import MessageId
    from hub.tlog import Entry, LoggedEntry, LogPosition

_ENTRIES_AT_A_TIME = 2_000


class MessageLog:
    """An append-only log of what became of every message.

    Args:
        engine: opened by `hub.database.open_database`.
        writer: the engine's writer; checkpoints go through it as appends do.
        signer: signs checkpoints; its name should be the origin.
        origin: the log's name in its checkpoints, a URL without scheme; never changed.
        former_keys: keys that signed earlier checkpoints of this log; a name of theirs that is not the origin
            is a former name of the log.
        head: remembers the last checkpoint outside the database; None only where nothing is published.
        clock: says when a checkpoint was signed.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (what a log consists of)
        self,
        engine: Engine,
        writer: Writer,
        signer: NoteSigner,
        origin: str,
        former_keys: Sequence[VerifierKey] = (),
        head: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._engine = engine
        # What is read for a proof never changes, so it needs no transaction; on PostgreSQL that saves two of
        # the trips to the server that a proof consists of.
        is_remote = engine.dialect.name == "postgresql"
        self._reading = engine.execution_options(isolation_level="AUTOCOMMIT") if is_remote else engine
        self._writer = writer
        self._signer = signer
        self._origin = origin
        self._verifiers = (signer.verifier, *former_keys)
        self._former_origins = tuple({key.name for key in former_keys} - {origin})
        self._head = None if head is None else LogHead(head, self._verifiers, origin, self._former_origins)
        self._clock = clock or SystemClock()
        self._refusal: LogError | None = None
        self._batches = OpenBatches(engine)
        # The log only grows, so what it once held it holds.
        self._known_size = 0

    @property
    def origin(self) -> str:
        """The log's name in its checkpoints."""
        return self._origin

    @property
    def verifier(self) -> VerifierKey:
        """What others need to check the log's checkpoints."""
        return self._signer.verifier

    @property
    def verifiers(self) -> tuple[VerifierKey, ...]:
        """The keys that sign and signed the log's checkpoints, the present one first."""
        return self._verifiers

    def append(self, connection: Connection, entry: Entry) -> LogPosition:
        """Append an entry inside a unit of the writer.

        The entry is durable, and others see it, once the unit's future resolves; it disappears with the unit
        when that fails. Indexes have no gaps either way.

        Raises:
            LogError: `log.rolled_back` or `log.forked`, once the database was found to be so: a receipt for
                this entry would name a place that another entry has.
        """
        if self._refusal is not None:
            raise LogError(self._refusal.code, self._refusal.detail)
        return self._batches.of(connection).append(entry.to_bytes(), entry.message_id)

    def size(self) -> int:
        """Return the number of durable entries."""
        with self._engine.connect() as connection:
            return store.read_size(connection)

    def entry(self, index: int) -> LoggedEntry:
        """Return one entry.

        Raises:
            LogError: `log.entry_unknown`, or `log.corrupt`.
        """
        with self._engine.connect() as connection:
            logged = store.read_entry(connection, index)
        if logged is None:
            raise LogError("log.entry_unknown", f"no entry {index}")
        _require_intact(logged)
        return logged

    def stored_leaves(self, portion: int) -> Iterator[tuple[int, bytes]]:
        """Return the bytes of every entry as they are stored, unchecked, so many at a time."""
        with self._engine.connect() as connection:
            size = store.read_size(connection)
            for start in range(0, size, portion):
                for new in store.read_leaves(connection, Span(start, min(start + portion, size))):
                    yield new.leaf_index, new.leaf

    def entries_of(self, message_id: MessageId) -> tuple[LoggedEntry, ...]:
        """Return every entry about a message, oldest first; none when the log never saw it.

        Raises:
            LogError: `log.corrupt`.
        """
        with self._engine.connect() as connection:
            found = store.read_entries_of(connection, message_id)
        for logged in found:
            _require_intact(logged)
        return found

    def inclusion_proof(self, index: int, size: int) -> tuple[bytes, ...]:
        """Prove that entry `index` is in the tree of the first `size` entries.

        Raises:
            LogError: `log.entry_unknown`: there is no such entry or size.

        Source: RFC 9162 section 2.1.3.1.
        """
        return self._prove(inclusion_spans(index, size), size)

    def consistency_proof(self, old: int, new: int) -> tuple[bytes, ...]:
        """Prove that the tree of the first `new` entries starts with that of the first `old`.

        Raises:
            LogError: `log.entry_unknown`: there is no such size.

        Source: RFC 9162 section 2.1.4.1.
        """
        return self._prove(consistency_spans(old, new), new)

    def last_checkpoint(self) -> SignedCheckpoint | None:
        """Return the checkpoint signed last, or None when there is none yet.

        Raises:
            LogError: `log.corrupt`: what is stored is not a checkpoint of this log.
        """
        with self._engine.connect() as connection:
            return self._read_last(connection)

    def checkpoint(self) -> SignedCheckpoint:
        """Sign the log's present size and root; the same size gives the same checkpoint.

        Everything signed before must still be there: the tree is read anew from the last checkpoint on, every
        entry hashed from its bytes.

        Raises:
            LogError: `log.corrupt`: the stored tree is not the one signed before, or entries were changed
                since; `log.rolled_back`, `log.forked`, `log.head_invalid`: see `require_head`; nothing is
                signed.

        Source: C2SP tlog-checkpoint: a log signs no checkpoint inconsistent with one it signed before.
        """
        self.require_head()
        with self._engine.connect() as connection:
            size = store.read_size(connection)
            last = self._read_last(connection)
            frontier = self._extend(connection, last, size)
        return self._writer.run(lambda connection: self._sign(connection, frontier))

    def require_head(self) -> None:
        """Refuse a database that does not hold what was published.

        Raises:
            LogError: `log.rolled_back`: it has fewer entries than were signed; `log.forked`: it has others;
                `log.head_invalid`: the head is not one this log wrote.
        """
        # Read first: what is signed and appended meanwhile makes the database larger, never the head.
        held = self.read_head()
        if held is None:
            return
        try:
            with self._engine.connect() as connection:
                _require_held(connection, held.checkpoint)
        except LogError as exc:
            self._refusal = exc
            raise

    def read_head(self) -> SignedCheckpoint | None:
        """Return the last checkpoint as the head file remembers it, None without one.

        Raises:
            LogError: `log.head_invalid`.
        """
        return None if self._head is None else self._head.read()

    def check(self) -> int:
        """Compute the whole tree from its entries and compare it with all that is stored and signed.

        Returns the number of entries.

        Raises:
            LogError: `log.corrupt`.
        """
        report = self.audit().run()
        if report.first is not None:
            where = describe_place(report.first, Language.EN)
            raise LogError("log.corrupt", f"{report.first.kind}: {where}: {report.first.detail}")
        return report.size

    def audit(self) -> LogAudit:
        """Return what audits this log."""
        return LogAudit(
            engine=self._engine,
            verifiers=self._verifiers,
            origins=(self._origin, *self._former_origins),
            read_head=self.read_head,
        )

    def _prove(self, spans: Sequence[Span], size: int) -> tuple[bytes, ...]:
        with self._reading.connect() as connection:
            if size > self._known_size:
                self._known_size = store.read_size(connection)
            if size > self._known_size:
                raise LogError("log.entry_unknown", f"the log has not {size} entries yet")
            hashes = store.read_hashes(connection, (each for span in spans for each in span.subtrees()))
        return prove(spans, hashes.__getitem__)

    def _read_last(self, connection: Connection) -> SignedCheckpoint | None:
        note = store.read_last_note(connection)
        return None if note is None else self._open(note)

    def _open(self, note: str) -> SignedCheckpoint:
        for origin in self._former_origins:
            with suppress(LogError):
                return open_checkpoint(note, self._verifiers, origin=origin)
        try:
            return open_checkpoint(note, self._verifiers, origin=self._origin)
        except LogError as exc:
            raise LogError("log.corrupt", f"a stored checkpoint is not this log's: {exc.detail}") from exc

    def _extend(self, connection: Connection, last: SignedCheckpoint | None, size: int) -> Frontier:
        start = last.checkpoint.size if last else 0
        if start > size:
            raise LogError("log.corrupt", f"{start} entries were signed, {size} are there")
        frontier = store.read_frontier(connection, start)
        if last and frontier.root() != last.checkpoint.root:
            raise LogError("log.corrupt", f"the tree of {start} entries is not the one that was signed")
        return _replay(connection, frontier, size, {})

    def _sign(self, connection: Connection, frontier: Frontier) -> SignedCheckpoint:
        last = self._read_last(connection)
        if last and last.checkpoint.size >= frontier.size:
            # Another caller was quicker. What it signed must hold for the tree just computed as well.
            newer = store.read_frontier(connection, last.checkpoint.size)
            older = store.read_frontier(connection, frontier.size)
            if newer.root() != last.checkpoint.root or older != frontier:
                raise LogError("log.corrupt", f"size {last.checkpoint.size} was signed with another root")
            self._keep_head(last)
            return last
        checkpoint = Checkpoint(self._origin, frontier.size, frontier.root())
        note = self._signer.sign(checkpoint.to_text())
        signed = SignedCheckpoint(checkpoint, note)
        # Before it is stored: where a crash comes in between, the entries still give what the head says.
        self._keep_head(signed)
        store.insert_note(connection, frontier.size, note, self._clock.now())
        return signed

    def _keep_head(self, signed: SignedCheckpoint) -> None:
        if self._head is not None and signed.checkpoint.origin == self._origin:
            self._head.keep(signed)


def _require_held(connection: Connection, published: Checkpoint) -> None:
    size = store.read_size(connection)
    if published.size > size:
        raise LogError("log.rolled_back", f"{published.size} entries were published, {size} are there")
    note = store.read_note(connection, published.size)
    if note is not None and note.startswith(published.to_text()):
        return
    if store.read_frontier(connection, published.size).root() != published.root:
        raise LogError("log.forked", f"the tree of {published.size} entries is not the one published")


def _replay(connection: Connection, frontier: Frontier, size: int, roots: Mapping[int, bytes]) -> Frontier:
    """Append the stored entries from the frontier's size up to `size`, and check all that is stored of them.

    Args:
        connection: to read with.
        frontier: where to start.
        size: where to end.
        roots: for some sizes, the root the tree must have there.
    """
    _require_root(frontier, roots)
    for start in range(frontier.size, size, _ENTRIES_AT_A_TIME):
        nodes: dict[Subtree, bytes] = {}
        for new in store.read_leaves(connection, Span(start, min(start + _ENTRIES_AT_A_TIME, size))):
            _require_sound(new, frontier.size)
            frontier, completed = frontier.append(new.leaf_hash)
            nodes.update(completed)
            _require_root(frontier, roots)
        if store.read_hashes(connection, nodes) != nodes:
            raise LogError("log.corrupt", f"the tree over entries from {start} on was changed")
    if frontier.size != size:
        raise LogError("log.corrupt", f"entry {frontier.size} is missing")
    return frontier


def _require_sound(new: store.NewLeaf, index: int) -> None:
    if new.leaf_index != index:
        raise LogError("log.corrupt", f"entry {index} is missing")
    if new.leaf_hash != leaf_hash(new.leaf) or new.message_id != message_id_in(new.leaf):
        raise LogError("log.corrupt", f"entry {index} was changed")


def _require_root(frontier: Frontier, roots: Mapping[int, bytes]) -> None:
    signed = roots.get(frontier.size)
    if signed is not None and signed != frontier.root():
        raise LogError("log.corrupt", f"the tree of {frontier.size} entries is not the one that was signed")


def _require_intact(logged: LoggedEntry) -> None:
    if leaf_hash(logged.entry.to_bytes()) != logged.position.leaf_hash:
        raise LogError("log.corrupt", f"entry {logged.position.index} was changed")
