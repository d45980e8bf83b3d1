# SPDX-License-Identifier: Apache-2.0
"""The summary's part about evidence: what is proven by what, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.bundles.missing import WORDS, Why
from hub.bundles.model import CHECKPOINT_NAME, CHECKPOINT_RECORD_NAME, folder_of
from hub.bundles.page import Cell, Section, Table, Words
from hub.bundles.telling import about_when
from hub.errors import Language

if TYPE_CHECKING:
    from hub.bundles.facts import SummaryFacts

_MOST_NAMED = 4


def tell_proofs(facts: SummaryFacts) -> Section:
    """Tell what is proven by what."""
    lacking = {each.why for each in facts.missing}
    size = str(facts.checkpoint_size)
    witnesses = ", ".join(facts.witnesses)
    rows: list[tuple[Cell, ...]] = [
        (
            Words("谁、为何事、请求了什么", "Who asked, for what purpose, what"),
            Words(
                "请求方以当日有效、未吊销的证书签名",
                "The asking department's signature; its certificate was approved and not revoked that day",
            ),
            "request.asice",
        ),
        (
            Words("应答内容出自应答方，且针对该请求", "What was answered, by whom, to this very request"),
            Words("应答方签名，并记有请求的摘要", "The answerer's signature, over the request's digest"),
            "answer.asice",
        ),
        (
            Words("平台核验并登记了双方", "The hub checked and logged both"),
            Words("平台签署的回执", "The hub's signed receipt"),
            "receipt.asice",
        ),
        (
            Words("登记内容此后未被改动", "What was logged was not changed since"),
            Words(
                f"日志{facts.log_origin}前{size}条检查点及包含证明",
                f"Proofs of inclusion in its first {size} entries",
            ),
            f"entry-*.tlog-proof, {CHECKPOINT_NAME}",
        ),
        (
            Words("平台向各方出示的是同一日志", "Everybody is shown the same log"),
            _witnessed(lacking, witnesses),
            "entry-*.tlog-proof",
        ),
        (
            Words("上述内容在某一时间之前已存在", "All this existed before a certain time"),
            _stamped(facts, lacking),
            f"evidencerecord001.ers, {CHECKPOINT_RECORD_NAME}",
        ),
    ]
    heads = (Words("证明什么", "What is proven"), Words("凭什么", "By what"), Words("文件", "Files"))
    return Section(Words("什么由什么证明", "What is proven by what"), (Table(heads, (4, 6, 4), tuple(rows)),))


def _witnessed(lacking: set[Why], witnesses: str) -> Words:
    if Why.NOT_WITNESSED in lacking:
        return Words("见证方会签尚不足", "Not enough witnesses have cosigned yet")
    if not witnesses:
        return Words(
            "平台未设见证方；请与自行保存的检查点比对",
            "The hub names no witnesses; compare with a checkpoint you kept yourself",
        )
    return Words(f"见证方会签：{witnesses}", f"Cosigned by: {witnesses}")


def _stamped(facts: SummaryFacts, lacking: set[Why]) -> Words:
    if facts.stamped_at is None:
        return Words("时间戳尚未取得", "No time stamp has been had yet")
    at = about_when(facts.stamped_at)
    some = {Why.STAMP_WAITING, Why.RECORD_UNKNOWN} & lacking
    return Words(
        f"独立时间戳机构的时间戳，检查点不晚于{at}{'；部分容器尚无' if some else ''}",
        f"An independent authority's time stamps; the checkpoint's is of {at}"
        f"{', some containers have none yet' if some else ''}",
    )


def tell_missing(facts: SummaryFacts) -> Section:
    """Tell what is not there, and why; what has the same reason in one line."""
    by_reason: dict[Why, list[str]] = {}
    for each in facts.missing:
        by_reason.setdefault(each.why, []).append(_short(each.what, facts))
    rows = tuple(
        (_some(what), Words(WORDS[why][Language.ZH], WORDS[why][Language.EN]))
        for why, what in by_reason.items()
    )
    heads = (Words("缺少什么", "What"), Words("原因", "Why"))
    return Section(Words("缺少的证据", "What is missing"), (Table(heads, (5, 6), rows),))


def _some(what: list[str]) -> str:
    more = len(what) - _MOST_NAMED
    return ", ".join(what[:_MOST_NAMED]) + (f" … (+{more}, bundle.json)" if more > 0 else "")


def _short(what: str, facts: SummaryFacts) -> str:
    """Leave out the folder where there is only one."""
    if len(facts.shown) == 1:
        what = what.removeprefix(f"{folder_of(facts.shown[0].record.message_id)}/")
    return what.replace("META-INF/", "")
