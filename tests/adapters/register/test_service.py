# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sqlite3
import stat
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from adapters.descriptions import digest_of
from adapters.register import (
    ChangeKind,
    EventKind,
    FileService,
    LiveServices,
    Rules,
    VersionState,
    VersionStore,
)
from adapters.register.rules import split
from hub.errors import AdapterError
from tests.adapters.register.building import ECHO, OTHER, Made, description, register_of
from tests.adapters.running import call_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from adapters.configuration import ConfiguredAdapter
    from adapters.register import AdapterRegister
    from hub.identifiers import ServiceId


@pytest.fixture
def live() -> Iterator[LiveServices]:
    live = LiveServices()
    yield live
    live.close()


def refused(work: Callable[[], object]) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        work()
    return caught.value


def answered(live: LiveServices) -> object:
    return live[ECHO].adapter.answer({}, call_of(live[ECHO])).data["text"]


def of_file(made: Made, says: str) -> FileService:
    text = split(description(says=says))[ECHO]
    content = {"services": [yaml.safe_load(text)]}
    return FileService(text=text, build=lambda: made.build(content, "file")[ECHO])


def test_a_version_is_kept_and_answers_once_it_is_activated(live: LiveServices) -> None:
    made = Made()
    register = register_of(made, live=live)

    version = register.save(description(), "周敏", "first try")
    assert (version.number, version.state, version.author) == (1, VersionState.DRAFT, "周敏")
    assert ECHO not in live
    assert not made.open

    active = register.activate(ECHO, 1, "周敏")
    assert (active.state, active.activated_by) == (VersionState.ACTIVE, "周敏")
    assert answered(live) == "one"
    assert (live[ECHO].version, live[ECHO].digest) == (1, version.sha256)


def test_saying_the_same_again_makes_no_version() -> None:
    register = register_of(Made())

    register.save(description(), "周敏")
    assert register.save("# the same\n" + description(), "李强").number == 1
    assert register.save(description(says="two"), "李强").number == 2
    assert [version.author for version in register.versions(ECHO)] == ["周敏", "李强"]


def test_the_next_version_takes_the_place_and_the_one_before_comes_back(live: LiveServices) -> None:
    made = Made()
    register = register_of(made, live=live)
    for says in ("one", "two"):
        register.activate(ECHO, register.save(description(says=says), "周敏").number, "周敏")

    assert answered(live) == "two"
    assert [version.state for version in register.versions(ECHO)] == [
        VersionState.RETIRED,
        VersionState.ACTIVE,
    ]
    assert len(made.open) == 1

    assert register.rollback(ECHO, "李强").number == 1
    assert answered(live) == "one"
    assert [event.kind for event in register.events(ECHO)][-1] is EventKind.ACTIVATED
    assert len(register.events(ECHO)) == 5
    assert len(made.open) == 1


def test_there_is_nothing_to_go_back_to_at_first() -> None:
    register = register_of(Made())
    register.activate(ECHO, register.save(description(), "周敏").number, "周敏")

    assert refused(lambda: register.rollback(ECHO, "周敏")).code == "adapter.version_unknown"


def test_what_cannot_be_built_is_neither_kept_nor_does_it_disturb(live: LiveServices) -> None:
    made = Made()
    register = register_of(made, live=live)
    register.activate(ECHO, register.save(description(), "周敏").number, "周敏")

    error = refused(lambda: register.save(description(says="broken"), "周敏"))
    assert error.code == "adapter.configuration_invalid"
    assert len(register.versions(ECHO)) == 1
    assert answered(live) == "one"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "services: []",
        "services: {}",
        "- 1",
        "services: [1]",
        "a: [",
        description() + description().removeprefix("services:\n"),
        "services: [&a [*a]]",
        "[" * 5000,
        description(surplus=1),
        description(kind="telex"),
    ],
)
def test_a_text_that_is_no_description_is_refused(text: str) -> None:
    register = register_of(Made())

    assert refused(lambda: register.plan(text)).code == "adapter.configuration_invalid"
    assert refused(lambda: register.save(text, "周敏")).code == "adapter.configuration_invalid"


def test_a_text_that_grows_without_bounds_is_refused_before_it_grows() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))

    error = refused(lambda: register_of(Made()).plan(bomb))
    assert error.code == "adapter.configuration_invalid"
    assert "too many" in error.detail


def test_with_four_eyes_only_another_person_lets_a_version_answer(live: LiveServices) -> None:
    register = register_of(Made(), live=live, rules=Rules(four_eyes=True))
    register.save(description(), "周敏")

    assert refused(lambda: register.activate(ECHO, 1, "周敏")).code == "adapter.approval_missing"
    assert refused(lambda: register.activate(ECHO, 1, "李强")).code == "adapter.approval_missing"
    assert refused(lambda: register.approve(ECHO, 1, "周敏")).code == "adapter.own_version"
    assert register.approve(ECHO, 1, "李强").state is VersionState.APPROVED
    assert register.activate(ECHO, 1, "周敏").approved_by == "李强"


def test_an_approval_is_for_one_version_only() -> None:
    register = register_of(Made(), rules=Rules(four_eyes=True))
    register.save(description(), "周敏")
    register.approve(ECHO, 1, "李强")
    register.save(description(says="two"), "周敏")

    assert refused(lambda: register.activate(ECHO, 2, "周敏")).code == "adapter.approval_missing"


def test_with_four_eyes_nobody_goes_back_to_what_nobody_approved() -> None:
    store = VersionStore()
    loose = register_of(Made(), store=store)
    for says in ("one", "two"):
        loose.activate(ECHO, loose.save(description(says=says), "周敏").number, "周敏")

    strict = register_of(Made(), store=store, rules=Rules(four_eyes=True))
    assert refused(lambda: strict.rollback(ECHO, "李强")).code == "adapter.approval_missing"


def test_a_version_that_needs_a_test_answers_after_it_has_passed() -> None:
    register = register_of(Made(), rules=Rules(needs_test=True))
    register.save(description(), "周敏")

    assert refused(lambda: register.activate(ECHO, 1, "周敏")).code == "adapter.test_missing"
    register.note_test(ECHO, 1, "周敏", has_passed=False, note="2 of 3")
    assert refused(lambda: register.activate(ECHO, 1, "周敏")).code == "adapter.test_missing"
    register.note_test(ECHO, 1, "周敏", has_passed=True, note="3 of 3")
    assert register.activate(ECHO, 1, "周敏").has_passed is True


def test_a_decision_about_something_else_is_refused(live: LiveServices) -> None:
    register = register_of(Made(), live=live)
    register.save(description(), "周敏")
    register.save(description(says="two"), "李强")
    register.activate(ECHO, 1, "周敏", base="")

    assert refused(lambda: register.activate(ECHO, 2, "李强", base="")).code == "adapter.version_conflict"
    assert answered(live) == "one"
    present = register.version(ECHO, 1).sha256
    assert register.activate(ECHO, 2, "李强", base=present).state is VersionState.ACTIVE


def test_a_plan_says_what_would_change_and_changes_nothing() -> None:
    register = register_of(Made())
    register.activate(ECHO, register.save(description(), "周敏").number, "周敏")

    [same] = register.plan(description()).changes
    [changed] = register.plan(description(says="two")).changes
    [added, removed] = register.plan(description(OTHER), is_whole=True).changes
    assert (same.kind, same.diff) == (ChangeKind.SAME, "")
    assert register.plan(description()).is_empty
    assert changed.kind is ChangeKind.CHANGED
    assert "-  says: one" in changed.diff
    assert "+  says: two" in changed.diff
    assert (added.service, added.kind, added.base) == (OTHER, ChangeKind.ADDED, "")
    assert (removed.service, removed.kind) == (ECHO, ChangeKind.REMOVED)
    assert len(register.versions(ECHO)) == 1


def test_a_version_comes_before_the_file_and_the_file_comes_back(live: LiveServices) -> None:
    made = Made()
    files = {ECHO: of_file(made, "file")}
    register = register_of(made, live=live, files=files)
    assert answered(live) == "file"
    assert live[ECHO].version is None
    assert register.plan(description(says="file")).is_empty

    register.activate(ECHO, register.save(description(), "周敏").number, "周敏")
    assert answered(live) == "one"
    assert "-  says: file" in register.diff(ECHO, 0, 1)

    assert register.retire(ECHO, "周敏").state is VersionState.RETIRED
    assert answered(live) == "file"
    assert len(made.open) == 1


def test_a_service_without_a_file_ends_when_it_is_retired(live: LiveServices) -> None:
    made = Made()
    register = register_of(made, live=live)
    register.activate(ECHO, register.save(description(), "周敏").number, "周敏")

    register.retire(ECHO, "周敏")
    assert ECHO not in live
    assert not made.open
    assert refused(lambda: register.retire(ECHO, "周敏")).code == "adapter.version_unknown"


def test_what_was_active_answers_again_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "data" / "adapters.sqlite"
    store = VersionStore(file)
    register = register_of(Made(), store=store)
    register.activate(ECHO, register.save(description(), "周敏").number, "周敏")
    store.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    again, live = VersionStore(file), LiveServices()
    register_of(Made(), store=again, live=live, files={ECHO: of_file(Made(), "file")})
    assert answered(live) == "one"
    live.close()
    again.close()


def test_a_version_that_can_no_longer_be_built_answers_why_and_the_others_go_on(tmp_path: Path) -> None:
    store = VersionStore(tmp_path / "adapters.sqlite")
    register = register_of(Made(), store=store)
    for service in (ECHO, OTHER):
        register.activate(service, register.save(description(service), "周敏").number, "周敏")

    class Failing(Made):
        def build(self, content: Any, at: str) -> Mapping[ServiceId, ConfiguredAdapter]:
            if ECHO in at:
                raise AdapterError("adapter.configuration_invalid", "the secret is gone")
            return super().build(content, at)

    live = LiveServices()
    register_of(Failing(), store=store, live=live)
    assert refused(lambda: answered(live)).detail == "the secret is gone"
    assert live.problem_of(ECHO) is not None
    assert live.problem_of(OTHER) is None
    assert live[OTHER].adapter.answer({}, call_of(live[OTHER])).data == {"text": "one"}
    live.close()
    store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET person = 'nobody' WHERE sequence = 1",
        "DELETE FROM events WHERE sequence = 1",
        "UPDATE versions SET text = 'other'",
        "DELETE FROM versions",
    ],
)
def test_the_record_is_never_changed_and_a_change_from_outside_shows(tmp_path: Path, statement: str) -> None:
    file = tmp_path / "adapters.sqlite"
    store = VersionStore(file)
    register = register_of(Made(), store=store)
    register.activate(ECHO, register.save(description(), "周敏").number, "周敏")
    store.close()

    outside = sqlite3.connect(file)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        outside.execute(statement)
    for name in ("versions_stay", "versions_remain", "events_stay", "events_remain"):
        outside.execute(f"DROP TRIGGER {name}")
    outside.execute(statement)
    outside.commit()
    outside.close()
    assert refused(lambda: VersionStore(file)).code == "adapter.register_damaged"


def test_a_digest_is_that_of_the_text() -> None:
    register: AdapterRegister = register_of(Made())
    version = register.save(description(), "周敏")

    assert version.sha256 == digest_of(version.text)
    assert register.save(version.text, "周敏").number == 1
