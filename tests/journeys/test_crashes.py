# SPDX-License-Identifier: Apache-2.0
"""Hubs killed with -9 at any moment, under load: what was acknowledged is there, once, in one tree.

A killed process loses what it held in memory and nothing it had written, for the system still writes that
out. What a power cut does to a disk, torn pages and lost flushes, cannot be shown here: it is in the hands of
SQLite's and PostgreSQL's full flushes, which tests/hub/test_database.py finds switched on.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from hub.envelope import ReceiptStatus, open_envelope, read_receipt, verify_signature
from hub.exchange import ExchangeState
from hub.messagelog.store import read_leaves
from hub.tlog import (
    Checkpoint,
    Entry,
    EntryEvent,
    Span,
    leaf_hash,
    open_checkpoint,
    verify_consistency,
)
from tests.journeys.crashing import Run, crashing_hubs

if TYPE_CHECKING:
    from pathlib import Path

    from hub.identifiers import MessageId
    from tests.pki import ServedPki

CALLERS = 16


def test_ten_thousand_messages_survive_a_hub_that_is_killed_again_and_again(
    pki: ServedPki, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'data' / 'hub.sqlite'}"
    with crashing_hubs(tmp_path, pki, url, processes=1, messages_a_life=400) as run:
        run.under_load(10_000, CALLERS, random.Random(9))  # noqa: S311 - spreads kills, protects nothing
        require_everything(run, pki, 10_000)


def test_a_thousand_messages_survive_two_hubs_on_postgresql_killed_in_turn(
    pki: ServedPki, tmp_path: Path, postgresql_url: str
) -> None:
    with crashing_hubs(tmp_path, pki, postgresql_url, processes=2, messages_a_life=80) as run:
        run.under_load(1_000, CALLERS, random.Random(10))  # noqa: S311 - likewise
        require_everything(run, pki, 1_000)


def require_everything(run: Run, pki: ServedPki, messages: int) -> None:
    """Hold the log, the exchanges and what callers and watchers have in hand against each other."""
    assert len(run.receipts) == len(run.sent) == messages
    assert len(run.kills) >= 3, run.kills
    size = run.hub.log.check()
    with run.hub.engine.connect() as connection:
        leaves = [new.leaf for new in read_leaves(connection, Span(0, size))]
    entries = [Entry.from_bytes(leaf) for leaf in leaves]
    require_one_answer_each(run, pki, leaves, entries)
    require_no_second_try_without_a_kill(run, entries)
    require_one_tree(run)
    print(f"{len(run.kills)} kills, {size} entries, {run.refusals}, {len(run.notes)} checkpoints")  # noqa: T201


def require_one_answer_each(run: Run, pki: ServedPki, leaves: list[bytes], entries: list[Entry]) -> None:
    [hub_certificate, *_issuers] = pki.certificates("hub-sign")
    named = set()
    for message_id, envelope in run.receipts.items():
        assert verify_signature(envelope).chain[0] == hub_certificate
        receipt, request = read_receipt(envelope), run.sent[message_id]
        assert (receipt.status, receipt.message.id) == (ReceiptStatus.PROCESSED, message_id)
        assert receipt.message.container_sha256 == request.container_sha256
        assert receipt.answer is not None
        assert receipt.log is not None
        entry = entries[receipt.log.index]
        assert receipt.log.leaf_sha256 == leaf_hash(leaves[receipt.log.index]).hex()
        assert (entry.event, entry.message_id) == (EntryEvent.ANSWERED, receipt.answer.id)
        assert entry.container_sha256 == receipt.answer.container_sha256
        named.add(receipt.log.index)
    # Every receipt names a place of its own, and nothing else was ever logged as answered.
    assert len(named) == len(run.receipts)
    assert {index for index, entry in enumerate(entries) if entry.event is EntryEvent.ANSWERED} == named


def require_no_second_try_without_a_kill(run: Run, entries: list[Entry]) -> None:
    tries: defaultdict[MessageId | None, list[int]] = defaultdict(list)
    for index, entry in enumerate(entries):
        if entry.event is EntryEvent.ACCEPTED:
            tries[entry.message_id].append(index)
    assert tries.keys() == run.sent.keys()
    for indexes in tries.values():
        for first, second in pairwise(indexes):
            assert any(first < size <= second for size in run.kills), (first, second, run.kills)
    # Each acceptance was delivered at most once, and those that were not are of hubs that died at once.
    places = [read_receipt(open_envelope(raw)).log for raw in run.departments.receipts]
    delivered = Counter(place.index for place in places if place is not None)
    assert delivered.total() == len(places)
    assert set(delivered.values()) == {1}
    assert delivered.keys() <= {index for indexes in tries.values() for index in indexes}
    for message_id in list(run.sent)[::20]:
        record = run.hub.archive.exchange(message_id)
        assert (record.state, record.attempts) == (ExchangeState.PROCESSED, len(tries[message_id]))
        assert record.receipt_sha256 == run.receipts[message_id].container_sha256
        for digest in (record.request_sha256, record.answer_sha256, record.receipt_sha256):
            assert digest is not None
            assert open_envelope(run.hub.archive.container(digest)).container_sha256 == digest


def require_one_tree(run: Run) -> None:
    log = run.hub.log
    published: dict[int, Checkpoint] = {}
    for note in run.notes:
        signed = open_checkpoint(note, [log.verifier], origin=log.origin).checkpoint
        assert published.setdefault(signed.size, signed) == signed
    assert len(published) >= 5
    last = log.checkpoint().checkpoint
    for old in published.values():
        proof = log.consistency_proof(old.size, last.size)
        verify_consistency(old.size, last.size, old.root, last.root, proof)
