# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hub.errors import LogError
from hub.identifiers import MessageId, ServiceId, SubsystemId
from hub.tlog import Entry, EntryEvent
from hub.tlog.entries import message_id_in
from tests.hub.messagelog.conftest import NOW

FULL = Entry(
    event=EntryEvent.REFUSED,
    at=NOW,
    container_sha256="0f" * 32,
    manifest_sha256="1e" * 32,
    message_id=MessageId("0195504e-8c00-7000-8000-000000000001"),
    sender=SubsystemId("13510108MB1A00003J/fund"),
    recipient=SubsystemId("11510108MB1A00002M/employment"),
    service=ServiceId("11510108MB1A00002M/employment/proof"),
    code="access.service_not_granted",
)


def test_an_entry_is_canonical_json_with_every_field() -> None:
    assert FULL.to_bytes() == (
        b'{"at":"2026-03-01T08:00:00.000Z","code":"access.service_not_granted","container_sha256":"'
        + b"0f" * 32
        + b'","event":"refused","manifest_sha256":"'
        + b"1e" * 32
        + b'","message_id":"0195504e-8c00-7000-8000-000000000001"'
        b',"recipient":"11510108MB1A00002M/employment","sender":"13510108MB1A00003J/fund"'
        b',"service":"11510108MB1A00002M/employment/proof"}'
    )


def test_an_entry_about_an_unreadable_container_says_so_with_nulls() -> None:
    entry = Entry(event=EntryEvent.REFUSED, at=NOW, container_sha256="0f" * 32, code="envelope.not_a_zip")
    assert b'"message_id":null' in entry.to_bytes()
    assert message_id_in(entry.to_bytes()) is None


@pytest.mark.parametrize("event", list(EntryEvent))
def test_an_entry_reads_back_as_it_was_written(event: EntryEvent) -> None:
    entry = Entry(event=event, at=NOW, container_sha256="0f" * 32)
    assert Entry.from_bytes(entry.to_bytes()) == entry
    assert Entry.from_bytes(FULL.to_bytes()) == FULL
    assert message_id_in(FULL.to_bytes()) == FULL.message_id


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("container_sha256", "0F" * 32),
        ("container_sha256", "张三"),
        ("manifest_sha256", "0f"),
        ("message_id", "0195504E-8C00-7000-8000-000000000001"),
        ("sender", "张三/fund"),
        ("recipient", "13510108MB1A00003K/fund"),
        ("service", "13510108MB1A00003J/fund"),
        ("code", "access.service_not_granted: 张三"),
        ("at", datetime(2026, 3, 1, 8)),  # noqa: DTZ001 - what is refused
        ("at", datetime(2026, 3, 1, 8, 0, 0, 1, tzinfo=UTC)),
    ],
)
def test_nothing_but_ids_and_digests_fits_into_an_entry(field: str, value: object) -> None:
    fields: dict[str, Any] = {"event": EntryEvent.ACCEPTED, "at": NOW, "container_sha256": "0f" * 32}
    with pytest.raises(ValueError, match=field):
        Entry(**(fields | {field: value}))


@pytest.mark.parametrize(
    "leaf",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        FULL.to_bytes().replace(b'"refused"', b'"deleted"'),
        FULL.to_bytes().replace(b",", b", ", 1),
        FULL.to_bytes().replace(b"{", b'{"name":"x",'),
    ],
)
def test_bytes_this_log_never_wrote_are_refused(leaf: bytes) -> None:
    with pytest.raises(LogError, match=r"log\.corrupt"):
        Entry.from_bytes(leaf)


def test_a_leaf_that_names_no_message_id_field_is_refused() -> None:
    with pytest.raises(LogError, match=r"log\.corrupt"):
        message_id_in(b"{}")
