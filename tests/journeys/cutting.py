# SPDX-License-Identifier: Apache-2.0
"""A bad network: a relay on loopback that cuts its connections after some number of bytes, for a while."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.pki import free_port

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

_PIECE_BYTES = 65_536


@dataclass
class Relay:
    """Passes bytes on to another port.

    Attributes:
        target: the port.
        luck: after how many bytes it cuts.
        cuts_left: how often it still will.
        most_bytes: between two cuts.
        cuts_answers: whether what comes back is cut, and not what is sent.
    """

    target: int
    luck: random.Random
    cuts_left: int
    most_bytes: int
    cuts_answers: bool = False
    port: int = field(default_factory=free_port)
    cuts: int = 0
    passed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    next_cut: int = 0

    def cut_now(self, count: int) -> bool:
        """Count bytes that pass, and tell whether the connection is to be cut here."""
        with self.lock:
            self.passed += count
            if not self.cuts_left or self.passed < self.next_cut:
                return False
            self.cuts_left -= 1
            self.cuts += 1
            self.next_cut = self.passed + self.luck.randrange(1, self.most_bytes)
            return True


@contextmanager
def relaying(relay: Relay) -> Iterator[Relay]:
    """Let the relay work as long as the block lasts."""
    relay.next_cut = relay.luck.randrange(1, relay.most_bytes)
    with socket.create_server(("127.0.0.1", relay.port)) as listener:
        listener.settimeout(0.2)
        is_over = threading.Event()
        threads: list[threading.Thread] = []

        def accept() -> None:
            while not is_over.is_set():
                try:
                    caller, _ = listener.accept()
                except TimeoutError:
                    continue
                thread = threading.Thread(target=_relay, args=(relay, caller, is_over))
                threads.append(thread)
                thread.start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield relay
        finally:
            is_over.set()
            for thread in (accepting, *threads):
                thread.join()


def _relay(relay: Relay, caller: socket.socket, is_over: threading.Event) -> None:
    with caller:
        try:
            callee = socket.create_connection(("127.0.0.1", relay.target))
        except OSError:
            return
        with callee:
            there, back_again = (None, relay) if relay.cuts_answers else (relay, None)
            back = threading.Thread(target=_pass, args=(callee, caller, back_again, is_over))
            back.start()
            _pass(caller, callee, there, is_over)
            back.join()


def _pass(
    source: socket.socket, target: socket.socket, relay: Relay | None, is_over: threading.Event
) -> None:
    source.settimeout(0.2)
    try:
        while not is_over.is_set():
            try:
                some = source.recv(_PIECE_BYTES)
            except TimeoutError:
                continue
            if not some:
                break
            if relay is not None and relay.cut_now(len(some)):
                target.sendall(some[: relay.luck.randrange(len(some))])
                break
            target.settimeout(60)
            target.sendall(some)
    except OSError:
        # Torn from the other side.
        return
    finally:
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
