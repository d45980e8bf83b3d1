# SPDX-License-Identifier: Apache-2.0
"""A preview gives what production gives, for any mapping and any sample."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.configuration import build_adapters
from adapters.ports import Call, DeferredError
from adapters.register import preview
from adapters.register.rules import split
from hub.clock import FixedClock
from hub.contracts import load_contracts
from hub.errors import AdapterError
from hub.identifiers import ContractId, MessageId, SubsystemId
from tests.adapters.register.building import ECHO, MemoryAdapter
from tests.adapters.running import CONTRACTS, PURPOSE, TODAY

ID = MessageId("01a0a338-be00-7f6b-a862-e919983cef38")
TRUE = st.sampled_from([True])
NAMES = ["a", "b", "名"]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.sampled_from(["", "1", "007", "x", "20260301", "2026-03-01", "true", " 1 ", "张"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=12,
)
ROOTS = ["answer", "item", "request", "group"]
PATHS = st.builds(
    lambda root, steps: ".".join([root, *steps]),
    st.sampled_from(ROOTS),
    st.lists(st.sampled_from(NAMES), max_size=2),
)
EXPRESSIONS = st.one_of(
    PATHS,
    PATHS.map(lambda path: f"len({path}) > 0" if "名" not in path else path),
    st.sampled_from(["answer.a == 1", 'answer["名"]', "call.message_id", "call.on_date", "answer.a + 1"]),
)
FIELDS = st.one_of(
    EXPRESSIONS,
    st.fixed_dictionaries(
        {
            "from": EXPRESSIONS,
            "type": st.sampled_from(["text", "integer", "decimal", "boolean", "any", "instant"]),
        },
        optional={"optional": TRUE, "absent": st.just(["x", ""])},
    ),
    st.fixed_dictionaries(
        {"from": EXPRESSIONS, "type": st.just("date"), "format": st.sampled_from(["%Y%m%d", "%Y-%m-%d"])},
        optional={"nullable": TRUE},
    ),
    st.fixed_dictionaries(
        {"from": EXPRESSIONS, "list": st.sampled_from(["fixed", "dated"])},
        optional={"reverse": st.booleans(), "on_date": st.sampled_from(["answer.a", "call.on_date"])},
    ),
    st.fixed_dictionaries({"value": SCALARS}),
)
NODES = st.recursive(
    FIELDS,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=3).map(lambda members: {"object": members}),
        st.fixed_dictionaries(
            {"each": EXPRESSIONS, "as": inner},
            optional={
                "where": st.sampled_from(["item.a == 1", "item.b", "true"]),
                "group": st.lists(st.just("item.a"), min_size=1, max_size=1),
                "with": st.dictionaries(st.just("group"), PATHS, max_size=1),
                "optional": TRUE,
            },
        ),
        st.fixed_dictionaries({"one": EXPRESSIONS, "as": inner}, optional={"where": st.just("item.a == 1")}),
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES), NODES, max_size=4).map(lambda members: {"object": members})
OUTCOMES = st.lists(
    st.sampled_from(
        [
            {"when": "answer.a == 1", "error": "record_not_found"},
            {"when": "answer.b == true", "deferred_seconds": 60},
            {"when": "answer.a", "error": "system_fault"},
        ]
    ),
    max_size=2,
)


@cache
def echo() -> Any:
    return load_contracts(CONTRACTS)[ContractId("echo/v1")]


def text_of(request: Any, response: Any, outcomes: Any) -> str:
    entry = {
        "service": ECHO,
        "contract": "echo/v1",
        "kind": "memory",
        "timeout_seconds": 5,
        "request": request,
        "response": response,
        "outcomes": outcomes,
        "code_lists": {
            "fixed": {"1": "a", "2": "b", "true": 1},
            "dated": [
                {"code": "1", "value": "a", "valid_to": "2020-01-01"},
                {"code": "1", "value": "b", "valid_from": "2020-01-02"},
            ],
        },
    }
    return yaml.safe_dump({"services": [entry]}, allow_unicode=True, sort_keys=False)


def production(text: str, sample: Any, asked: Any, call: Call) -> tuple[Any, Any]:
    """Do what a gateway does: build the adapter of the description, and let it map."""
    [canonical] = split(text).values()
    content = {"services": [yaml.safe_load(canonical)]}
    built = build_adapters(
        content,
        at="x",
        folder=CONTRACTS,
        factories={"memory": MemoryAdapter},
        clock=FixedClock(TODAY),
        environment={},
    )
    adapter: Any = built[ECHO].adapter
    translation = adapter.entry.translation

    def outcome(work: Any) -> Any:
        try:
            return work()
        except DeferredError as error:
            return ("deferred", str(error))
        except AdapterError as error:
            return (error.code, error.detail)

    return (
        outcome(lambda: translation.to_system(asked, call)),
        outcome(lambda: translation.to_contract(sample, asked, call)),
    )


@given(OBJECTS, OBJECTS, OUTCOMES, VALUES.filter(lambda value: value is not None), VALUES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_preview_gives_what_production_gives(
    request: Any, response: Any, outcomes: Any, sample: Any, asked: Any
) -> None:
    text = text_of(request, response, outcomes)
    asked = asked if isinstance(asked, dict) else {"a": asked}
    call = Call(ID, ID, ECHO, SubsystemId("13510108MB1A00003J/fund"), PURPOSE, 5.0)
    before = copy.deepcopy((sample, asked))
    to_system, to_contract = production(text, sample, asked, call)

    previewed = preview(
        text,
        contract=echo(),
        sample_request=asked,
        sample_answer=sample,
        clock=FixedClock(TODAY),
        call=call,
    )
    for side, expected in ((previewed.request, to_system), (previewed.answer, to_contract)):
        got = side.result if side.refusal is None else (side.refusal.code, side.refusal.detail)
        assert got == expected
        # What is told of the fields fits what production does: it stops where a field has a problem.
        problems = [field for field in side.fields if field.problem]
        assert not problems or side.refusal is not None
    assert (sample, asked) == before
