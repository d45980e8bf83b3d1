# SPDX-License-Identifier: Apache-2.0
"""What auditors read: the whole story, honestly, also where something is wrong, missing or slow."""

from __future__ import annotations

import io
import json
import sqlite3
import threading
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hub.accounts import Role
from hub.alarms import alarm_kinds
from hub.clock import SystemClock
from hub.errors import Language, error_kinds
from hub.portal.checking import ContainerCheck
from hub.portal.logproof import LogProver
from hub.portal.story import Storyteller
from hub.portal.verifications import Verifications, Verified
from hub.trust import USE_POLICIES
from tests.journeys.departments import ABSENT
from tests.journeys.portal import PORTAL, Visit, text_of, visiting
from tests.journeys.serving import wait_for
from tests.journeys.world import PURPOSE, on_sqlite_file, running_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from hub.envelope import Envelope
    from tests.journeys.world import World
    from tests.pki import ServedPki


@pytest.fixture
def auditor(world: World) -> Iterator[Visit]:
    with visiting(world, Role.AUDITOR) as visit:
        yield visit


def answered(world: World, **changes: object) -> Envelope:
    request = world.request(**changes)  # type: ignore[arg-type]  # as World.request takes them
    assert world.send(request.raw).status == 200
    return request


def story_of(visit: Visit, request: Envelope) -> str:
    response = visit.get(f"{PORTAL}/messages/{request.header.id}")
    assert response.status_code == 200
    return text_of(response.text)


def test_the_story_says_who_whom_why_and_that_all_of_it_holds(world: World, auditor: Visit) -> None:
    request = answered(world)
    world.hub.log.checkpoint()
    story = story_of(auditor, request)
    for said in (
        "Everything holds",
        request.header.id,
        request.header.sender,
        request.header.recipient,
        "Chenghua Disabled Persons' Federation",
        "Chenghua Labour Bureau",
        PURPOSE.case,
        PURPOSE.item,
        PURPOSE.legal_basis,
        PURPOSE.official,
        PURPOSE.post,
        request.container_sha256,
        "11 of 11 steps hold",
        "12 of 12 steps hold",
        "This hub checked it",
        "How to check it without this hub",
    ):
        assert said in story, said
    assert "FAILED" not in story
    moments = (
        "Signed and sent by",
        "Received by the hub",
        "Accepted:",
        "Answer signed",
        "Answered:",
        "Final receipt",
        "Covered by a signed checkpoint",
    )
    places = [story.index(moment) for moment in moments]
    assert places == sorted(places)


def test_entries_are_proven_against_the_signed_checkpoint(world: World, auditor: Visit) -> None:
    request = answered(world)
    checkpoint = world.hub.log.checkpoint().checkpoint
    story = story_of(auditor, request)
    for logged in world.hub.log.entries_of(request.header.id):
        assert f"Entry {logged.position.index} Proven" in story
        assert logged.position.leaf_hash.hex() in story
    assert checkpoint.root.hex() in story


def test_a_message_just_answered_waits_for_its_checkpoint_and_says_so(world: World, auditor: Visit) -> None:
    world.hub.log.checkpoint()
    story = story_of(auditor, answered(world))
    assert "the log’s next checkpoint is awaited" in story
    assert "Not covered by a checkpoint yet" in story
    assert "Everything holds;" in story


def test_a_refusal_says_code_and_cure(world: World, auditor: Visit) -> None:
    request = world.request(purpose=replace(PURPOSE, item="000000000001"))
    assert world.send(request.raw).status == 403
    kind = error_kinds()["access.purpose_not_allowed"]
    story = story_of(auditor, request)
    assert kind.code in story
    assert kind.message[Language.EN] in story
    assert kind.cure[Language.EN] in story


def test_a_departments_fault_is_shown_with_its_own_code(world: World, auditor: Visit) -> None:
    request = world.request(text=ABSENT)
    assert world.send(request.raw).status == 404
    assert "adapter.record_not_found" in story_of(auditor, request)


@pytest.mark.parametrize("part", ["request", "answer", "receipt"])
def test_a_container_comes_byte_for_byte(world: World, auditor: Visit, part: str) -> None:
    request = answered(world)
    response = auditor.get(f"{PORTAL}/messages/{request.header.id}/containers/{part}")
    record = world.hub.archive.exchange(request.header.id)
    digest = {
        "request": record.request_sha256,
        "answer": record.answer_sha256,
        "receipt": record.receipt_sha256,
    }[part]
    assert response.content == world.hub.archive.container(str(digest))
    name = f"{request.header.id}-{part}.asice"
    assert response.headers["content-disposition"] == f'attachment; filename="{name}"'


def test_the_bundle_of_a_message_and_of_its_conversation_can_be_taken_home(
    world: World, auditor: Visit
) -> None:
    first = answered(world)
    second = answered(world, conversation=first.header.conversation)
    for path, ids in (
        (f"messages/{first.header.id}", {first.header.id}),
        (f"conversations/{first.header.conversation}", {first.header.id, second.header.id}),
    ):
        response = auditor.get(f"{PORTAL}/{path}/evidence")
        assert response.headers["content-type"] == "application/zip"
        assert response.headers["content-disposition"].startswith('attachment; filename="evidence-')
        with zipfile.ZipFile(io.BytesIO(response.content)) as bundle:
            index = json.loads(bundle.read("bundle.json"))
        assert {each["id"] for each in index["messages"]} == ids


def test_a_conversation_is_told_from_each_of_its_messages(world: World, auditor: Visit) -> None:
    first = answered(world)
    others = [answered(world, conversation=first.header.conversation) for _ in range(24)]
    story = story_of(auditor, others[11])
    assert "All 25 messages of the conversation" in story
    listed = [each for each in (first, *others) if each.header.id in story]
    assert len(listed) == 20
    assert others[11] in listed
    whole = text_of(auditor.get(f"{PORTAL}/conversations/{first.header.conversation}").text)
    assert all(each.header.id in whole for each in (first, *others))


def test_a_number_leads_to_its_message_or_conversation(world: World, auditor: Visit) -> None:
    first = answered(world)
    second = answered(world, conversation=first.header.conversation)
    form = {"form_token": auditor.form_token()}
    for number, leads_to in (
        (second.header.id, f"/portal/messages/{second.header.id}"),
        (f"  {second.header.id.upper()} ", f"/portal/messages/{second.header.id}"),
    ):
        response = auditor.post(f"{PORTAL}/messages", form | {"number": number})
        assert (response.status_code, response.headers["location"]) == (303, leads_to)


@on_sqlite_file
def test_what_is_not_kept_any_more_is_said_and_stops_nothing_else(pki: ServedPki, tmp_path: Path) -> None:
    with running_world(tmp_path / "world", pki) as world:
        request = answered(world)
        world.hub.log.checkpoint()
        database = sqlite3.connect(world.prepared.folder.path / "data" / "hub.sqlite")
        with database:
            changed = database.execute("DELETE FROM containers WHERE sha256 = ?", (request.container_sha256,))
            assert changed.rowcount == 1
        database.close()
        with visiting(world, Role.AUDITOR) as visit:
            story = story_of(visit, request)
            assert "Not everything can be shown" in story
            assert "Request Not readable" in story
            assert "Cannot be read: the request is not kept any more" in story
            assert "Answer Valid" in story
            assert "Everything holds" not in story


@on_sqlite_file
def test_a_log_entry_that_was_changed_is_told_aloud(pki: ServedPki, tmp_path: Path) -> None:
    with running_world(tmp_path / "world", pki) as world:
        request = answered(world)
        world.hub.log.checkpoint()
        database = sqlite3.connect(world.prepared.folder.path / "data" / "hub.sqlite")
        with database:
            database.execute("DROP TRIGGER log_entries_no_update")
            database.execute(
                "UPDATE log_entries SET entry = "
                "CAST(replace(CAST(entry AS TEXT), 'accepted', 'answered') AS BLOB) WHERE leaf_index = 0"
            )
        database.close()
        with visiting(world, Role.AUDITOR) as visit:
            story = story_of(visit, request)
            assert "Something does not hold" in story
            assert "log.corrupt" in story
            assert "Everything holds" not in story


def test_a_page_waits_a_while_for_its_reports_and_no_longer(world: World) -> None:
    request, goes_on = answered(world), threading.Event()
    check = ContainerCheck(world.hub.trust_lists, world.hub.pipeline.revocation_answers, USE_POLICIES)

    def slow(container: bytes, at: datetime) -> Verified:
        assert goes_on.wait(30)
        return check.verify(container, at)

    verifications = Verifications(slow, SystemClock())
    hub = world.hub
    teller = Storyteller(
        archive=hub.archive,
        prover=LogProver(log=hub.log, published=hub.published, stamps=hub.stamps),
        registry=hub.registry,
        verifications=verifications,
        patience_seconds=0.1,
    )
    try:
        story = teller.tell(request.header.id)
        assert (story.is_pending, story.is_valid, story.is_wrong) == (True, False, False)
        goes_on.set()
        wait_for(lambda: not teller.tell(request.header.id).is_pending)
        assert all(each.is_valid for each in teller.tell(request.header.id).containers)
    finally:
        goes_on.set()
        verifications.close()


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR])
def test_the_log_page_says_how_the_log_is(pki: ServedPki, tmp_path: Path, role: Role) -> None:
    with running_world(tmp_path / "world", pki) as world, visiting(world, role) as visit:
        assert "None yet" in text_of(visit.get(f"{PORTAL}/log").text)
        answered(world)
        signed = world.hub.log.checkpoint().checkpoint
        wait_for(lambda: bool(world.hub.stamps.last_stamps(1)))
        page = text_of(visit.get(f"{PORTAL}/log").text)
        for said in (
            world.hub.log.origin,
            world.hub.log.verifier.encode(),
            f"covers {signed.size} entries all of them",
            "nobody else countersigns this log",
            "Waiting for a time stamp None",
            "No alarm is open.",
        ):
            assert said in page, said
        assert world.send(world.request().raw).status == 200
        world.hub.alarms.raise_alarm("log.not_sealed", world.hub.log.origin, "the <disk> is full")
        wait_for(lambda: bool(world.hub.alarms.alarms()))
        page = text_of(visit.get(f"{PORTAL}/log").text)
        kind = alarm_kinds()["log.not_sealed"]
        for said in (
            "2 entries not covered yet",
            kind.message[Language.EN],
            kind.cure[Language.EN],
            "the <disk>",
        ):
            assert said in page, said
