# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime, timedelta

from adapters.acceptance import RECEIPT_LIFETIME, UsedReceipts
from hub.identifiers import new_message_id

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def test_a_fresh_receipt_opens_once() -> None:
    used, receipt = UsedReceipts(), new_message_id(NOW)
    assert used.use(receipt, issued_at=NOW, now=NOW)
    assert not used.use(receipt, issued_at=NOW, now=NOW)


def test_another_receipt_opens_too() -> None:
    used = UsedReceipts()
    assert used.use(new_message_id(NOW), issued_at=NOW, now=NOW)
    assert used.use(new_message_id(NOW), issued_at=NOW, now=NOW)


def test_a_receipt_too_far_from_the_gateway_s_time_opens_nothing() -> None:
    used = UsedReceipts()
    too_far = RECEIPT_LIFETIME + timedelta(milliseconds=1)
    for issued_at in (NOW - too_far, NOW + too_far):
        assert not used.use(new_message_id(NOW), issued_at=issued_at, now=NOW)
    for issued_at in (NOW - RECEIPT_LIFETIME, NOW + RECEIPT_LIFETIME):
        assert used.use(new_message_id(NOW), issued_at=issued_at, now=NOW)


def test_a_used_receipt_stays_used_as_long_as_it_is_fresh() -> None:
    used, receipt = UsedReceipts(), new_message_id(NOW)
    assert used.use(receipt, issued_at=NOW + RECEIPT_LIFETIME, now=NOW)
    for minutes in range(11):
        later = NOW + timedelta(minutes=minutes)
        used.use(new_message_id(later), issued_at=later, now=later)
        assert not used.use(receipt, issued_at=NOW + RECEIPT_LIFETIME, now=later)


def test_old_receipts_are_not_remembered_for_ever() -> None:
    used = UsedReceipts()
    for minute in range(100):
        now = NOW + timedelta(minutes=minute)
        used.use(new_message_id(now), issued_at=now, now=now)
    assert len(used._used) <= 7  # noqa: SLF001 - there is no other way to see what it holds
