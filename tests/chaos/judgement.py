# SPDX-License-Identifier: Apache-2.0
"""What has to hold after a run: every message one final state, one effect, one place in a log that holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hub.envelope import ReceiptStatus, open_envelope, read_receipt, refer_to, verify_signature
from hub.exchange import ExchangeState
from hub.tlog import EntryEvent

if TYPE_CHECKING:
    from hub.app import Hub
    from hub.envelope import Envelope
    from hub.exchange import ExchangeRecord
    from hub.identifiers import MessageId
    from tests.chaos.legacy import Ledger
    from tests.chaos.load import Load

FINAL = {ExchangeState.PROCESSED, ExchangeState.REFUSED}
_LAST_WORDS = {EntryEvent.ANSWERED, EntryEvent.FAILED}


@dataclass
class Judgement:
    """What was found.

    Attributes:
        states: how many messages ended in which state.
        calls: how often the legacy system was asked in all.
        log_size: entries of the log.
        faults: everything that is not as it has to be, in words; empty when all is well.
    """

    states: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    log_size: int = 0
    faults: list[str] = field(default_factory=list)


def unfinished(hub: Hub, load: Load) -> list[MessageId]:
    """Return the acknowledged messages that have no final state yet."""
    records = {each: hub.archive.find(each) for each in load.accepted}
    return [each for each, record in records.items() if record is None or record.state not in FINAL]


def judge(hub: Hub, load: Load, legacy: Ledger) -> Judgement:
    """Hold the hub, its log, and the legacy system against what callers were promised."""
    found = Judgement()
    effects, calls = legacy.effects(), legacy.calls()
    found.calls = sum(calls.values())
    for message_id, request in load.sent.items():
        record = hub.archive.find(message_id)
        if record is None:
            found.faults.append(f"{message_id}: acknowledged, and not there")
            continue
        found.states[record.state.value] += 1
        found.faults += [f"{message_id}: {each}" for each in _faults_of(hub, record, request, effects)]
    strangers = set(effects) - set(load.sent)
    found.faults += [f"{each}: took effect, and nobody sent it" for each in sorted(strangers)]
    found.log_size = hub.log.check()
    report = hub.audit.run()
    found.faults += [f"audit: {each.kind}: {each.detail}" for each in report.findings]
    if not report.holds:
        found.faults.append("audit: the log does not hold")
    return found


def _faults_of(hub: Hub, record: ExchangeRecord, request: Envelope, effects: Counter[str]) -> list[str]:
    faults = []
    if record.state not in FINAL:
        return [f"is still {record.state}"]
    if record.request_sha256 != request.container_sha256:
        faults.append("is kept as another container than the one that was sent")
    wanted = 1 if record.state is ExchangeState.PROCESSED else 0
    if effects[record.message_id] != wanted:
        faults.append(f"is {record.state}, and took effect {effects[record.message_id]} times")
    faults += _faults_of_receipt(hub, record, request)
    events = Counter(each.entry.event for each in hub.log.entries_of(record.message_id))
    if record.answer_sha256 is not None:
        answer = open_envelope(hub.archive.container(record.answer_sha256))
        events += Counter(each.entry.event for each in hub.log.entries_of(answer.header.id))
    if events[EntryEvent.ACCEPTED] != 1:
        faults.append(f"was accepted {events[EntryEvent.ACCEPTED]} times in the log")
    last = sum(events[each] for each in _LAST_WORDS)
    if last != 1:
        faults.append(f"has {last} final entries in the log")
    return faults


def _faults_of_receipt(hub: Hub, record: ExchangeRecord, request: Envelope) -> list[str]:
    if record.receipt_sha256 is None:
        return ["has no final receipt"]
    envelope = open_envelope(hub.archive.container(record.receipt_sha256))
    verify_signature(envelope)
    receipt = read_receipt(envelope)
    is_right = (
        receipt.message == refer_to(request)
        and receipt.status is ReceiptStatus(record.state.value)
        and receipt.code == record.code
    )
    return [] if is_right else [f"its final receipt says {receipt.status}, {receipt.code}"]
