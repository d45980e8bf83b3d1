# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hub.bundles import Missing, Selection, Why
from hub.bundles.facts import MOST_SHOWN, SummaryFacts
from hub.bundles.html import write_html
from hub.bundles.model import GatheredMessage
from hub.bundles.page import Words
from hub.bundles.pdf import write_pdf
from hub.bundles.readme import write_readme
from hub.bundles.summary import compose
from hub.envelope import Header, Kind, Purpose
from hub.exchange import ExchangeRecord, ExchangeState
from hub.identifiers import ContractId, MessageId, ServiceId, SubsystemId, new_message_id
from hub.tlog import Entry, EntryEvent, LoggedEntry, LogPosition

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 2, 9, 15, 4, 120_000, tzinfo=UTC)
FUND, EMPLOYMENT = SubsystemId("13510108MB1A00003J/fund"), SubsystemId("11510108MB1A00002M/employment")
ECHO = ServiceId(f"{EMPLOYMENT}/echo")
HOSTILE = "<script>alert(1)</script>&\"'"


class Known:
    """A registry in which everything has a name."""

    def of(self, identifier: str) -> Words | None:
        return None if identifier == FUND else Words("就业登记系统", "Employment file")


def a_message(
    *, state: ExchangeState = ExchangeState.PROCESSED, case: str = "CBJ-2026-000017", code: str | None = None
) -> GatheredMessage:
    message_id = new_message_id(NOW)
    record = ExchangeRecord(
        message_id=message_id,
        conversation=message_id,
        sender=FUND,
        recipient=EMPLOYMENT,
        service=ECHO,
        state=state,
        code=code,
        received_at=NOW,
        concluded_at=NOW,
        attempts=1,
        request_sha256="a" * 64,
        answer_sha256="b" * 64,
        receipt_sha256="c" * 64,
    )
    purpose = Purpose(
        item="000788002000", case=case, legal_basis="财税〔2015〕72号", official="李伟", post="审核"
    )
    header = Header(
        id=message_id,
        kind=Kind.REQUEST,
        sender=FUND,
        recipient=EMPLOYMENT,
        sent_at=NOW,
        expires_at=NOW + timedelta(minutes=5),
        conversation=message_id,
        service=ECHO,
        contract=ContractId("echo/v1"),
        purpose=purpose,
    )
    entry = Entry(event=EntryEvent.ACCEPTED, at=NOW, container_sha256="a" * 64, message_id=message_id)
    return GatheredMessage(
        record=record,
        pieces=(),
        containers={},
        headers={"request": header},
        entries=(LoggedEntry(LogPosition(17, b"\0" * 32), entry),),
        signers=(),
        missing=(),
    )


def facts(*messages: GatheredMessage, missing: tuple[Missing, ...] = ()) -> SummaryFacts:
    made = SummaryFacts(
        selection=Selection(conversation=MessageId("0195f5b2-7c00-7000-8000-000000000001")),
        made_at=NOW,
        hub="11510108MB1A00001J/hub",
        log_origin="log.example/2026",
        missing=missing,
    )
    for message in messages:
        made.take(message)
    return made


def page_of(made: SummaryFacts) -> str:
    return write_html(compose(made, Known())).decode()


def test_the_page_says_who_asked_whom_for_what_in_both_languages() -> None:
    page = page_of(facts(a_message()))
    for said in (FUND, "就业登记系统", "Employment file", "CBJ-2026-000017", "李伟", "已应答", "answered"):
        assert said in page
    assert "2026-03-02 17:15:04.120" in page, "China Standard Time"


def test_what_a_sender_wrote_stays_text() -> None:
    page = page_of(facts(a_message(case=HOSTILE)))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_loads_nothing_and_its_style_is_named_by_digest() -> None:
    page = page_of(facts(a_message()))
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src &#x27;none&#x27;; style-src &#x27;sha256-{digest}&#x27;" in page
    assert not re.search(r"(src|href|style)=", page.replace("style-src=", ""))


def test_a_refusal_is_told_with_its_reason() -> None:
    page = page_of(facts(a_message(state=ExchangeState.REFUSED, code="exchange.undeliverable")))
    assert "无法连接应答部门" in page
    assert "exchange.undeliverable" in page
    # A code of a version to come says itself.
    assert "exchange.of_tomorrow" in page_of(
        facts(a_message(state=ExchangeState.REFUSED, code="exchange.of_tomorrow"))
    )


def test_of_many_exchanges_the_first_are_shown_and_all_are_counted() -> None:
    many = [a_message() for _ in range(MOST_SHOWN + 5)]
    many.append(a_message(state=ExchangeState.REFUSED, code="exchange.undeliverable"))
    page = page_of(facts(*many))
    assert f"This bundle holds {MOST_SHOWN + 6} exchanges" in page
    assert f"The first {MOST_SHOWN} to arrive" in page
    assert page.count("<td><span class='plain'>17</span></td>") == MOST_SHOWN


def test_what_is_missing_stands_at_the_top_and_is_told_by_reason() -> None:
    whole = page_of(facts(a_message()))
    assert 'class="state complete"' in whole
    assert "What is missing" not in whole
    missing = tuple(Missing(f"messages/x/{part}.asice", Why.ERASED) for part in "abcdef")
    page = page_of(facts(a_message(), missing=missing))
    assert 'class="state incomplete"' in page
    assert "6 pieces of evidence were missing" in page
    assert "(+2, bundle.json)" in page
    one = page_of(facts(a_message(), missing=missing[:1]))
    assert "1 piece of evidence was missing" in one


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext is not installed")
@pytest.mark.parametrize("count", [0, 1, 2, MOST_SHOWN])
def test_the_pdf_says_the_same_and_has_few_pages(tmp_path: Path, count: int) -> None:
    made = facts(*[a_message(case=HOSTILE) for _ in range(count)])
    made.missing = (Missing("log/checkpoint.ers", Why.STAMP_WAITING),)
    page = compose(made, Known())
    (tmp_path / "summary.pdf").write_bytes(write_pdf(page, NOW))
    shown = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "summary.pdf", "-"], check=True, capture_output=True, text=True
    ).stdout
    pages = shown.count("\f")
    assert pages == 1 if count <= 2 else pages <= 2
    flat = re.sub(r"[\s\u200b]", "", shown)
    for section in page.sections:
        assert re.sub(r"\s", "", section.title.zh) in flat
        assert re.sub(r"\s", "", section.title.en) in flat
    if count == 1:
        assert re.sub(r"\s", "", HOSTILE).replace("'", "") in flat.replace("'", "").replace("’", "")


def test_the_readme_tells_how_many_pieces_are_missing() -> None:
    assert "missing pieces: 无 none" in write_readme(facts(a_message())).decode()
    lacking = facts(a_message(), missing=(Missing("log/checkpoint.ers", Why.STAMP_WAITING),))
    assert "missing pieces: 1\n" in write_readme(replace(lacking)).decode()
