# SPDX-License-Identifier: Apache-2.0
"""Drafts survive, can be taken back step by step, and are not overwritten by who saw an older one."""

from __future__ import annotations

import stat
import threading
from typing import TYPE_CHECKING

import pytest

from adapters.wizard.drafts import Draft, read_members, write_members
from adapters.wizard.draftstore import DraftStore
from adapters.wizard.starting import next_step
from hub.clock import SystemClock
from hub.errors import AdapterError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> DraftStore:
    return DraftStore(tmp_path / "gateway" / "drafts.sqlite", SystemClock())


def test_a_draft_is_there_after_a_restart_as_it_was(store: DraftStore, tmp_path: Path) -> None:
    described = {"kind": "soap", "request": {"object": {"z": "request.a", "a": "request.z"}}}
    draft = Draft(kind="soap", description=described, sample_answer='{"姓名": "王芳"}')
    kept = store.begin(draft, "周敏")
    again = DraftStore(tmp_path / "gateway" / "drafts.sqlite", SystemClock()).find(kept.id)
    assert again == kept
    assert again.draft == draft
    assert list(again.draft.description["request"]["object"]) == ["z", "a"], "the order is kept"


def test_every_step_can_be_taken_back_up_to_the_first(store: DraftStore) -> None:
    kept = store.begin(Draft(kind="rest"), "周敏")
    for number in range(3):
        kept = store.change(kept, Draft(kind="rest", operation=str(number)), what="operation", by="陈立")
    operations = []
    for _ in range(5):
        kept = store.undo(kept)
        operations.append(kept.draft.operation)
    assert operations == ["1", "0", "", "", ""]
    assert (kept.undoes, kept.by) == ("", "周敏")


def test_a_step_that_changes_nothing_is_none(store: DraftStore) -> None:
    kept = store.begin(Draft(kind="rest"), "周敏")
    assert store.change(kept, Draft(kind="rest"), what="service", by="周敏") == kept


def test_who_saw_an_older_draft_overwrites_nothing(store: DraftStore) -> None:
    seen = store.begin(Draft(kind="rest"), "周敏")
    store.change(seen, Draft(kind="soap"), what="source", by="陈立")
    with pytest.raises(AdapterError) as refused:
        store.change(seen, Draft(kind="sftp"), what="source", by="周敏")
    assert refused.value.code == "adapter.draft_changed"
    with pytest.raises(AdapterError) as refused:
        store.undo(seen)
    assert refused.value.code == "adapter.draft_changed"
    assert store.find(seen.id).draft.kind == "soap"


def test_of_two_at_the_same_time_one_is_refused(store: DraftStore) -> None:
    seen = store.begin(Draft(), "周敏")
    codes: list[str] = []
    barrier = threading.Barrier(4)

    def change(number: int) -> None:
        barrier.wait()
        try:
            store.change(seen, Draft(kind=str(number)), what="source", by="周敏")
            codes.append("kept")
        except AdapterError as error:
            codes.append(error.code)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [*["adapter.draft_changed"] * 3, "kept"]


def test_a_draft_that_is_thrown_away_is_gone_with_its_samples(store: DraftStore, tmp_path: Path) -> None:
    kept = store.begin(Draft(sample_answer="a person's secret"), "周敏")
    kept = store.change(kept, Draft(sample_answer="another person's secret"), what="sample", by="周敏")
    store.drop(kept.id)
    with pytest.raises(AdapterError) as refused:
        store.find(kept.id)
    assert refused.value.code == "adapter.draft_unknown"
    for file in (tmp_path / "gateway").iterdir():
        assert b"secret" not in file.read_bytes()


def test_only_the_gateways_account_reads_drafts(store: DraftStore, tmp_path: Path) -> None:
    store.begin(Draft(), "周敏")
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "gateway").iterdir()} == {0o600}


def test_there_is_an_end_to_drafts(store: DraftStore) -> None:
    for _ in range(200):
        store.begin(Draft(), "周敏")
    with pytest.raises(AdapterError) as refused:
        store.begin(Draft(), "周敏")
    assert refused.value.code == "adapter.draft_limit"


def test_a_test_counts_for_the_description_that_was_tested_only() -> None:
    draft = Draft(description={"service": "a"}).checked(probe={"is_reachable": True})
    assert draft.tested.probe == {"is_reachable": True}
    changed = draft.described(contract="b")
    assert changed.tested.probe is None
    assert changed.checked(trial={"cases": []}).tested.probe is None
    assert changed.described(contract=None).tested.probe == {"is_reachable": True}


@pytest.mark.parametrize(
    ("draft", "step"),
    [
        (Draft(), "source"),
        (Draft(kind="soap", source="sources/x/a.wsdl"), "operation"),
        (Draft(kind="rest", description={"connection": {"url": "x"}}), "service"),
        (Draft(kind="rest", description={"service": "s", "contract": "c"}), "question"),
        (
            Draft(kind="rest", description={"service": "s", "contract": "c", "request": {"object": {}}}),
            "sample",
        ),
    ],
)
def test_a_draft_goes_on_where_it_was_left(draft: Draft, step: str) -> None:
    assert next_step(draft) == step


@pytest.mark.parametrize("text", ["- a", "7", "1: a", "a: [", "a: 1\na: 2", "&a [*a]"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(AdapterError) as refused:
        read_members(text, at="connection")
    assert refused.value.code == "adapter.configuration_invalid"


def test_members_are_written_as_they_are_read() -> None:
    members = {"url": "http://127.0.0.1", "auth": {"kind": "bearer", "secret": "env:TOKEN"}, "列表": ["一"]}
    assert read_members(write_members(members), at="x") == members
    assert read_members("", at="x") == {}
    assert not write_members({})
