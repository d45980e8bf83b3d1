# SPDX-License-Identifier: Apache-2.0
"""Subscriptions: what one may say, whom an event goes to, and that they stand in the registry as all else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from hub.errors import RegistryError
from hub.registry import Registry, Subscription, SubscriptionId
from hub.registry.model import Change, Snapshot
from hub.registry.rules import apply_changes, subscriptions_to
from hub.registry.schemas import load_registry_file, read_entry, write_entry
from tests.hub.registry.conftest import (
    EMPLOYMENT,
    ENTRIES,
    FILE,
    FUND,
    FUND_SYSTEM,
    PROOF,
    PROOF_SERVICE,
    RunningRegistry,
)

if TYPE_CHECKING:
    from pathlib import Path

DAY = date(2026, 6, 1)
SUBSCRIPTION = Subscription(
    id=SubscriptionId("fund-hears-of-proofs"),
    subscriber=FUND,
    service=PROOF,
    topics=("proof.revoked", "proof.corrected.*"),
    gateway_url="http://127.0.0.1:8103/messages",
    valid_from=date(2026, 1, 1),
    valid_until=date(2026, 12, 31),
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "Fund"),
        ("subscriber", "13510108MB1A00003J"),
        ("service", "11510108MB1A00002M/employment"),
        ("topics", ()),
        ("topics", ("a", "a")),
        ("topics", ("Proof",)),
        ("topics", ("proof*",)),
        ("topics", ("proof.*.revoked",)),
        ("topics", (".*",)),
        ("topics", ("",)),
        ("topics", ("p" * 81,)),
        ("gateway_url", "ftp://127.0.0.1/"),
        ("gateway_url", "http://user@127.0.0.1/"),
        ("valid_until", date(2025, 12, 31)),
    ],
)
def test_a_subscription_that_is_not_whole_is_refused_by_its_field(field: str, value: object) -> None:
    with pytest.raises(RegistryError, match=rf"registry\.entry_invalid: {field}"):
        replace(SUBSCRIPTION, **{field: value})  # type: ignore[arg-type]  # the field is a parameter


@pytest.mark.parametrize(
    ("topic", "is_wanted"),
    [
        ("proof.revoked", True),
        ("proof.revoked.twice", False),
        ("proof.corrected.name", True),
        ("proof.corrected.name.again", True),
        ("proof.corrected", False),
        ("proof.correctedtoo", False),
        ("other", False),
    ],
)
def test_a_topic_is_wanted_by_its_name_or_by_what_it_begins_with(topic: str, *, is_wanted: bool) -> None:
    assert SUBSCRIPTION.covers(topic) is is_wanted
    assert replace(SUBSCRIPTION, topics=("*",)).covers(topic)


def test_an_event_goes_to_each_subscriber_once() -> None:
    wide = replace(SUBSCRIPTION, id=SubscriptionId("second"), topics=("*",), gateway_url="http://other/")
    labour = replace(SUBSCRIPTION, id=SubscriptionId("third"), subscriber=EMPLOYMENT)
    over = replace(SUBSCRIPTION, id=SubscriptionId("a-past-one"), valid_until=date(2026, 5, 31))
    snapshot = Snapshot.of([*ENTRIES, SUBSCRIPTION, wide, labour, over], 0)

    assert subscriptions_to(snapshot, PROOF, "proof.revoked", DAY) == (SUBSCRIPTION, labour)
    assert subscriptions_to(snapshot, PROOF, "other", DAY) == (wide,)
    assert subscriptions_to(snapshot, PROOF, "other", date(2027, 1, 1)) == ()


@pytest.mark.parametrize(
    ("missing", "code"),
    [(FUND_SYSTEM, "registry.subsystem_unknown"), (PROOF_SERVICE, "registry.service_unknown")],
)
def test_a_subscription_names_what_there_is_and_what_it_names_cannot_go(missing: object, code: str) -> None:
    snapshot = Snapshot.of([each for each in ENTRIES if each != missing], 0)
    with pytest.raises(RegistryError) as caught:
        apply_changes(snapshot, [Change(None, SUBSCRIPTION)])
    assert caught.value.code == code
    # Without the right, only the subscription names the two.
    named = Snapshot.of([*ENTRIES[:-1], SUBSCRIPTION], 0)
    entry = FUND_SYSTEM if missing == FUND_SYSTEM else PROOF_SERVICE
    with pytest.raises(RegistryError, match=r"registry\.entry_in_use"):
        apply_changes(named, [Change(entry, None)])


def test_a_subscription_is_read_back_as_it_was_written(running: RunningRegistry) -> None:
    registry = running.registry
    registry.apply([*ENTRIES, SUBSCRIPTION], by="a test")
    registry.put(replace(SUBSCRIPTION, topics=("*",)), by="a test")

    reopened = Registry(running.engine, running.writer, running.clock)
    found = reopened.require_entry(Subscription, SUBSCRIPTION.id)
    assert found == replace(SUBSCRIPTION, topics=("*",))
    assert read_entry(Subscription, json.dumps(write_entry(found))) == found
    assert reopened.subscriptions_to(PROOF, "anything", DAY) == (found,)
    registry.remove(found, by="a test")
    assert registry.subscriptions_to(PROOF, "anything", DAY) == ()
    with pytest.raises(RegistryError, match=r"registry\.subscription_unknown"):
        registry.require_entry(Subscription, SUBSCRIPTION.id)


def test_a_registry_file_lists_subscriptions(tmp_path: Path) -> None:
    file = tmp_path / "registry.yaml"
    listed = f"""\
subscriptions:
  - id: fund-hears-of-proofs
    subscriber: {FUND}
    service: {PROOF}
    topics: [proof.revoked, "proof.corrected.*"]
    gateway_url: http://127.0.0.1:8103/messages
    valid_from: 2026-01-01
    valid_until: 2026-12-31
"""
    file.write_text(FILE + listed, encoding="utf-8")

    assert load_registry_file(file)[-1] == SUBSCRIPTION
