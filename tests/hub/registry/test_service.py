# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from hub.errors import AccessError, RegistryError
from hub.identifiers import MemberId, ServiceId, SubsystemId
from hub.registry import (
    Action,
    Member,
    MemberStatus,
    Registry,
    RegistryEntry,
    Service,
    Snapshot,
    Subsystem,
)
from tests.hub.registry.conftest import (
    CONTRACT,
    EMPLOYMENT_SYSTEM,
    ENTRIES,
    FEDERATION,
    FEDERATION_MEMBER,
    FUND,
    FUND_SYSTEM,
    LABOUR,
    LABOUR_MEMBER,
    NOW,
    PROOF,
    PROOF_SERVICE,
    PURPOSE,
    RIGHT,
    RunningRegistry,
)

DAY = date(2026, 3, 1)


def test_an_empty_registry_allows_nothing(running: RunningRegistry) -> None:
    with pytest.raises(RegistryError, match=r"registry\.member_unknown"):
        running.registry.require_active_member(LABOUR)
    with pytest.raises(RegistryError, match=r"registry\.subsystem_unknown"):
        running.registry.authorise(FUND, PROOF, PURPOSE, DAY)


def test_what_was_applied_is_found(registry: Registry) -> None:
    assert registry.require_active_member(LABOUR) == LABOUR_MEMBER
    assert registry.require_subsystem(FUND) == FUND_SYSTEM
    assert registry.require_service(PROOF) == PROOF_SERVICE
    assert registry.authorise(FUND, PROOF, PURPOSE, DAY) == RIGHT


def test_what_was_not_applied_is_unknown(registry: Registry) -> None:
    with pytest.raises(RegistryError, match=r"registry\.member_unknown"):
        registry.require_active_member(MemberId("11510108MB1A00001J"))
    with pytest.raises(RegistryError, match=r"registry\.subsystem_unknown"):
        registry.require_subsystem(SubsystemId(f"{FEDERATION}/register"))
    with pytest.raises(RegistryError, match=r"registry\.service_unknown"):
        registry.require_service(ServiceId(f"{LABOUR}/employment/record"))


def test_nothing_is_allowed_but_what_was_granted(registry: Registry) -> None:
    registry.remove(RIGHT, by="admin")
    with pytest.raises(AccessError, match=r"access\.service_not_granted"):
        registry.authorise(FUND, PROOF, PURPOSE, DAY)
    registry.put(RIGHT, by="admin")
    with pytest.raises(AccessError, match=r"access\.purpose_not_allowed"):
        registry.authorise(FUND, PROOF, "000788002001", DAY)


@pytest.mark.parametrize("status", [MemberStatus.SUSPENDED, MemberStatus.LEFT])
@pytest.mark.parametrize("member", [LABOUR_MEMBER, FEDERATION_MEMBER])
def test_a_member_that_does_not_take_part_neither_asks_nor_answers(
    registry: Registry, member: Member, status: MemberStatus
) -> None:
    registry.put(replace(member, status=status), by="admin")
    with pytest.raises(RegistryError, match=r"registry\.member_inactive"):
        registry.authorise(FUND, PROOF, PURPOSE, DAY)
    with pytest.raises(RegistryError, match=r"registry\.member_inactive"):
        registry.require_active_member(member.id)
    registry.put(member, by="admin")
    assert registry.authorise(FUND, PROOF, PURPOSE, DAY) == RIGHT


def test_applying_again_changes_nothing(registry: Registry) -> None:
    assert registry.plan(ENTRIES, removing_others=True) == []
    assert registry.apply(ENTRIES, by="again", removing_others=True) == []
    assert len(registry.changes()) == len(ENTRIES)


def test_a_plan_says_what_apply_does_and_does_nothing_itself(registry: Registry) -> None:
    wanted = [replace(PROOF_SERVICE, timeout_seconds=60)]
    planned = registry.plan(wanted)
    assert registry.require_service(PROOF).timeout_seconds == 30
    assert [each.change for each in registry.apply(wanted, by="admin")] == planned
    assert registry.require_service(PROOF).timeout_seconds == 60


def test_apply_keeps_other_entries_unless_told_to_remove_them(registry: Registry) -> None:
    wanted: list[RegistryEntry] = [LABOUR_MEMBER, EMPLOYMENT_SYSTEM]
    assert registry.apply(wanted, by="admin") == []
    removed = registry.apply(wanted, by="admin", removing_others=True)
    assert {each.change.action for each in removed} == {Action.REMOVE}
    assert set(registry.snapshot.entries.values()) == set(wanted)


def test_a_registry_that_would_not_be_whole_is_not_applied(running: RunningRegistry) -> None:
    broken = [entry for entry in ENTRIES if entry != FUND_SYSTEM]
    for attempt in (
        lambda: running.registry.plan(broken),
        lambda: running.registry.apply(broken, by="admin"),
    ):
        with pytest.raises(RegistryError, match=r"registry\.subsystem_unknown"):
            attempt()
    assert running.registry.snapshot == Snapshot()
    assert running.registry.changes() == ()


def test_an_entry_in_use_is_not_removed(registry: Registry) -> None:
    with pytest.raises(RegistryError, match=r"registry\.entry_in_use"):
        registry.remove(FUND_SYSTEM, by="admin")
    assert registry.require_subsystem(FUND) == FUND_SYSTEM


def test_removing_what_is_gone_changes_nothing(registry: Registry) -> None:
    assert len(registry.remove(RIGHT, by="admin")) == 1
    assert registry.remove(RIGHT, by="admin") == []


def test_only_contracts_there_are_can_be_named(running: RunningRegistry) -> None:
    registry = Registry(running.engine, running.writer, running.clock, {CONTRACT})
    registry.apply(ENTRIES, by="admin")
    other = Registry(running.engine, running.writer, running.clock, frozenset())
    with pytest.raises(RegistryError, match="contract"):
        other.put(replace(PROOF_SERVICE, timeout_seconds=60), by="admin")


def test_every_change_is_recorded_with_who_when_before_and_after(
    running: RunningRegistry, registry: Registry
) -> None:
    running.clock.move_to(NOW + timedelta(hours=1))
    changed = replace(PROOF_SERVICE, timeout_seconds=60)
    registry.put(changed, by="操作员 7")
    registry.put(changed, by="operator 8")
    registry.remove(RIGHT, by="operator 9")
    change, removal = registry.changes(after=len(ENTRIES))
    assert (change.sequence, change.at, change.by) == (7, NOW + timedelta(hours=1), "操作员 7")
    assert (change.change.before, change.change.after) == (PROOF_SERVICE, changed)
    assert (removal.sequence, removal.by) == (8, "operator 9")
    assert (removal.change.before, removal.change.after) == (RIGHT, None)
    assert [each.sequence for each in registry.changes(limit=2)] == [1, 2]


@pytest.mark.parametrize(
    "statement", ["DELETE FROM registry_changes", "UPDATE registry_changes SET by = 'x'"]
)
def test_the_record_of_changes_cannot_be_rewritten(
    running: RunningRegistry, registry: Registry, statement: str
) -> None:
    with running.engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text(statement))
    assert len(registry.changes()) == len(ENTRIES)


def test_a_new_process_finds_the_registry_as_it_was(running: RunningRegistry, registry: Registry) -> None:
    assert Registry(running.engine, running.writer, running.clock).snapshot == registry.snapshot


def test_a_process_takes_over_what_another_one_changed(running: RunningRegistry, registry: Registry) -> None:
    other = Registry(running.engine, running.writer, running.clock)
    registry.put(replace(LABOUR_MEMBER, status=MemberStatus.SUSPENDED), by="admin")
    assert other.require_active_member(LABOUR) == LABOUR_MEMBER
    other.refresh()
    with pytest.raises(RegistryError, match=r"registry\.member_inactive"):
        other.require_active_member(LABOUR)


def test_a_change_is_made_on_what_the_database_holds_now(
    running: RunningRegistry, registry: Registry
) -> None:
    stale = Registry(running.engine, running.writer, running.clock)
    registry.remove(RIGHT, by="admin")
    registry.remove(PROOF_SERVICE, by="admin")
    with pytest.raises(RegistryError, match=r"registry\.service_unknown"):
        stale.put(RIGHT, by="admin")


def test_changes_made_at_once_all_stand(registry: Registry) -> None:
    systems = [replace(FUND_SYSTEM, id=SubsystemId(f"{FEDERATION}/system-{n}")) for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda system: registry.put(system, by="admin"), systems))
    assert set(systems) < set(registry.snapshot.all_of(Subsystem))
    assert [each.sequence for each in registry.changes()] == list(range(1, len(ENTRIES) + 41))


def test_questions_are_answered_without_the_database(running: RunningRegistry, registry: Registry) -> None:
    statements: list[object] = []
    event.listen(running.engine, "before_cursor_execute", lambda *seen: statements.append(seen[2]))
    registry.authorise(FUND, PROOF, PURPOSE, DAY)
    registry.require_service(PROOF)
    assert registry.snapshot.all_of(Service) == (PROOF_SERVICE,)
    assert statements == []
    registry.changes()
    assert statements
