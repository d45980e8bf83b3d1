# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import yaml

from adapters.register import LiveServices
from hub.errors import AdapterError
from hub.identifiers import ContractId
from tests.adapters.register.building import ECHO, Made, description, register_of
from tests.adapters.running import call_of


def test_a_call_under_way_ends_on_the_adapter_it_began_with() -> None:
    made, live = Made(), LiveServices()
    register = register_of(made, live=live)
    register.activate(ECHO, register.save(description(), "周敏").number, "周敏")
    register.save(description(says="two"), "周敏")
    [old] = made.open
    has_begun, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        has_begun.set()
        assert may_end.wait(10)

    old.on_call = hold
    was_closed: list[bool] = []
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(live[ECHO].adapter.answer, {}, call_of(live[ECHO]))
        assert has_begun.wait(10)
        register.activate(ECHO, 2, "周敏")
        assert live[ECHO].adapter.answer({}, call_of(live[ECHO])).data == {"text": "two"}
        was_closed.append(old.is_closed)
        may_end.set()
        assert under_way.result(10).data == {"text": "one"}
    assert [*was_closed, old.is_closed] == [False, True]
    live.close()
    assert not made.open


def test_who_found_the_old_adapter_and_asks_too_late_is_handed_on() -> None:
    made, live = Made(), LiveServices()
    register = register_of(made, live=live)
    register.activate(ECHO, register.save(description(), "周敏").number, "周敏")
    found = live[ECHO]
    register.activate(ECHO, register.save(description(says="two"), "周敏").number, "周敏")

    assert found.adapter.answer({}, call_of(found)).data == {"text": "two"}
    other = next(iter(made.build(yaml.safe_load(description(says="three")), "x").values()))
    live.swap(ECHO, replace(other, contract=ContractId("echo/v2")))
    with pytest.raises(AdapterError) as caught:
        found.adapter.answer({}, call_of(found))
    assert caught.value.code == "adapter.version_replaced"
    assert caught.value.is_retryable
    live.swap(ECHO, None)
    with pytest.raises(AdapterError) as caught:
        found.adapter.answer({}, call_of(found))
    assert caught.value.code == "adapter.service_unknown"


def test_nothing_fails_while_versions_change_under_load() -> None:
    made, live = Made(), LiveServices()
    register = register_of(made, live=live)
    for number in range(6):
        register.save(description(says=str(number)), "周敏")
    register.activate(ECHO, 1, "周敏")
    is_over = threading.Event()

    def ask() -> int:
        count = 0
        while not is_over.is_set():
            configured = live[ECHO]
            assert configured.adapter.answer({}, call_of(configured)).data["text"] in list("012345")
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        for turn in range(60):
            register.activate(ECHO, 1 + turn % 6, "周敏")
        is_over.set()
        assert sum(each.result(10) for each in asking) > 0
    assert len(made.open) == 1
    live.close()
    assert not made.open


def test_whoever_walks_through_the_services_is_not_disturbed() -> None:
    made, live = Made(), LiveServices()
    register = register_of(made, live=live)
    register.activate(ECHO, register.save(description(), "周敏").number, "周敏")

    for service in live:
        live.swap(service, None)
    assert len(live) == 0
