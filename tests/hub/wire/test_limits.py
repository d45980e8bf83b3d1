# SPDX-License-Identifier: Apache-2.0
"""What callers may not take: bytes, time and connections; attacked over real sockets."""

from __future__ import annotations

import json
import resource
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from hub.wire import WireLimits, read_limits
from tests.hub.wire.servers import LARGE, Served, guarded, read_all, request_of, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

HASTY = WireLimits(
    header_bytes=2048,
    header_fields=20,
    body_bytes=100_000,
    body_bytes_below=(("/tls", 10),),
    header_seconds=1,
    window_seconds=1,
    least_bytes_per_second=1000,
    idle_seconds=1,
    handshake_seconds=1,
    connections=40,
    connections_per_address=30,
    requests_per_connection=3,
)


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    with guarded(limits=HASTY, loop=request.param) as running:
        yield running


def code_of(answer: bytes) -> str:
    """Read the code of a problem document, which is the whole of what was answered."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    problem = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % problem["status"])
    assert problem["cure"]
    return str(problem["code"])


def answer_to(served: Served, *pieces: bytes) -> bytes:
    with served.connect() as connection:
        for piece in pieces:
            connection.sendall(piece)
        return read_all(connection)


def test_an_ordinary_request_is_answered(served: Served) -> None:
    answer = answer_to(
        served, request_of("POST", "/", "Connection: close", "Content-Length: 5", body=b"12345")
    )
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b'{"bytes":5}')


def test_a_body_in_pieces_and_chunks_is_answered(served: Served) -> None:
    pieces = [b"5\r\n12345\r\n"] * 200 + [b"0\r\nTrailer: 1\r\n\r\n"]
    head = request_of("POST", "/", "Connection: close", "Transfer-Encoding: chunked")
    assert answer_to(served, head, *pieces).endswith(b'{"bytes":1000}')


@pytest.mark.parametrize(
    "pieces",
    [
        [request_of("GET", "/", "X: " + "a" * 3000)],
        [request_of("GET", "/" + "a" * 3000)],
        [request_of("GET", "/", *["X: 1"] * 30)],
        # A field that never ends is not handed over by the parser.
        [b"GET / HTTP/1.1\r\nX: ", *[b"a" * 1000] * 400],
        [b"GET /", *[b"a" * 1000] * 400],
        [request_of("POST", "/", "Transfer-Encoding: chunked"), b"1\r\na\r\n0\r\n", *[b"X: 1\r\n"] * 1000],
        [request_of("POST", "/", "Transfer-Encoding: chunked"), b"0\r\nX: ", *[b"a" * 1000] * 400],
        [request_of("POST", "/", "Transfer-Encoding: chunked"), b"5;x=", *[b"a" * 1000] * 400],
    ],
    ids=["field", "target", "fields", "endless field", "endless target", "trailers", "trailer", "chunk"],
)
def test_too_much_of_a_header_is_refused(served: Served, pieces: list[bytes]) -> None:
    with served.connect() as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.0005)
        except ConnectionError:
            pass  # It was refused while more was sent.
        assert code_of(read_all(connection)) == "wire.headers_too_large"


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read(served: Served) -> None:
    answer = answer_to(served, request_of("POST", "/", f"Content-Length: {10**15}"))
    assert code_of(answer) == "wire.body_too_large"


def test_a_body_that_becomes_too_large_is_refused(served: Served) -> None:
    head = request_of("POST", "/", "Transfer-Encoding: chunked")
    with served.connect() as connection:
        connection.sendall(head)
        try:
            for _ in range(200):
                connection.sendall(b"1000\r\n" + bytes(4096) + b"\r\n")
        except ConnectionError:
            pass
        assert code_of(read_all(connection)) == "wire.body_too_large"


def test_a_path_may_have_a_limit_of_its_own(served: Served) -> None:
    answer = answer_to(served, request_of("POST", "/tls", "Content-Length: 11", body=bytes(11)))
    assert code_of(answer) == "wire.body_too_large"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"NONSENSE\r\n\r\n",
        request_of("POST", "/", "Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        request_of("POST", "/", "Content-Length: 5", "Content-Length: 6"),
        request_of("POST", "/", "Content-Length: 99999999999999999999999999"),
        request_of("POST", "/", "Content-Length: -5"),
        request_of("POST", "/", "Transfer-Encoding: chunked", body=b"zz\r\n"),
        b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\x00: c\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(served: Served, sent: bytes) -> None:
    assert code_of(answer_to(served, sent)) == "wire.request_malformed"


def test_a_header_that_comes_slowly_is_refused(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        try:
            for _ in range(100):
                connection.sendall(b"X: 1\r\n")
                time.sleep(0.2)
        except ConnectionError:
            pass
        else:
            pytest.fail("it was let go on")


def test_who_connects_and_sends_nothing_is_let_go_in_silence(served: Served) -> None:
    with served.connect() as connection:
        assert read_all(connection) == b""


def test_who_sends_half_a_header_and_no_more_is_told(served: Served) -> None:
    assert code_of(answer_to(served, b"GET / HTTP/1.1\r\nX: ")) == "wire.too_slow"


def test_a_body_that_comes_slowly_is_refused(served: Served) -> None:
    with served.connect() as connection:
        # What came fast in the beginning buys no time.
        connection.sendall(request_of("POST", "/", "Content-Length: 90000", body=bytes(50_000)))
        try:
            for _ in range(100):
                connection.sendall(b"a")
                time.sleep(0.1)
        except ConnectionError:
            pass
        else:
            pytest.fail("it was let go on")


def test_a_body_that_stops_is_refused_and_its_sender_told(served: Served) -> None:
    answer = answer_to(served, request_of("POST", "/", "Content-Length: 90000", body=bytes(50_000)))
    assert code_of(answer) == "wire.too_slow"


def test_an_application_may_be_slow(served: Served) -> None:
    answer = answer_to(served, request_of("GET", "/slow", "Connection: close"))
    assert answer.endswith(b"at last")


@pytest.mark.parametrize("bytes_each_time", [0, 20])
def test_an_answer_that_is_taken_slowly_is_cut_off(served: Served, bytes_each_time: int) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", served.port))
        before = served.keeper.refused["wire.too_slow"]
        connection.sendall(request_of("GET", "/large", "Connection: close"))
        while served.keeper.refused["wire.too_slow"] == before:
            connection.recv(bytes_each_time) if bytes_each_time else None
            time.sleep(0.1)
        assert len(read_all(connection)) < LARGE


def test_an_answer_that_is_taken_steadily_arrives_whole(served: Served) -> None:
    assert len(answer_to(served, request_of("GET", "/large", "Connection: close"))) > LARGE


@pytest.mark.parametrize("sent_meanwhile", [b"", b"\r\n"])
def test_an_idle_connection_ends(served: Served, sent_meanwhile: bytes) -> None:
    with served.connect() as connection:
        connection.sendall(request_of("GET", "/"))
        begun = connection.recv(65536)
        assert begun.startswith(b"HTTP/1.1 200")
        connection.settimeout(0.3)
        for _ in range(50):
            try:
                if sent_meanwhile:
                    # Empty lines before a request are allowed, and hold no connection.
                    connection.sendall(sent_meanwhile)
                if connection.recv(10) == b"":
                    return
            except TimeoutError:
                continue
            except ConnectionError:
                return
        pytest.fail("it was kept")


def test_a_connection_serves_so_many_requests(served: Served) -> None:
    answers = answer_to(served, request_of("GET", "/") * 5)
    assert answers.count(b"HTTP/1.1 200") == 3
    assert answers.count(b"connection: close") == 1


def test_a_request_that_fails_takes_no_other_along(served: Served) -> None:
    answers = answer_to(served, request_of("GET", "/fail"), request_of("GET", "/", "Connection: close"))
    assert answers.count(b"HTTP/1.1 500") == 1
    assert answers.count(b"HTTP/1.1 200") == 1


def test_requests_in_one_go_are_answered_in_their_order(served: Served) -> None:
    bodies = [request_of("POST", "/", f"Content-Length: {size}", body=bytes(size)) for size in (1, 2, 3)]
    answers = answer_to(served, b"".join(bodies))
    assert [answers.index(b'{"bytes":%d}' % size) for size in (1, 2, 3)] == sorted(
        answers.index(b'{"bytes":%d}' % size) for size in (1, 2, 3)
    )


def test_an_answer_is_never_taken_for_that_to_another_request(served: Served) -> None:
    # The second request is malformed while the first is being answered.
    answer = answer_to(served, request_of("GET", "/slow"), b"NONSENSE\r\n\r\n")
    assert answer == b""


def test_one_address_has_so_many_connections_and_gets_more_when_some_end(served: Served) -> None:
    wait_until(lambda: served.keeper.connections == 0)
    with ExitStack() as stack:
        for _ in range(HASTY.connections_per_address):
            stack.enter_context(served.connect())
        wait_until(lambda: served.keeper.connections == HASTY.connections_per_address)
        assert code_of(answer_to(served)) == "wire.too_many_connections"
    wait_until(lambda: served.keeper.connections == 0)
    assert answer_to(served, request_of("GET", "/", "Connection: close")).startswith(b"HTTP/1.1 200")


def test_all_addresses_together_have_so_many_connections() -> None:
    limits = WireLimits(connections=5, connections_per_address=5)
    with guarded(limits=limits) as served, ExitStack() as stack:
        for number in range(5):
            connection = stack.enter_context(socket.socket())
            connection.bind((f"127.0.0.{number + 2}", 0))
            connection.connect(("127.0.0.1", served.port))
        wait_until(lambda: served.keeper.connections == 5)
        assert code_of(answer_to(served)) == "wire.too_many_connections"


def test_a_server_ends_while_slow_clients_hold_connections() -> None:
    with ExitStack() as stack:
        with guarded() as served:
            for sent in (b"", b"GET / HTTP/1.1\r\n", request_of("POST", "/", "Content-Length: 10")):
                connection = stack.enter_context(served.connect())
                connection.sendall(sent)
            wait_until(lambda: served.keeper.connections == 3)
        assert served.keeper.connections == 0


def test_a_flood_of_refusals_is_few_lines_of_log(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    before = served.keeper.refused["wire.request_malformed"]
    for _ in range(30):
        with served.connect() as connection:
            connection.sendall(b"NONSENSE\r\n\r\n")
            assert connection.recv(100)
    assert served.keeper.refused["wire.request_malformed"] == before + 30
    shown = capfd.readouterr()
    assert (shown.out + shown.err).count("wire.request_malformed") <= 3


def test_a_process_may_open_no_more_connections_than_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        limits = WireLimits(connections=10**9, connections_per_address=10**9).within_open_files()
        now, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert limits.connections == limits.connections_per_address < now
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "wrong", [{"conections": 5}, {"connections": 0}, {"connections": "secret"}, {"header_seconds": 0}, 5]
)
def test_limits_that_are_none_are_refused_without_repeating_them(wrong: object) -> None:
    with pytest.raises(
        ValueError, match=r"connections|conections|header_seconds|dictionary|instance"
    ) as caught:
        read_limits(wrong)
    assert "secret" not in str(caught.value)
