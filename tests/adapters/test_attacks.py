# SPDX-License-Identifier: Apache-2.0
"""A department's system that was taken over: what it says is refused with a code; the adapter lives on."""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import adapters.simulators
from hub.errors import AdapterError
from tests.adapters.running import call_of, described, only_adapter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from adapters.configuration import ConfiguredAdapter

SECRET = "what-only-this-machine-may-know"  # noqa: S105 - the bait
WSDL = Path(adapters.simulators.__file__).parent / "soap.wsdl"
_DEEP = 100_000
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


class Attacker:
    """Answers every HTTP request with the bytes it was told to, however wrong these are."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.pieces: Sequence[bytes] = ()
        self.pause_seconds = 0.0
        self.requests: list[bytes] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def says(
        self, body: bytes, media_type: str = "application/json", *headers: str, status: str = "200 OK"
    ) -> None:
        lines = [
            f"HTTP/1.1 {status}",
            f"Content-Type: {media_type}",
            f"Content-Length: {len(body)}",
            *headers,
        ]
        self.pieces = ["\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body]

    def stop(self) -> None:
        self._stopped.set()
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        self._listener.settimeout(0.1)
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(5)
                self.requests.append(_request(connection))
                for piece in self.pieces:
                    connection.sendall(piece)
                    if self.pause_seconds and self._stopped.wait(self.pause_seconds):
                        break


def _request(connection: socket.socket) -> bytes:
    """Read a request to its end: who closes before that tears down what was answered."""
    request = b""
    while True:
        head, found, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *([0-9]+)", head)
        if found and len(body) >= (int(length[1]) if length else 0):
            return request
        piece = connection.recv(65_536)
        if not piece:
            return request
        request += piece


@pytest.fixture
def attacker() -> Iterator[Attacker]:
    server = Attacker()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def rest_adapter(folder: Path, attacker: Attacker, **connection: Any) -> Iterator[ConfiguredAdapter]:
    service = {
        "service": "13510108MB1A00003J/register/disability-certificate",
        "contract": "disability-certificate/v1",
        "kind": "rest",
        "timeout_seconds": 2,
        "connection": {
            "url": f"http://127.0.0.1:{attacker.port}",
            "path": "/one",
            "max_answer_bytes": 200_000,
            **connection,
        },
        "request": {"object": {}},
        "response": {"object": {"answer": {"from": "answer", "type": "any"}}},
    }
    path = folder / "rest.yaml"
    path.write_text(yaml.safe_dump({"services": [service]}), encoding="utf-8")
    with only_adapter(path) as configured:
        yield configured


def refusal(configured: ConfiguredAdapter, question: Any = None) -> str:
    with pytest.raises(AdapterError) as caught:
        configured.adapter.answer(question or {}, call_of(configured))
    assert SECRET not in f"{caught.value}{caught.value.detail}"
    return caught.value.code


def _bomb() -> bytes:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    return f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]><x>&a11;</x>'.encode()


def _external(folder: Path) -> bytes:
    bait = folder / "bait.txt"
    bait.write_text(SECRET, encoding="utf-8")
    return f'<!DOCTYPE x [<!ENTITY e SYSTEM "{bait.as_uri()}">]><x>&e;</x>'.encode()


JSON_ATTACKS: dict[str, bytes] = {
    "nested too deep": b"[" * _DEEP + b"]" * _DEEP,
    "objects nested too deep": b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
    "too large": b'"' + b"x" * 300_000 + b'"',
    "cut off": b'{"a": [1, 2',
    "a name twice": b'{"a": 1, "a": 2}',
    "no number": b'{"a": NaN}',
    "an endless number": b"1" * 100_000,
    "no UTF-8": b'{"a": "\xff\xfe\xc3\x28"}',
    "overlong UTF-8": b'{"a": "\xc0\xaf"}',
    "UTF-16 without saying so": '{"a": 1}'.encode("utf-16"),
    "nothing": b"",
    "a page": b"<html><body>502</body></html>",
}


@pytest.mark.parametrize("attack", sorted(JSON_ATTACKS))
def test_json_that_attacks_its_reader_is_refused(attacker: Attacker, tmp_path: Path, attack: str) -> None:
    with rest_adapter(tmp_path, attacker) as configured:
        attacker.says(JSON_ATTACKS[attack])
        assert refusal(configured) == "adapter.answer_unreadable"
        attacker.says(b'{"fine": true}')
        assert configured.adapter.answer({}, call_of(configured)).data == {"answer": {"fine": True}}


def _xml_attacks(folder: Path) -> dict[str, bytes]:
    return {
        "an entity bomb": _bomb(),
        "a file of this machine": _external(folder),
        "a parameter entity": b'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;]><x/>',
        "a DTD elsewhere": b'<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><x/>',
        "a quadratic bomb": f'<!DOCTYPE x [<!ENTITY a "{"x" * 40_000}">]><x>{"&a;" * 1000}</x>'.encode(),
        "nested too deep": b"<a>" * 20_000 + b"</a>" * 20_000,
        "an unknown encoding": b'<?xml version="1.0" encoding="no-such"?><x/>',
        "no UTF-8": b"<x>\xff\xfe\xc3\x28</x>",
        "cut off": b"<x><y>",
        "nothing": b"",
    }


@pytest.mark.parametrize("attack", sorted(_xml_attacks(Path("/nowhere").parent / "tmp")))
def test_xml_that_attacks_its_reader_is_refused(attacker: Attacker, tmp_path: Path, attack: str) -> None:
    with rest_adapter(tmp_path, attacker, answer_format="xml") as configured:
        attacker.says(_xml_attacks(tmp_path)[attack], "application/xml")
        assert refusal(configured) == "adapter.answer_unreadable"
        attacker.says(b"<x>fine</x>", "application/xml")
        assert configured.adapter.answer({}, call_of(configured)).data == {"answer": {"x": "fine"}}
    assert len(attacker.requests) == 2


@pytest.mark.parametrize("attack", sorted(_xml_attacks(Path("/nowhere").parent / "tmp")))
def test_soap_that_attacks_its_reader_is_refused(attacker: Attacker, tmp_path: Path, attack: str) -> None:
    address = f"http://127.0.0.1:{attacker.port}/ygba"
    changes = {"connection__wsdl": str(WSDL), "connection__address": address, "timeout_seconds": 3}
    environment = {"LABOUR_BUREAU_PORT": str(attacker.port), "LABOUR_BUREAU_PASSWORD": "x"}
    question = {"employer": "91510108MA61A0001X", "year": 2026}
    with only_adapter(described(tmp_path, "labour-bureau.yaml", **changes), environment) as configured:
        attacker.says(_xml_attacks(tmp_path)[attack], "text/xml")
        assert refusal(configured, question) in {"adapter.answer_unreadable", "adapter.system_fault"}
        fault = f'<e:Envelope xmlns:e="{_SOAP}"><e:Body><e:Fault><faultcode>e:Server</faultcode>'
        fault += "</e:Fault></e:Body></e:Envelope>"
        attacker.says(fault.encode(), "text/xml", status="500 Internal Server Error")
        assert refusal(configured, question) == "adapter.system_fault"
    assert len(attacker.requests) == 2


def test_a_compressed_bomb_is_not_unpacked(attacker: Attacker, tmp_path: Path) -> None:
    bomb = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    assert len(bomb) < 200_000
    with rest_adapter(tmp_path, attacker) as configured:
        attacker.says(bomb, "application/json", "Content-Encoding: gzip")
        assert refusal(configured) == "adapter.answer_unreadable"


def test_an_answer_without_end_is_cut(attacker: Attacker, tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with rest_adapter(tmp_path, attacker) as configured:
        attacker.pieces = [head, *([b"10000\r\n" + b" " * 65_536 + b"\r\n"] * 100)]
        assert refusal(configured) == "adapter.answer_unreadable"


@pytest.mark.parametrize("where", ["head", "body"])
def test_a_slow_drip_ends_with_the_time_the_call_has(attacker: Attacker, tmp_path: Path, where: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n"
    drops = [b"X-A: b\r\n"] * 200 if where == "head" else [b"\r\n", *([b" "] * 200)]
    attacker.pieces, attacker.pause_seconds = [head, *drops], 0.05
    with rest_adapter(tmp_path, attacker) as configured:
        started = time.monotonic()
        assert refusal(configured) in {"adapter.system_timeout", "adapter.answer_unreadable"}
    # It would drip for ten seconds; the call has two.
    assert time.monotonic() - started < 8


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 2_000_000 + b"\r\n\r\n{}"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n"],
        [b"HTTP/9.9 999 \xff\r\n\r\n"],
        [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
        [b""],
    ],
    ids=["a head without end", "a negative length", "two lengths", "no chunk", "no HTTP", "TLS", "nothing"],
)
def test_broken_http_is_refused(attacker: Attacker, tmp_path: Path, pieces: list[bytes]) -> None:
    with rest_adapter(tmp_path, attacker) as configured:
        attacker.pieces = pieces
        assert refusal(configured) in {
            "adapter.system_unreachable",
            "adapter.answer_unreadable",
            "adapter.system_fault",
        }
        attacker.says(json.dumps({"fine": 1}).encode())
        assert configured.adapter.answer({}, call_of(configured)).data == {"answer": {"fine": 1}}


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
)
def test_a_redirect_is_never_followed(attacker: Attacker, tmp_path: Path, status: str) -> None:
    with rest_adapter(tmp_path, attacker) as configured:
        target = f"Location: http://127.0.0.1:{attacker.port}/secret"
        attacker.says(b"{}", "application/json", target, status=status)
        assert refusal(configured) == "adapter.answer_unreadable"
    assert len(attacker.requests) == 1


@pytest.mark.parametrize("host", ["127.0.0.1.", "0x7f000001", "2130706433", "127.1"])
def test_this_machine_is_not_reached_under_another_name(
    attacker: Attacker, tmp_path: Path, host: str
) -> None:
    """The description names it, so it would be allowed if its words were believed."""
    url = f"http://{host}:{attacker.port}"
    with rest_adapter(tmp_path, attacker, url=url) as configured:
        attacker.says(b"{}")
        assert refusal(configured) in {"adapter.address_forbidden", "adapter.system_unreachable"}
    assert attacker.requests == []


def test_a_path_that_would_leave_the_service_is_refused(attacker: Attacker, tmp_path: Path) -> None:
    with rest_adapter(tmp_path, attacker) as configured:
        attacker.says(b"{}")
        configured.adapter.answer({"x": "\r\nHost: evil\r\n"}, call_of(configured))
    assert b"evil" not in attacker.requests[0]
