# SPDX-License-Identifier: Apache-2.0
"""Hubs in processes of their own that are killed again and again while callers send through them."""

from __future__ import annotations

import base64
import http.client
import random
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2

from hub.app import build_hub
from hub.demo.preparation import DemoFolder, prepare
from hub.demo.processes import Program, all_running
from hub.envelope import CONTAINER_MEDIA_TYPE, open_envelope, read_fault
from hub.exchange import RECEIPT_HEADER
from hub.registry import load_registry_file
from hub.settings import load_settings
from tests.bench.containers import signed_request
from tests.journeys.departments import make_departments
from tests.journeys.serving import serving
from tests.journeys.world import register_echo
from tests.pki import PASSPHRASE, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

    from hub.app import Hub
    from hub.demo.preparation import Prepared
    from hub.envelope import Envelope
    from hub.identifiers import MessageId
    from hub.trust import SigningKey
    from tests.journeys.departments import Departments
    from tests.pki import ServedPki

AGAIN = {"exchange.in_progress", "exchange.internal"}
"""After these a caller sends the same bytes again: a try was cut off, or is not known yet to have been."""

_PAYLOAD_BYTES = 100
_ANSWER_SECONDS = 30.0
_PAUSE_SECONDS = 0.05
_LOOK_SECONDS = 0.2


@dataclass
class Run:
    """What callers and watchers saw, and what they send through.

    Attributes:
        hub: the hub's parts in this process, which reads beside those that serve.
        ports: where the hubs listen.
        receipts: the final receipts in callers' hands.
        refusals: how often callers were told to come again, by code.
        notes: every checkpoint that was published.
        kills: the log's size after each kill.
    """

    folder: Path
    hub: Hub
    departments: Departments
    prepared: Prepared
    environment: dict[str, str]
    ports: tuple[int, ...]
    key: SigningKey
    messages_a_life: int
    sent: dict[MessageId, Envelope] = field(default_factory=dict)
    receipts: dict[MessageId, Envelope] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    notes: set[str] = field(default_factory=set)
    kills: list[int] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)
    failures: list[BaseException] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def under_load(self, messages: int, callers: int, luck: random.Random) -> None:
        """Send so many messages, kill the hubs meanwhile, and end when every message is acknowledged."""
        waiting = iter(range(messages))
        threads = [
            threading.Thread(target=self._guarded, args=(self._call, waiting, index))
            for index in range(callers)
        ]
        watcher = threading.Thread(target=self._guarded, args=(self._watch,))
        for thread in (*threads, watcher):
            thread.start()
        killers = [
            threading.Thread(
                target=self._guarded,
                args=(self._live_and_die, port, random.Random(luck.random())),  # noqa: S311
            )
            for port in self.ports
        ]
        for killer in killers:
            killer.start()
        for thread in threads:
            thread.join()
        self.is_over.set()
        for thread in (watcher, *killers):
            thread.join()
        if self.failures:
            raise self.failures[0]

    def _guarded(self, work: object, *arguments: object) -> None:
        try:
            work(*arguments)  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits for this one
            self.failures.append(error)
            self.is_over.set()

    def _live_and_die(self, port: int, luck: random.Random) -> None:
        """Run a hub and kill it, again and again, until all is done; sometimes before it answers."""
        life = 0
        while not self.is_over.is_set():
            life += 1
            name = f"hub-{port}-{life}"
            environment = {**self.environment, "HELIOGRAPH_PORT": str(port)}
            with all_running(
                {name: self._program()}, logs=self.prepared.folder.logs, environment=environment
            ) as processes:
                is_stillborn = luck.random() < 0.15
                if not is_stillborn:
                    self._wait(processes[name], port, name)
                    self._wait_for_progress(luck.randint(1, 2 * self.messages_a_life))
                else:
                    self.is_over.wait(luck.uniform(0.1, 1.0))
                if not self.is_over.is_set():
                    processes[name].kill()
                    processes[name].join()
                    with self.lock:
                        self.kills.append(self.hub.log.size())

    def _wait_for_progress(self, messages: int) -> None:
        """Wait until so many more are acknowledged; a slow machine must not leave a hub too little time."""
        goal = len(self.receipts) + messages
        while len(self.receipts) < goal and not self.is_over.is_set():
            time.sleep(_PAUSE_SECONDS / 5)

    def _program(self) -> Program:
        return Program("hub.cli:main", ["serve", "--config", str(self.prepared.folder.hub_config)])

    def _wait(self, process: ForkServerProcess, port: int, name: str) -> None:
        deadline = time.monotonic() + 60
        while not self.is_over.is_set():
            log = self.prepared.folder.logs / f"{name}.log"
            assert process.is_alive(), log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, "a hub did not start"
            try:
                httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=1)
            except httpx2.HTTPError:
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def _watch(self) -> None:
        while not self.is_over.wait(_LOOK_SECONDS):
            for port in self.ports:
                try:
                    answer = httpx2.get(f"http://127.0.0.1:{port}/log/checkpoint", timeout=10)
                except httpx2.HTTPError:
                    continue
                assert answer.status_code == 200, answer.text
                self.notes.add(answer.text)

    def _call(self, waiting: Iterator[int], index: int) -> None:
        with closing(_Connection(self.ports, index)) as connection:
            while not self.is_over.is_set():
                with self.lock:
                    if next(waiting, None) is None:
                        return
                request = signed_request(self.key, _PAYLOAD_BYTES)
                self.sent[request.header.id] = request
                receipt = self._send_until_acknowledged(connection, request)
                if receipt is not None:
                    self.receipts[request.header.id] = receipt

    def _send_until_acknowledged(self, connection: _Connection, request: Envelope) -> Envelope | None:
        while not self.is_over.is_set():
            try:
                status, media_type, receipt, body = connection.post(request.raw)
            except (OSError, http.client.HTTPException):
                connection.turn()
                time.sleep(_PAUSE_SECONDS)
                continue
            assert media_type == CONTAINER_MEDIA_TYPE, body
            if status == 200:
                assert receipt is not None
                return open_envelope(base64.b64decode(receipt))
            code = read_fault(open_envelope(body)).code
            with self.lock:
                self.refusals[code] = self.refusals.get(code, 0) + 1
            if code == "exchange.duplicate_message":
                assert receipt is not None
                return open_envelope(base64.b64decode(receipt))
            assert code in AGAIN, code
            time.sleep(4 * _PAUSE_SECONDS)
        return None


class _Connection:
    """A caller's connection to one of the hubs, which it leaves for another when it breaks."""

    def __init__(self, ports: tuple[int, ...], index: int) -> None:
        self._ports = ports
        self._index = index
        self._http = self._new()

    def _new(self) -> http.client.HTTPConnection:
        port = self._ports[self._index % len(self._ports)]
        return http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)

    def close(self) -> None:
        self._http.close()

    def turn(self) -> None:
        self._http.close()
        self._index += 1
        self._http = self._new()

    def post(self, raw: bytes) -> tuple[int, str | None, str | None, bytes]:
        self._http.request("POST", "/api/v1/messages", raw, {"Content-Type": CONTAINER_MEDIA_TYPE})
        answer = self._http.getresponse()
        body = answer.read()
        return answer.status, answer.getheader("Content-Type"), answer.getheader(RECEIPT_HEADER), body


@contextmanager
def crashing_hubs(
    folder: Path, pki: ServedPki, database_url: str, *, processes: int, messages_a_life: int
) -> Iterator[Run]:
    """Prepare hubs on one database, and departments that do not crash."""
    (folder / "passphrase").write_bytes(PASSPHRASE)
    prepared = prepare(DemoFolder(folder), pki)
    environment = {
        **prepared.environment,
        "HELIOGRAPH_DATABASE_URL": database_url,
        "HELIOGRAPH_CHECKPOINT_SECONDS": "1",
    }
    departments = make_departments(pki)
    hub = build_hub(load_settings(prepared.folder.hub_config, environment))
    with ExitStack() as stack:
        address = stack.enter_context(serving(departments.app(), free_port()))
        assert hub.registry_file is not None
        stack.callback(hub.engine.dispose)
        stack.callback(hub.writer.close)
        hub.registry.apply(load_registry_file(hub.registry_file), by="tests")
        register_echo(hub, address, timeout_seconds=30)
        yield Run(
            folder=folder,
            hub=hub,
            departments=departments,
            prepared=prepared,
            environment=environment,
            ports=tuple(free_port() for _ in range(processes)),
            key=pki.signer("federation-sign"),
            messages_a_life=messages_a_life,
        )
