# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from adapters.register import Rules
from tests.adapters.console.bench import bench_in
from tests.adapters.register.building import ECHO, OTHER, description

if TYPE_CHECKING:
    from pathlib import Path

    from tests.adapters.console.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return bench_in(tmp_path)


def code(response: Any) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def routes(bench: Bench) -> list[tuple[str, str]]:
    application: Any = bench.client.app
    paths = application.openapi()["paths"].items()
    return [(method.upper(), path) for path, methods in paths for method in methods]


def test_every_route_of_the_api_asks_who_calls(bench: Bench) -> None:
    assert len(routes(bench)) >= 16
    for method, path in routes(bench):
        filled = path.replace("{member}/{subsystem}/{name}", ECHO).replace("{number}", "1")
        for headers in (
            {},
            {"Authorization": "Bearer heliograph_console_x"},
            {"Authorization": "Basic eDp5"},
        ):
            response = bench.client.request(method, filled, headers=headers)
            assert response.status_code in {401, 429}, (method, path)


def test_a_description_is_planned_applied_and_answers(bench: Bench) -> None:
    planned = bench.call("POST", "/adapters/plan", text=description()).json()
    assert [change["kind"] for change in planned["changes"]] == ["added"]
    assert bench.call("GET", "/adapters").json() == {"services": []}

    applied = bench.call("POST", "/adapters/apply", text=description(), note="first").json()
    assert [(v["number"], v["state"], v["author"]) for v in applied["versions"]] == [(1, "active", "周敏")]
    [listed] = bench.call("GET", "/adapters").json()["services"]
    assert (listed["service"], listed["version"], listed["problem"]) == (ECHO, 1, None)
    assert bench.call("POST", "/adapters/apply", text=description()).json() == {"versions": []}


def test_versions_are_saved_compared_activated_and_taken_back(bench: Bench) -> None:
    one = f"/adapters/{ECHO}"
    for says in ("one", "two"):
        saved = bench.call("POST", "/adapters/versions", text=description(says=says))
        assert saved.status_code == 201
        bench.call("POST", f"{one}/versions/{saved.json()['number']}/activate")

    shown = bench.call("GET", one).json()
    assert [version["state"] for version in shown["versions"]] == ["retired", "active"]
    assert [event["kind"] for event in shown["events"]] == ["saved", "activated"] * 2
    assert "says: two" in shown["text"]
    assert "+  says: two" in bench.call("GET", f"{one}/diff?a=1&b=2").json()["diff"]
    assert "says: one" in bench.call("GET", f"{one}/versions/1").json()["text"]
    assert bench.call("POST", f"{one}/rollback").json()["number"] == 1
    assert bench.call("POST", f"{one}/retire").json()["state"] == "retired"
    assert len(bench.call("GET", "/events").json()["events"]) == 6
    assert not bench.made.open


def test_a_decision_names_what_it_was_compared_with(bench: Bench) -> None:
    bench.call("POST", "/adapters/versions", text=description())
    at = f"/adapters/{ECHO}/versions/1/activate"

    assert code(bench.call("POST", at, base="f" * 64)) == (409, "adapter.version_conflict")
    assert bench.call("POST", at, base="").status_code == 200


def test_with_four_eyes_applying_proposes_and_another_person_approves(tmp_path: Path) -> None:
    bench = bench_in(tmp_path, rules=Rules(four_eyes=True))
    one = f"/adapters/{ECHO}/versions/1"

    [proposed] = bench.call("POST", "/adapters/apply", text=description()).json()["versions"]
    assert proposed["state"] == "draft"
    assert code(bench.call("POST", f"{one}/activate")) == (409, "adapter.approval_missing")
    assert code(bench.call("POST", f"{one}/approve")) == (403, "adapter.own_version")
    assert bench.call("POST", f"{one}/approve", bench.people.li).json()["approved_by"] == "李强"
    [active] = bench.call("POST", "/adapters/apply", text=description()).json()["versions"]
    assert (active["number"], active["state"]) == (1, "active")


def test_nothing_of_a_file_is_applied_when_one_service_is_wrong(bench: Bench) -> None:
    both = description() + description(OTHER, says="broken").removeprefix("services:\n")

    assert code(bench.call("POST", "/adapters/apply", text=both)) == (422, "adapter.configuration_invalid")
    assert bench.call("GET", "/adapters").json() == {"services": []}


def test_a_mapping_is_tried_on_samples(bench: Bench) -> None:
    tried = bench.call(
        "POST",
        "/adapters/preview",
        text=description(response={"object": {"text": "answer.greeting"}}),
        sample_answer={"greeting": "hello", "rest": 1},
    ).json()

    assert tried["answer"]["result"] == {"text": "hello"}
    assert tried["answer"]["unread"] == ["/rest"]


def test_a_connection_is_tried_and_a_system_asked_once(bench: Bench) -> None:
    assert bench.call("POST", "/adapters/probe", text=description()).json()["is_reachable"] is True
    asked = bench.call("POST", "/adapters/ask", text=description(), request={}).json()
    assert asked == {"answer": {"says": "one"}}
    assert not bench.made.open
    assert bench.call("GET", "/adapters").json() == {"services": []}


def test_a_version_that_needs_a_test_is_tested_at_the_gateway_and_then_answers(tmp_path: Path) -> None:
    bench = bench_in(tmp_path, rules=Rules(needs_test=True))
    at = f"/adapters/{ECHO}/versions"
    wrong = description(response={"object": {"nothing": "answer.says"}})
    right = description(response={"object": {"text": "request.text"}})

    for number, (text, passes) in enumerate(((wrong, False), (right, True)), start=1):
        assert bench.call("POST", "/adapters/apply", text=text).json()["versions"][0]["state"] == "draft"
        tested = bench.call("POST", f"{at}/{number}/test").json()
        assert tested["passed"] is passes, tested
        activated = bench.call("POST", f"{at}/{number}/activate")
        assert activated.status_code == (200 if passes else 409)
    assert [event["kind"] for event in bench.call("GET", "/events").json()["events"]][-2:] == [
        "tested",
        "activated",
    ]


def test_files_are_kept_by_their_content(bench: Bench) -> None:
    files = {"a.wsdl": base64.b64encode(b"<a/>").decode(), "b.xsd": base64.b64encode(b"<b/>").decode()}

    first = bench.call("POST", "/files", files=files).json()
    assert first == bench.call("POST", "/files", files=files).json()
    assert bench.bench.files.path(f"{first['folder']}/a.wsdl").read_bytes() == b"<a/>"


@pytest.mark.parametrize(
    "name", ["../a", "/etc/passwd", ".", "..", ".hidden", "", "a/b", "a\\b", "a\0", "a\n", "x" * 121, "a."]
)
def test_a_file_is_kept_under_no_other_name(bench: Bench, name: str) -> None:
    response = bench.call("POST", "/files", files={name: "YQ=="})

    assert code(response) == (422, "adapter.configuration_invalid")


@pytest.mark.parametrize("body", [{"files": {"a": "%"}}, {"files": {}}, {"files": {"a": "YQ=="}, "more": 1}])
def test_files_of_another_form_are_refused(bench: Bench, body: dict[str, Any]) -> None:
    assert bench.call("POST", "/files", **body).status_code in {400, 422}


def test_an_unknown_service_or_version_is_said_to_be_unknown(bench: Bench) -> None:
    assert code(bench.call("GET", f"/adapters/{ECHO}")) == (404, "adapter.version_unknown")
    assert code(bench.call("GET", f"/adapters/{ECHO}/versions/1")) == (404, "adapter.version_unknown")
    assert code(bench.call("POST", f"/adapters/{ECHO}/versions/9/activate")) == (
        404,
        "adapter.version_unknown",
    )
    assert code(bench.call("GET", "/nothing")) == (404, "exchange.request_invalid")


def test_an_error_names_no_value(bench: Bench) -> None:
    response = bench.call("POST", "/adapters/ask", text=description(), request="张三 510103196509212758")

    assert response.status_code == 400
    assert "张三" not in response.text


def test_a_version_is_put_to_its_contracts_test_and_answers_only_when_it_passed(tmp_path: Path) -> None:
    bench = bench_in(tmp_path, rules=Rules(needs_test=True))
    one = f"/adapters/{ECHO}/versions"
    good, bad = description(), description(response={"object": {"text": {"value": 7}}})
    for number, text in ((1, bad), (2, good)):
        assert bench.call("POST", "/adapters/versions", text=text).json()["number"] == number
        assert code(bench.call("POST", f"{one}/{number}/activate")) == (409, "adapter.test_missing")

    failed = bench.call("POST", f"{one}/1/test").json()
    assert failed["passed"] is False
    assert "contract.response_invalid" in {case["code"] for case in failed["cases"]}
    assert code(bench.call("POST", f"{one}/1/activate")) == (409, "adapter.test_missing")

    passed = bench.call("POST", f"{one}/2/test", samples=[{"text": "a"}, {"text": "b"}]).json()
    assert passed["passed"] is True
    assert bench.call("POST", f"{one}/2/activate").json()["state"] == "active"
    assert [event["kind"] for event in bench.call("GET", "/events").json()["events"]].count("tested") == 2
    assert code(bench.call("POST", f"{one}/9/test")) == (404, "adapter.version_unknown")
