# SPDX-License-Identifier: Apache-2.0
"""A REST service behind OAuth2, in a process of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from hub.errors import AdapterError
from tests.adapters.rest.peer import DESCRIPTION, running_peer
from tests.adapters.running import call_of, only_adapter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from adapters.configuration import ConfiguredAdapter
    from tests.adapters.rest.peer import Peer

KNOWN, UNKNOWN = "123456782", "999999990"
ECHO = {"object": {"echo": {"from": "answer", "type": "any", "nullable": True}}}


@pytest.fixture
def peer() -> Iterator[Peer]:
    with running_peer(uses=3) as running:
        yield running


def changed(folder: Path, *, response: object = None, request: object = None, **connection: Any) -> Path:
    content = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))
    service = content["services"][0]
    service["connection"] |= connection
    service["response"] = response or service["response"]
    service["request"] = request or service["request"]
    path = folder / "changed.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def ask(configured: ConfiguredAdapter, number: str = KNOWN) -> Any:
    return configured.adapter.answer({"citizen_number": number}, call_of(configured)).data


def test_one_token_serves_many_and_a_refused_one_is_fetched_anew(peer: Peer) -> None:
    with only_adapter(DESCRIPTION, peer.environment) as configured:
        answers = [ask(configured)["citizen_number"] for _ in range(7)]

    assert answers == [KNOWN] * 7
    counts = peer.counts()
    assert (counts["token"], counts["401"]) == (3, 2)


def test_threads_that_need_a_token_at_once_fetch_one(peer: Peer) -> None:
    with only_adapter(DESCRIPTION, peer.environment) as configured, ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: ask(configured), range(3)))

    assert peer.counts()["token"] == 1


def test_a_refused_client_is_told_without_its_secret(peer: Peer) -> None:
    environment = {**peer.environment, "QUOTA_SECRET": "wr0ng"}
    with only_adapter(DESCRIPTION, environment) as configured, pytest.raises(AdapterError) as caught:
        ask(configured)

    assert caught.value.code == "adapter.system_fault"
    assert "HTTP 401 (invalid_client)" in caught.value.detail
    assert "wr0ng" not in str(caught.value)


def test_a_problem_document_has_its_code_and_keeps_its_words_to_itself(peer: Peer, tmp_path: Path) -> None:
    with only_adapter(DESCRIPTION, peer.environment) as configured, pytest.raises(AdapterError) as caught:
        ask(configured, UNKNOWN)

    assert caught.value.code == "adapter.record_not_found"
    assert "https://quota.example/problems/unknown-person" in caught.value.detail
    assert UNKNOWN not in str(caught.value)
    problems = {"https://quota.example/problems/unknown-person": "record_ambiguous"}
    path = changed(tmp_path, path="/other", problems=problems)
    with only_adapter(path, peer.environment) as configured, pytest.raises(AdapterError) as caught:
        ask(configured, UNKNOWN)
    assert caught.value.code == "adapter.record_ambiguous"


def test_all_pages_are_gathered(peer: Peer, tmp_path: Path) -> None:
    paging = {"kind": "next", "items": "results", "next": "next", "total": "count"}
    path = changed(tmp_path, path="/rows", paging=paging, response=ECHO)
    with only_adapter(path, peer.environment) as configured:
        echo = ask(configured)["echo"]

    assert [row["nr"] for row in echo["results"]] == list(range(1, 24))


def test_a_busy_service_is_asked_again_only_for_what_changes_nothing(peer: Peer, tmp_path: Path) -> None:
    path = changed(tmp_path, path="/busy", response=ECHO)
    with only_adapter(path, peer.environment) as configured:
        assert ask(configured) == {"echo": {"v": 1}}
    path = changed(tmp_path, path="/busy", response=ECHO, attempts=1)
    with only_adapter(path, peer.environment) as configured, pytest.raises(AdapterError) as caught:
        ask(configured)

    assert caught.value.code == "adapter.system_unreachable"
    assert "urn:busy" in caught.value.detail


def test_a_large_file_is_uploaded_from_disk_with_its_fields(peer: Peer, tmp_path: Path) -> None:
    scan = tmp_path / "scan.pdf"
    scan.write_bytes(b"%PDF" + bytes(3_000_000))
    request = {
        "object": {
            "form": {"object": {"case": "call.purpose.case"}},
            "files": {"object": {"scan": {"object": {"payload": {"value": "scan.pdf"}}}}},
        }
    }
    path = changed(
        tmp_path,
        path="/scans",
        method="POST",
        body_format="multipart",
        whole_answer=True,
        request=request,
        response=ECHO,
    )
    with only_adapter(path, peer.environment) as configured:
        call = replace(call_of(configured), files={"scan.pdf": scan})
        # The token is good for three requests: the last upload is sent a second time, from the file again.
        for _ in range(4):
            answer = configured.adapter.answer({"citizen_number": KNOWN}, call).data

    echo: Any = answer["echo"]
    assert (echo["status"], echo["headers"]["location"]) == (201, "/scans/7")
    assert echo["body"] == {"size": scan.stat().st_size, "name": "scan.pdf"}
    assert peer.counts()["upload"] == 4


def test_a_probe_signs_in_and_reads_and_says_what_is_wrong(peer: Peer, tmp_path: Path) -> None:
    with only_adapter(DESCRIPTION, peer.environment) as configured:
        probe = configured.adapter.probe(5)
        assert (probe.is_reachable, probe.findings) == (True, ())
    with only_adapter(DESCRIPTION, {**peer.environment, "QUOTA_SECRET": "wr0ng"}) as configured:
        [finding] = configured.adapter.probe(5).findings
        assert finding.code == "probe.not_asked"
    with only_adapter(changed(tmp_path, probe_path="/nowhere"), peer.environment) as configured:
        [finding] = configured.adapter.probe(5).findings
        assert finding.code == "probe.refused"


def test_a_service_that_is_away_is_told_apart() -> None:
    with running_peer() as peer:
        environment = peer.environment
    with only_adapter(DESCRIPTION, environment) as configured:
        assert not configured.adapter.probe(2).is_reachable
        with pytest.raises(AdapterError) as caught:
            ask(configured)
    assert caught.value.code == "adapter.system_unreachable"
