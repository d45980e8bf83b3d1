# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, cast

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from adapters.simulators.misbehaviour import Misbehaviour, StandIn
from adapters.simulators.population import SECOND_EMPLOYER, population
from hub.errors import AdapterError
from tests.adapters.running import call_of, check_response, described, free_port, only_adapter, running_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.requests import Request

    from adapters.configuration import ConfiguredAdapter
    from adapters.ports import JsonObject
    from tests.adapters.running import RunningStandIns

DEMO = "federation.yaml"
STAFF = [one.person for one in population(2026).staff(SECOND_EMPLOYER, 2026)]
QUESTION: JsonObject = {"person_ids": [person.person_id for person in STAFF]}
ONE_BY_ONE: dict[str, object] = {
    "connection__for_each": "request.person_ids",
    "connection__parallel": 4,
    "connection__method": "GET",
    "connection__path": "/api/cjrzh/{zjhm}",
    "request": {"object": {"path": {"object": {"zjhm": "item"}}}},
    "outcomes": [],
}


def refusal(configured: ConfiguredAdapter, *, seconds: float = 10.0) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        configured.adapter.answer(QUESTION, call_of(configured, timeout_seconds=seconds))
    return caught.value


def test_the_register_answers_a_list_in_the_words_of_the_contract(stand_ins: RunningStandIns) -> None:
    with stand_ins.adapter(DEMO) as configured:
        answer = configured.adapter.answer(QUESTION, call_of(configured))

    check_response("disability-certificate/v1", answer.data)
    certificates = cast("list[dict[str, Any]]", answer.data["certificates"])
    assert len(certificates) == 7
    assert len(cast("list[str]", answer.data["not_found"])) == len(STAFF) - 7
    assert {one["status"] for one in certificates} == {"01", "02"}
    soldiers = [one for one in certificates if one["kind"] == "military"]
    assert [(one["category"], one["grade"], one["valid_to"]) for one in soldiers] == [
        (None, 2, None),
        (None, 6, None),
    ]
    [reissued] = [one for one in certificates if "B" in one["certificate_number"] and one["kind"] == "civil"]
    assert reissued["certificate_number"] == f"{reissued['person_id']}42B1"


def test_the_register_can_be_asked_one_by_one(stand_ins: RunningStandIns, tmp_path: Path) -> None:
    with stand_ins.adapter(DEMO) as configured:
        listed = configured.adapter.answer(QUESTION, call_of(configured)).data
    path = described(tmp_path, DEMO, **ONE_BY_ONE)
    _ask_item_by_item(path)
    with only_adapter(path, stand_ins.environment) as configured:
        answer = configured.adapter.answer(QUESTION, call_of(configured))

    assert answer.data == listed


def _ask_item_by_item(path: Path) -> None:
    """Rewrite the answer mapping for an array of `{item, is_found, body}`."""
    text = path.read_text(encoding="utf-8")
    text = text.replace("item.cxjg == 1", "item.is_found").replace("item.cxjg == 0", "not item.is_found")
    text = text.replace("each: answer.data", "each: answer").replace("as: item.zjhm", "as: item.item")
    for name in ("zjhm", "xm", "zjlx", "zh", "cjlb", "cjdj", "yxqq", "yxqz", "zt"):
        text = text.replace(f": item.{name}\n", f": item.body.data.{name}\n")
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("how", "code", "detail"),
    [
        (Misbehaviour.FAULT, "system_fault", "HTTP 500"),
        (Misbehaviour.SLOW, "system_timeout", ""),
        (Misbehaviour.UNKNOWN_CODE, "mapping_failed", "证件状态"),
        (Misbehaviour.OVERSIZED, "answer_unreadable", "10000000"),
        (Misbehaviour.HALF_WRITTEN, "answer_unreadable", "not JSON"),
        (Misbehaviour.REDIRECT, "answer_unreadable", "198.51.100.7"),
    ],
)
def test_a_register_that_misbehaves_is_refused(
    stand_ins: RunningStandIns, how: Misbehaviour, code: str, detail: str
) -> None:
    with stand_ins.adapter(DEMO) as configured:
        with stand_ins.misbehaving(StandIn.REST, how):
            error = refusal(configured, seconds=0.7)
        assert configured.adapter.answer(QUESTION, call_of(configured)).data

    assert error.code == f"adapter.{code}"
    assert detail in error.detail
    assert STAFF[0].person_id not in str(error)


def test_a_wrong_key_is_a_fault_of_the_system(stand_ins: RunningStandIns, tmp_path: Path) -> None:
    environment = {**stand_ins.environment, "REGISTER_API_KEY": "wrong"}
    with only_adapter(described(tmp_path, DEMO), environment) as configured:
        assert (refusal(configured).code, refusal(configured).detail) == ("adapter.system_fault", "HTTP 401")


def test_a_register_nobody_answers_for_is_unreachable(tmp_path: Path) -> None:
    environment = {"REGISTER_PORT": str(free_port()), "REGISTER_API_KEY": "x"}
    with only_adapter(described(tmp_path, DEMO), environment) as configured:
        error = refusal(configured)

    assert (error.code, error.is_retryable) == ("adapter.system_unreachable", True)


class Recorder:
    """A service that answers as it is told and remembers what it was asked."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.asked: list[Request] = []

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self.reply, methods=["GET", "POST", "PUT"])])

    async def reply(self, request: Request) -> Response:
        self.asked.append(request)
        await request.body()
        return self.response


SMALL: dict[str, object] = {
    "response": {"object": {"echo": {"from": "answer.v", "type": "any", "nullable": True}}},
    "outcomes": [],
    "code_lists": {},
}


def small(folder: Path, **changes: object) -> Path:
    return described(folder, DEMO, **{**SMALL, **changes})


def environment_of(port: int) -> dict[str, str]:
    return {"REGISTER_PORT": str(port), "REGISTER_API_KEY": "x"}


@pytest.mark.parametrize(
    ("status", "statuses", "code"),
    [
        (404, {}, "record_not_found"),
        (409, {"409": "record_ambiguous"}, "record_ambiguous"),
        (422, {}, "system_fault"),
        (429, {}, "system_unreachable"),
        (503, {}, "system_unreachable"),
        (504, {}, "system_timeout"),
        (304, {}, "answer_unreadable"),
    ],
)
def test_a_status_has_its_meaning(tmp_path: Path, status: int, statuses: dict[str, str], code: str) -> None:
    with running_app(Recorder(Response(status_code=status)).app()) as port:
        path = small(tmp_path, connection__statuses=statuses)
        with only_adapter(path, environment_of(port)) as configured:
            assert refusal(configured).code == f"adapter.{code}"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"v": 1, "v": 2}', b'{"v": NaN}', b"[" * 100_000, '{"v": "文"}'.encode("gb18030"), b"\xff"],
)
def test_a_body_that_is_not_strict_json_is_refused(tmp_path: Path, body: bytes) -> None:
    with (
        running_app(Recorder(Response(body, media_type="application/json")).app()) as port,
        only_adapter(small(tmp_path), environment_of(port)) as configured,
    ):
        assert refusal(configured).code == "adapter.answer_unreadable"


def test_a_number_keeps_its_digits(tmp_path: Path) -> None:
    recorder = Recorder(Response(b'{"v": [4500.10, 12345678901234567890.123456789, 7]}'))
    with (
        running_app(recorder.app()) as port,
        only_adapter(small(tmp_path), environment_of(port)) as configured,
    ):
        answer = configured.adapter.answer(QUESTION, call_of(configured))

    assert answer.data == {"echo": ["4500.10", "12345678901234567890.123456789", 7]}


def test_an_old_encoding_can_be_described(tmp_path: Path) -> None:
    recorder = Recorder(Response('{"v": "成华区"}'.encode("gb18030")))
    path = small(tmp_path, connection__encoding="gb18030")
    with running_app(recorder.app()) as port, only_adapter(path, environment_of(port)) as configured:
        assert configured.adapter.answer(QUESTION, call_of(configured)).data == {"echo": "成华区"}


def test_a_compressed_body_is_refused(tmp_path: Path) -> None:
    recorder = Recorder(Response(b"\x1f\x8b", headers={"content-encoding": "gzip"}))
    with (
        running_app(recorder.app()) as port,
        only_adapter(small(tmp_path), environment_of(port)) as configured,
    ):
        assert "compressed" in refusal(configured).detail


@pytest.mark.parametrize(
    ("auth", "header", "expected"),
    [
        ({"kind": "bearer", "secret": "env:REGISTER_API_KEY"}, "authorization", "Bearer x"),
        (
            {"kind": "basic", "username": "qzj", "secret": "env:REGISTER_API_KEY"},
            "authorization",
            "Basic cXpqOng=",
        ),
        ({"kind": "api_key", "secret": "env:REGISTER_API_KEY"}, "x-api-key", "x"),
    ],
)
def test_the_gateway_signs_in_as_described(
    tmp_path: Path, auth: dict[str, object], header: str, expected: str
) -> None:
    recorder = Recorder(JSONResponse({"v": 1}))
    path = small(tmp_path, connection__auth=auth)
    with running_app(recorder.app()) as port, only_adapter(path, environment_of(port)) as configured:
        configured.adapter.answer(QUESTION, call_of(configured))

    assert recorder.asked[0].headers[header] == expected


def test_path_and_query_are_filled_and_escaped(tmp_path: Path) -> None:
    recorder = Recorder(JSONResponse({"v": 1}))
    parts = {"path": {"object": {"id": {"value": "../a b/ä?"}}}, "query": {"object": {"n": {"value": 7}}}}
    path = small(tmp_path, connection__path="/r/{id}/x", connection__method="GET", request={"object": parts})
    with running_app(recorder.app()) as port, only_adapter(path, environment_of(port)) as configured:
        configured.adapter.answer(QUESTION, call_of(configured))

    assert recorder.asked[0].scope["raw_path"] == b"/r/..%2Fa%20b%2F%C3%A4%3F/x"
    assert recorder.asked[0].url.query == "n=7"


@pytest.mark.parametrize("value", ["..", ".", ""])
def test_a_path_that_would_lead_elsewhere_is_not_asked(tmp_path: Path, value: str) -> None:
    recorder = Recorder(JSONResponse({"v": 1}))
    request = {"object": {"path": {"object": {"id": {"value": value}}}}}
    path = small(tmp_path, connection__path="/r/{id}/x", connection__method="GET", request=request)
    with running_app(recorder.app()) as port, only_adapter(path, environment_of(port)) as configured:
        assert refusal(configured).code == "adapter.mapping_failed"

    assert not recorder.asked


def test_a_service_that_drips_is_given_up(tmp_path: Path) -> None:
    stop = threading.Event()

    def drip() -> Iterator[bytes]:
        while not stop.wait(0.1):
            yield b" "

    recorder = Recorder(StreamingResponse(drip()))
    with (
        running_app(recorder.app()) as port,
        only_adapter(small(tmp_path), environment_of(port)) as configured,
    ):
        started = time.monotonic()
        error = refusal(configured, seconds=0.5)
        stop.set()

    assert error.code == "adapter.system_timeout"
    assert time.monotonic() - started < 5
