# SPDX-License-Identifier: Apache-2.0
"""What people read: who asked whom for what, when each step happened, what proves it, and what is missing.

Only what headers and the log hold is shown: no payload.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.bundles.checking import tell_how_to_check
from hub.bundles.claims import tell_missing, tell_proofs
from hub.bundles.exchanges import tell_exchange, tell_exchanges
from hub.bundles.page import Page, Words
from hub.bundles.telling import STATES, about_when, asked_for, count_of, named

if TYPE_CHECKING:
    from hub.bundles.facts import SummaryFacts
    from hub.bundles.missing import Missing
    from hub.bundles.telling import Names

_MOST_DETAILED = 1


def compose(facts: SummaryFacts, names: Names) -> Page:
    """Compose the page."""
    total = sum(facts.states.values())
    detailed = facts.shown if total <= _MOST_DETAILED else ()
    sections = [
        *(tell_exchange(each, names) for each in detailed),
        *([] if detailed else [tell_exchanges(facts, names)]),
        tell_proofs(facts),
        *([tell_missing(facts)] if facts.missing else []),
        tell_how_to_check(facts),
    ]
    return Page(
        title=Words("电子证据包摘要", "Summary of an evidence bundle"),
        lead=_lead(facts, names),
        state=_state(facts.missing),
        is_complete=not facts.missing,
        sections=tuple(sections),
        foot=Words(
            f"本页由数据交换平台{facts.hub}于{about_when(facts.made_at)}按包内数据自动生成，未经签名，仅供阅读；"
            "一切以对证据包的核验结果为准。时间均为北京时间（UTC+8）。",
            f"Made by the hub {facts.hub} at {about_when(facts.made_at)} from the data in the bundle. It is "
            "signed by nobody and only explains: what counts is the result of verifying the bundle. "
            "Times are China Standard Time (UTC+8).",
        ),
    )


def _state(missing: tuple[Missing, ...]) -> Words:
    if not missing:
        return Words(
            "导出时各项证据齐备；是否有效须经核验。",
            "Every piece of evidence was there at export; whether it is valid, verification says.",
        )
    count = len(missing)
    return Words(
        f"导出时缺少{count}项证据，见“缺少的证据”；在补齐之前核验不会得出有效结论。",
        f"At export, {count_of(count, 'piece')} of evidence {'were' if count > 1 else 'was'} missing, see "
        '"What is missing"; until they are there, no verification calls the bundle valid.',
    )


def _lead(facts: SummaryFacts, names: Names) -> Words:
    total = sum(facts.states.values())
    asked = asked_for(facts.selection)
    if total != 1 or not facts.shown:
        return Words(
            f"本证据包含{asked.zh}的{total}次数据交换。",
            f"This bundle holds {count_of(total, 'exchange')} of {asked.en}.",
        )
    record = facts.shown[0].record
    sender, service = named(record.sender, names), named(record.service, names)
    state = STATES[record.state]
    return Words(
        f"{about_when(record.received_at)}，“{sender.zh}”向“{service.zh}”提出请求；结果：{state.zh}。",
        f'At {about_when(record.received_at)}, "{sender.en}" asked "{service.en}"; the outcome: {state.en}.',
    )
