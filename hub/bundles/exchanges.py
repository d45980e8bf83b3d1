# SPDX-License-Identifier: Apache-2.0
"""The summary's part about exchanges: each in detail where they are few, a table where they are many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.bundles.page import Cell, Facts, Paragraph, Section, Table, Words
from hub.bundles.telling import STATES, Names, event_words, named, reason_of, when
from hub.envelope import is_encrypted
from hub.exchange import ExchangeState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.bundles.facts import ShownMessage, SummaryFacts
    from hub.envelope import Purpose
    from hub.exchange import ExchangeRecord

_Row = tuple[Words, tuple[Cell, ...]]


def tell_exchange(shown: ShownMessage, names: Names) -> Section:
    """Tell one exchange in detail."""
    record, request = shown.record, shown.headers.get("request")
    rows: list[_Row] = [
        (Words("请求方", "Asked by"), _party(record.sender, names)),
        (Words("应答方", "Answered by"), _party(record.recipient, names)),
        (Words("所请求的服务", "Service asked"), _party(record.service, names)),
    ]
    if request and request.purpose:
        rows += _purpose(request.purpose)
    rows.append((Words("结果", "Outcome"), _outcome(record)))
    answer = shown.headers.get("answer")
    if answer:
        files = tuple(f"{entry.name}（{entry.bytes} bytes）" for entry in answer.payload)
        rows.append((Words("应答所含文件", "Files in the answer"), files or ("—",)))
        if any(map(is_encrypted, answer.payload)):
            rows.append((Words("已加密，仅可由其阅读", "Encrypted for"), _party(answer.recipient, names)))
    rows.append((Words("报文编号", "Message id"), (record.message_id,)))
    return Section(
        Words("谁向谁请求了什么", "Who asked whom for what"), (Facts(tuple(rows)), _timeline(shown))
    )


def _purpose(purpose: Purpose) -> list[_Row]:
    return [
        (Words("案件", "Case"), (purpose.case,)),
        (Words("用途（事项编码）", "Purpose (item code)"), (purpose.item,)),
        (Words("法律依据", "Legal basis"), (purpose.legal_basis,)),
        (Words("经办人", "Official"), (f"{purpose.official}（{purpose.post}）",)),
    ]


def _timeline(shown: ShownMessage) -> Table:
    rows: list[tuple[Cell, ...]] = []
    request, answer, receipt = (shown.headers.get(part) for part in ("request", "answer", "receipt"))
    if request:
        rows.append(
            (when(request.sent_at), Words("请求方签署请求", "The asking department signed the request"), "—")
        )
    rows.append((when(shown.record.received_at), Words("平台收到请求", "The hub received it"), "—"))
    rows += [
        (when(each.entry.at), event_words(each.entry), str(each.position.index)) for each in shown.entries
    ]
    if answer:
        who = Words("签署应答", "The answer was signed")
        rows.append((when(answer.sent_at), who, "—"))
    if receipt:
        rows.append((when(receipt.sent_at), Words("平台签署回执", "The hub signed the receipt"), "—"))
    # Two steps of one instant stay in the order in which they must have happened.
    ordered = sorted(enumerate(rows), key=lambda row: (str(row[1][0]), row[0]))
    return Table(
        heads=(
            Words("时间", "When"),
            Words("经过", "What happened"),
            Words("日志条目", "Log entry"),
        ),
        widths=(3, 7, 2),
        rows=tuple(row for _, row in ordered),
    )


def tell_exchanges(facts: SummaryFacts, names: Names) -> Section:
    """Tell many exchanges: how many, and the first of them."""
    total = sum(facts.states.values())
    counts: list[_Row] = [
        (STATES[state], (str(facts.states[state]),)) for state in ExchangeState if facts.states[state]
    ]
    if facts.first_at and facts.last_at:
        span = f"{when(facts.first_at)} – {when(facts.last_at)}"
        counts.append((Words("首末报文收到时间", "First and last arrival"), (span,)))
    purposes = {each.headers["request"].purpose for each in facts.shown if "request" in each.headers}
    if len(purposes) == 1 and len(facts.shown) == total:
        counts += [row for purpose in purposes if purpose for row in _purpose(purpose)]
    blocks: list[Facts | Table | Paragraph] = [Facts(tuple(counts))]
    if total > len(facts.shown):
        blocks.append(
            Paragraph(
                Words(
                    f"下表为最先收到的{len(facts.shown)}次；全部{total}次见bundle.json。",
                    f"The first {len(facts.shown)} to arrive; all {total} are listed in bundle.json.",
                )
            )
        )
    if facts.shown:
        blocks.append(_list(facts.shown, names))
    return Section(Words("交换一览", "The exchanges"), tuple(blocks))


def _list(shown: Sequence[ShownMessage], names: Names) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for each in shown:
        record, request = each.record, each.headers.get("request")
        purpose = request.purpose if request else None
        rows.append(
            (
                when(record.received_at),
                named(record.sender, names),
                named(record.service, names),
                purpose.case if purpose else "—",
                STATES[record.state],
                ", ".join(str(logged.position.index) for logged in each.entries) or "—",
            )
        )
    heads = (
        Words("收到时间", "Received"),
        Words("请求方", "Asked by"),
        Words("服务", "Service"),
        Words("案件", "Case"),
        Words("结果", "Outcome"),
        Words("日志条目", "Log entries"),
    )
    return Table(heads, (3, 4, 4, 3, 2, 2), tuple(rows))


def _party(identifier: str, names: Names) -> tuple[Cell, ...]:
    name = names.of(identifier)
    return (identifier,) if name is None else (name, identifier)


def _outcome(record: ExchangeRecord) -> tuple[Cell, ...]:
    state = STATES[record.state]
    if record.state is not ExchangeState.REFUSED or record.code is None:
        return (state,)
    return (state, reason_of(record.code), record.code)
