# SPDX-License-Identifier: Apache-2.0
"""What the log shows to everybody over HTTP, with and without witnesses."""

from __future__ import annotations

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from hub.errors import LogError
from hub.messagelog import MessageLog, PublishedLog, published_log_routes
from hub.messagelog.publication import FRESH_SECONDS
from hub.problems import install_problems
from hub.tlog import (
    Checkpoint,
    Entry,
    Note,
    ProofFile,
    SignedCheckpoint,
    TrustPolicy,
    leaf_hash,
    verify_consistency,
    verify_proof,
)
from tests.hub.messagelog.intruder import Intruder

if TYPE_CHECKING:
    from tests.hub.messagelog.conftest import RunningLog


class Seconds:
    """A clock of seconds that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def published(running: RunningLog, seconds: Seconds) -> PublishedLog:
    return PublishedLog(running.engine, running.log, monotonic=seconds)


@pytest.fixture
def http(published: PublishedLog) -> TestClient:
    app = FastAPI()
    install_problems(app)
    app.include_router(published_log_routes(published))
    return TestClient(app)


def size_of(note: str) -> int:
    return Checkpoint.from_text(Note.decode(note).text).size


def test_the_checkpoint_is_signed_anew_when_asked_but_not_more_often_than_every_few_seconds(
    running: RunningLog, http: TestClient, seconds: Seconds
) -> None:
    running.append_many(2)
    response = http.get("/log/checkpoint")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert size_of(response.text) == 2
    running.append_many(3)
    for _ in range(5):
        assert size_of(http.get("/log/checkpoint").text) == 2
    # What the hub itself signs is shown at once.
    running.log.checkpoint()
    assert size_of(http.get("/log/checkpoint").text) == 5
    running.append_many(1)
    seconds.now += FRESH_SECONDS
    assert size_of(http.get("/log/checkpoint").text) == 6


class SlowLog(MessageLog):
    """A log that signs when it is told to."""

    began, may_end = threading.Event(), threading.Event()

    def checkpoint(self) -> SignedCheckpoint:
        self.began.set()
        assert self.may_end.wait(10)
        return super().checkpoint()


def test_who_asks_while_a_checkpoint_is_being_signed_is_shown_the_last_one(
    running: RunningLog, seconds: Seconds
) -> None:
    slow = SlowLog(running.engine, running.writer, running.signer, running.log.origin)
    slow.may_end.set()
    published = PublishedLog(running.engine, slow, monotonic=seconds)
    running.append_many(2)
    assert size_of(published.fresh_checkpoint().note) == 2
    running.append_many(3)
    seconds.now += FRESH_SECONDS
    slow.began.clear()
    slow.may_end.clear()
    with ThreadPoolExecutor(1) as first:
        waiting = first.submit(published.fresh_checkpoint)
        assert slow.began.wait(10)
        assert size_of(published.fresh_checkpoint().note) == 2
        slow.may_end.set()
        assert size_of(waiting.result().note) == 5


def test_every_entry_below_a_checkpoint_is_shown_and_proven(running: RunningLog, http: TestClient) -> None:
    running.append_many(300)
    note = http.get("/log/checkpoint").text
    policy = TrustPolicy.decode(http.get("/log/policy").text)
    assert [log.key for log in policy.logs] == [running.signer.verifier]
    for index in (0, 1, 137, 255, 256, 299):
        entry = http.get(f"/log/entries/{index}")
        assert entry.headers["content-type"] == "application/json"
        assert "immutable" in entry.headers["cache-control"]
        assert Entry.from_bytes(entry.content).to_bytes() == entry.content
        answer = http.get(f"/log/entries/{index}/proof")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["content-disposition"] == f'attachment; filename="entry-{index}.tlog-proof"'
        proof = ProofFile.decode(answer.text)
        assert (proof.index, proof.checkpoint) == (index, note)
        assert verify_proof(proof, entry.content, policy).checkpoint.size == 300
        with pytest.raises(LogError, match=r"log\.proof_invalid"):
            verify_proof(proof, entry.content + b" ", policy)


def test_a_later_checkpoint_is_proven_to_have_grown_from_an_earlier_one(
    running: RunningLog, http: TestClient
) -> None:
    roots = {}
    for more in (1, 2, 4, 93, 200):
        running.append_many(more)
        signed = running.log.checkpoint().checkpoint
        roots[signed.size] = signed.root
    for old, old_root in roots.items():
        for new, new_root in roots.items():
            answer = http.get(f"/log/consistency/{old}/{new}")
            if old > new:
                assert (answer.status_code, answer.json()["code"]) == (404, "log.entry_unknown")
                continue
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            proof = [base64.b64decode(line) for line in answer.text.splitlines()]
            verify_consistency(old, new, old_root, new_root, proof)
    assert http.get("/log/consistency/0/300").text == ""


@pytest.mark.parametrize(
    "number", ["5", "-1", "01", "+1", "1.0", "0x1", "%D9%A1", "one", "18446744073709551615", "9" * 30, "1%0A"]
)
def test_what_no_checkpoint_covers_or_is_no_number_is_not_there(
    running: RunningLog, http: TestClient, number: str
) -> None:
    running.append_many(5)
    running.log.checkpoint()
    running.append_many(3)
    for path in (f"/log/entries/{number}", f"/log/entries/{number}/proof"):
        answer = http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "log.entry_unknown"), path
    if number != "5":
        for path in (f"/log/consistency/0/{number}", f"/log/consistency/{number}/5"):
            answer = http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "log.entry_unknown"), path


def test_a_log_without_witnesses_says_so(running: RunningLog, http: TestClient) -> None:
    running.append_many(2)
    running.log.checkpoint()
    answer = http.get("/log/checkpoint?witnessed=true")
    assert (answer.status_code, answer.json()["code"]) == (404, "log.not_witnessed")
    assert http.get("/log/policy").text.endswith("\nquorum none\n")


def test_an_entry_that_was_changed_does_not_leave(running: RunningLog, http: TestClient) -> None:
    running.append_many(2)
    running.log.checkpoint()
    Intruder(running).run("UPDATE log_entries SET entry = x'7b7d' WHERE leaf_index = 1")
    answer = http.get("/log/entries/1")
    assert (answer.status_code, answer.json()["code"]) == (500, "log.corrupt")
    assert leaf_hash(http.get("/log/entries/0").content)
