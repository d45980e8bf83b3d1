# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from adapters.addresses import AddressGuard, endpoint_of, parse_allowed
from adapters.web import Outgoing, TlsSettings, WebClient
from hub.errors import AdapterError
from tests.adapters.running import free_port, running_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.requests import Request


def answering(*answers: Sequence[str]) -> Callable[[str, int], Sequence[str]]:
    """Return a resolver that gives one answer after the other, as a rebinding name server does."""
    remaining: Iterator[Sequence[str]] = iter(answers)
    return lambda _host, _port: next(remaining)


def guard(*listed: str, own: str | None = None, means: Sequence[str] = ()) -> AddressGuard:
    return AddressGuard(
        map(parse_allowed, listed),
        own=() if own is None else (endpoint_of(own),),
        resolve=lambda host, _port: means or [host.strip("[]")],
    )


def refusal(judge: AddressGuard, host: str, port: int) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        judge.addresses(host, port)
    return caught.value


def test_the_descriptions_own_address_is_allowed_and_nothing_beside_it() -> None:
    own = guard(own="https://hr.example.cn/soap", means=["10.1.2.3", "fd00::3"])

    assert own.addresses("hr.example.cn", 443) == ["10.1.2.3", "fd00::3"]
    assert own.addresses("HR.example.cn.", 443) == ["10.1.2.3", "fd00::3"]
    for host, port in (("hr.example.cn", 22), ("pay.example.cn", 443), ("10.1.2.3", 443)):
        error = refusal(own, host, port)
        assert (error.code, error.is_retryable) == ("adapter.address_forbidden", False)
        assert f"{host}:{port}" in error.detail


@pytest.mark.parametrize("own", ["http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost:8080"])
def test_a_description_may_name_this_machine_itself(own: str) -> None:
    host, port = endpoint_of(own)
    means = ["127.0.0.1"] if host == "localhost" else [host]

    assert guard(own=own, means=means).addresses(host, port) == means


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "0.0.0.0",  # noqa: S104 - connecting to it reaches this machine
        "::",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "100.100.100.200",
        "fd00:ec2::254",
        "168.63.129.16",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "240.0.0.1",
    ],
)
def test_a_name_never_opens_a_special_address(address: str) -> None:
    listed = guard("hr.example.cn:80", means=[address])
    own = guard(own="http://hr.example.cn", means=[address])

    for judge in (listed, own):
        assert refusal(judge, "hr.example.cn", 80).code == "adapter.address_forbidden"


def test_a_name_with_an_ordinary_and_a_special_address_is_reached_at_the_ordinary_one_only() -> None:
    judge = guard(own="http://hr.example.cn", means=["127.0.0.1", "10.0.0.9", "169.254.169.254"])

    assert judge.addresses("hr.example.cn", 80) == ["10.0.0.9"]


@pytest.mark.parametrize("metadata", ["169.254.169.254", "100.100.100.200"])
def test_where_clouds_keep_secrets_the_descriptions_own_word_is_not_enough(metadata: str) -> None:
    own = guard(own=f"http://{metadata}/latest")

    assert refusal(own, metadata, 80).code == "adapter.address_forbidden"
    assert guard(f"{metadata}:80").addresses(metadata, 80) == [metadata]


@pytest.mark.parametrize("written", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "①②⑦.0.0.1"])
def test_other_ways_to_write_this_machine_do_not_open_it(written: str) -> None:
    judge = AddressGuard([parse_allowed(f"{written}:80")])

    assert refusal(judge, written, 80).code in {"adapter.address_forbidden", "adapter.system_unreachable"}


def test_a_list_takes_the_place_of_the_descriptions_own_address() -> None:
    pinned = guard("10.1.0.0/16:443", own="https://hr.example.cn", means=["10.1.2.3", "10.2.2.3"])

    assert pinned.addresses("hr.example.cn", 443) == ["10.1.2.3"]
    assert refusal(pinned, "hr.example.cn", 80).code == "adapter.address_forbidden"


def test_a_list_may_leave_the_port_open_and_name_ipv6_networks() -> None:
    assert guard("127.0.0.1:*").addresses("127.0.0.1", 5432) == ["127.0.0.1"]
    assert guard("[fd00:1::/32]:443", means=["fd00:1::7"]).addresses("hr.example.cn", 443) == ["fd00:1::7"]


@pytest.mark.parametrize(
    "written",
    [
        "",
        "hr.example.cn",
        "hr.example.cn:0",
        "hr.example.cn:65536",
        "10.1.0.5/16:80",
        "fd00::1:80",
        "a b:80",
        80,
    ],
)
def test_an_entry_that_is_no_address_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"address|network"):
        parse_allowed(written)


@pytest.mark.parametrize(
    "url", ["hr.example.cn", "http://", "ftp://hr.example.cn", "http://h:99999", "http://[::1"]
)
def test_a_url_without_host_or_port_leads_nowhere(url: str) -> None:
    with pytest.raises(AdapterError) as caught:
        endpoint_of(url)

    assert caught.value.code == "adapter.configuration_invalid"


def test_a_name_that_means_nothing_is_unreachable_and_not_forbidden() -> None:
    error = refusal(AddressGuard(own=[("no-such-host.invalid", 80)]), "no-such-host.invalid", 80)

    assert (error.code, error.is_retryable) == ("adapter.system_unreachable", True)


def test_a_connection_is_made_to_the_address_that_was_judged() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        judge = AddressGuard(own=[("127.0.0.1", port)])
        with closing(judge.connect("127.0.0.1", port, 5)) as connection:
            assert connection.getpeername() == ("127.0.0.1", port)
    with pytest.raises(AdapterError) as caught:
        judge.connect("127.0.0.1", port, 5)
    assert caught.value.code == "adapter.system_unreachable"


def _client(judge: AddressGuard) -> WebClient:
    return WebClient(max_answer_bytes=100_000, tls=TlsSettings(), guard=judge, at="services.0")


def test_a_name_server_that_changes_its_mind_does_not_reach_this_machine() -> None:
    """The first answer is harmless, the second is this machine: what is judged is what is connected to."""
    asked: list[str] = []

    async def secret(request: Request) -> JSONResponse:
        asked.append(request.url.path)
        return JSONResponse({})

    with running_app(Starlette(routes=[Route("/", secret)])) as port:
        judge = AddressGuard(
            own=[("rebinding.example.cn", port)],
            resolve=answering(["192.0.2.1"], ["127.0.0.1"], ["127.0.0.1"]),
        )
        judge.addresses("rebinding.example.cn", port)
        client = _client(judge)
        try:
            for _ in range(2):
                with pytest.raises(AdapterError) as caught:
                    client.send(Outgoing("GET", f"http://rebinding.example.cn:{port}/"), seconds=5)
                assert caught.value.code == "adapter.address_forbidden"
        finally:
            client.close()
    assert asked == []


def test_an_allowed_name_is_asked_by_its_name() -> None:
    hosts: list[str] = []

    async def answer(request: Request) -> JSONResponse:
        hosts.append(request.headers["host"])
        return JSONResponse({})

    with running_app(Starlette(routes=[Route("/", answer)])) as port:
        judge = AddressGuard([parse_allowed(f"127.0.0.1:{port}")], resolve=answering(["127.0.0.1"]))
        client = _client(judge)
        try:
            reply = client.send(Outgoing("GET", f"http://hr.example.cn:{port}/"), seconds=5)
        finally:
            client.close()
    assert (reply.status_code, hosts) == (httpx2.codes.OK, [f"hr.example.cn:{port}"])


def test_a_port_nobody_listens_on_is_unreachable() -> None:
    port = free_port()
    client = _client(AddressGuard(own=[("127.0.0.1", port)]))
    try:
        with pytest.raises(AdapterError) as caught:
            client.send(Outgoing("GET", f"http://127.0.0.1:{port}/"), seconds=5)
    finally:
        client.close()
    assert caught.value.code == "adapter.system_unreachable"
