# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from hub.errors import AccessError, HubError, RegistryError
from hub.identifiers import ServiceId, SubsystemId
from hub.registry import AccessRight, AccessRightId, RegistryEntry, Snapshot, authorise
from hub.registry.model import Change
from hub.registry.rules import apply_changes, differences
from tests.hub.registry.conftest import (
    CONTRACT,
    EMPLOYMENT,
    EMPLOYMENT_SYSTEM,
    ENTRIES,
    FEDERATION_MEMBER,
    FUND,
    FUND_SYSTEM,
    LABOUR_MEMBER,
    PROOF,
    PROOF_SERVICE,
    PURPOSE,
    RIGHT,
)

DAY = date(2026, 3, 1)


def refusal(rights: list[AccessRight], consumer: str, service: str, purpose: str, on: date = DAY) -> str:
    with pytest.raises(AccessError) as caught:
        authorise(rights, SubsystemId(consumer), ServiceId(service), purpose, on)
    return caught.value.code


def test_what_was_granted_is_allowed() -> None:
    assert authorise([RIGHT], FUND, PROOF, PURPOSE, DAY) == RIGHT


@pytest.mark.parametrize(
    ("consumer", "service"),
    [
        (EMPLOYMENT, PROOF),
        (f"{FUND}2", PROOF),
        (FUND, f"{PROOF}2"),
        (FUND, PROOF.replace("/employment/", "/register/")),
    ],
)
def test_what_was_not_granted_is_refused(consumer: str, service: str) -> None:
    assert refusal([], FUND, PROOF, PURPOSE) == "access.service_not_granted"
    assert refusal([RIGHT], consumer, service, PURPOSE) == "access.service_not_granted"


@pytest.mark.parametrize("day", [date(2025, 12, 31), date(2027, 1, 1)])
def test_a_right_outside_its_days_is_none(day: date) -> None:
    assert refusal([RIGHT], FUND, PROOF, PURPOSE, day) == "access.service_not_granted"


@pytest.mark.parametrize("purpose", ["", "000788002001", "00078800200", "0007880020001", PURPOSE + " "])
def test_a_purpose_that_was_not_granted_is_refused(purpose: str) -> None:
    assert refusal([RIGHT], FUND, PROOF, purpose) == "access.purpose_not_allowed"


def test_a_later_right_adds_its_purposes() -> None:
    other = replace(RIGHT, id=AccessRightId("more"), purposes=("other",))
    assert authorise([RIGHT, other], FUND, PROOF, "other", DAY) == other
    expired = replace(other, valid_from=date(2025, 1, 1), valid_until=date(2025, 2, 1))
    assert refusal([RIGHT, expired], FUND, PROOF, "other") == "access.purpose_not_allowed"


def added(*entries: RegistryEntry) -> list[Change]:
    return [Change(None, entry) for entry in entries]


def test_entries_may_come_in_any_order_as_long_as_all_come() -> None:
    after = apply_changes(Snapshot(), added(*reversed(ENTRIES)))
    assert set(after.entries.values()) == set(ENTRIES)
    assert after.version == len(ENTRIES)
    assert after.rights == {(FUND, PROOF): (RIGHT,)}


@pytest.mark.parametrize(
    ("entry", "missing", "code"),
    [
        (FUND_SYSTEM, FEDERATION_MEMBER, "registry.member_unknown"),
        (PROOF_SERVICE, EMPLOYMENT_SYSTEM, "registry.subsystem_unknown"),
        (RIGHT, FUND_SYSTEM, "registry.subsystem_unknown"),
        (RIGHT, PROOF_SERVICE, "registry.service_unknown"),
    ],
)
def test_an_entry_that_names_another_needs_it(
    entry: RegistryEntry, missing: RegistryEntry, code: str
) -> None:
    others = [each for each in ENTRIES if each not in {entry, missing}]
    snapshot = Snapshot.of(others, 0)
    with pytest.raises(RegistryError) as caught:
        apply_changes(snapshot, added(entry))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "entry", [LABOUR_MEMBER, FEDERATION_MEMBER, FUND_SYSTEM, EMPLOYMENT_SYSTEM, PROOF_SERVICE]
)
def test_an_entry_others_name_cannot_go(entry: RegistryEntry) -> None:
    with pytest.raises(HubError, match=r"registry\.entry_in_use"):
        apply_changes(Snapshot.of(ENTRIES, 0), [Change(entry, None)])


def test_everything_can_go_together() -> None:
    after = apply_changes(Snapshot.of(ENTRIES, 0), [Change(entry, None) for entry in ENTRIES])
    assert not after.entries
    assert not after.rights


def test_a_service_names_a_contract_there_is() -> None:
    apply_changes(Snapshot(), added(*ENTRIES), {CONTRACT})
    with pytest.raises(RegistryError, match="contract: there is no"):
        apply_changes(Snapshot(), added(*ENTRIES), set())


def test_differences_are_none_where_there_are_none() -> None:
    assert differences(Snapshot.of(ENTRIES, 0), ENTRIES, removing_others=True) == []


def test_differences_name_what_is_added_changed_and_removed() -> None:
    changed = replace(PROOF_SERVICE, timeout_seconds=60)
    snapshot = Snapshot.of([LABOUR_MEMBER, EMPLOYMENT_SYSTEM, PROOF_SERVICE], 0)
    wanted: list[RegistryEntry] = [LABOUR_MEMBER, FEDERATION_MEMBER, changed]
    expected = [Change(None, FEDERATION_MEMBER), Change(PROOF_SERVICE, changed)]
    assert differences(snapshot, wanted) == expected
    assert differences(snapshot, wanted, removing_others=True) == [*expected, Change(EMPLOYMENT_SYSTEM, None)]
