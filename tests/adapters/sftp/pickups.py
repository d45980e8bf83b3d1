# SPDX-License-Identifier: Apache-2.0
"""An inbox at a real OpenSSH server, the intake that empties it, and a queue that answers as a test says."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import rfc8785
import yaml

from adapters.configuration import load_intakes
from adapters.intakes import IntakeParts
from adapters.queue import Queued, QueuedState
from adapters.sftp.connecting import Login
from adapters.sftp.pickup import PickupIntake
from adapters.sftp.pickupsettings import PickupSettings
from hub.clock import SystemClock
from hub.contracts import load_contracts
from hub.demo.preparation import LABOUR_BUREAU
from hub.identifiers import new_message_id
from tests.adapters.running import CONTRACTS, TODAY
from tests.adapters.sftp.openssh import user_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from adapters.hubclient import HubClient, Question
    from adapters.intakes import Outgoing
    from hub.clock import Clock
    from hub.contracts import Contract
    from hub.identifiers import ContractId, MessageId, SubsystemId

FOLDERS = ("inbox", "archive", "errors", "reports")
SUBSYSTEM = "13510108MB1A00003J/fund"
INTAKE: dict[str, Any] = {
    "id": "notices",
    "kind": "sftp",
    "service": f"{LABOUR_BUREAU}/employment/notice",
    "contract": "notice/v1",
    "subsystem": SUBSYSTEM,
    "purpose": {
        "item": "000788002000",
        "case": "CL-2026-0001",
        "legal_basis": "测试",
        "official": "周敏",
        "post": "就业服务岗",
    },
    "every_seconds": 0.1,
    "connection": {
        "host": "127.0.0.1",
        "port": "env:SOCIAL_INSURANCE_PORT",
        "host_keys": ["env:SOCIAL_INSURANCE_HOST_KEY"],
        "private_key": "env:SOCIAL_INSURANCE_CLIENT_KEY",
        "passphrase": "env:SOCIAL_INSURANCE_PASSPHRASE",
        "pattern": "*.csv",
        "finished": {"by": "rename", "calm_seconds": 0},
        "layout": {"format": "csv", "encoding": "gb18030"},
        "settle_seconds": 0.2,
    },
    "request": {"object": {"title": "row.标题", "text": "row.内容"}},
}


@cache
def known_contracts() -> Mapping[ContractId, Contract]:
    return load_contracts(CONTRACTS)


@dataclass
class Outbox:
    """A queue that keeps what is put into it, and answers as it is told."""

    questions: dict[str, Question] = field(default_factory=dict)
    puts: list[str] = field(default_factory=list)
    results: dict[str, Queued] = field(default_factory=dict)
    acknowledged: list[str] = field(default_factory=list)

    def put(self, key: str, question: Question, *, origin: str, sender: SubsystemId) -> MessageId:
        assert sender == SUBSYSTEM
        known_contracts()[question.contract].check_request(
            {"request.json": rfc8785.dumps(dict(question.data))}
        )
        self.puts.append(key)
        self.questions.setdefault(key, question)
        message_id = new_message_id(TODAY)
        self.results.setdefault(
            key, Queued(key=key, origin=origin, message_id=message_id, state=QueuedState.WAITING)
        )
        return message_id

    def state_of(self, key: str) -> Queued | None:
        return self.results.get(key)

    def acknowledge(self, key: str) -> None:
        self.acknowledged.append(key)

    def settle_all(self, answer: Mapping[str, Any] | None = None) -> None:
        for key, waiting in self.results.items():
            self.results[key] = Queued(
                key=key,
                origin=waiting.origin,
                message_id=waiting.message_id,
                state=QueuedState.PROCESSED,
                answer=answer,
            )


@dataclass
class Inbox:
    """The folders at the server, and what looks into them."""

    root: Path
    outbox: Outbox
    intake: PickupIntake
    login: Login
    stopped: threading.Event = field(default_factory=threading.Event)

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.intake.look(self.stopped)

    def put(self, name: str, content: bytes) -> Path:
        path = self.root / "inbox" / name
        hidden = path.with_name(f".{name}.part")
        hidden.write_bytes(content)
        hidden.rename(path)
        return path

    def names(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.root / folder).iterdir())


def description(folder: Path, root: Path, **changes: object) -> Path:
    """Write a variant of the intake: `connection__pattern=…` changes one field."""
    content = yaml.safe_load(yaml.safe_dump(INTAKE, sort_keys=False))
    content["connection"] |= {"username": user_name(), **{name: str(root / name) for name in FOLDERS}}
    for dotted, value in changes.items():
        *steps, last = dotted.split("__")
        place = content
        for step in steps:
            place = place[step]
        place[last] = value
    path = folder / "intakes.yaml"
    path.write_text(
        yaml.safe_dump({"intakes": [content]}, allow_unicode=True, sort_keys=False), encoding="utf-8"
    )
    return path


@contextmanager
def inbox_at(
    folder: Path,
    environment: Mapping[str, str],
    *,
    client: HubClient | None = None,
    outgoing: Outgoing | None = None,
    clock: Clock | None = None,
    **changes: object,
) -> Iterator[Inbox]:
    """Make the folders and build the intake."""
    root = folder / "exchange"
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    [configured] = load_intakes(
        description(folder, root, **changes), clock=clock or SystemClock(), environment=environment
    )
    outbox = Outbox()
    contracts = known_contracts()
    nobody = cast("HubClient", SimpleNamespace(contracts=contracts))
    parts = IntakeParts(
        outgoing=outgoing or outbox, client=client or nobody, contracts=contracts, folder=folder / "intake"
    )
    intake = configured.build(configured.entry, parts)
    assert isinstance(intake, PickupIntake)
    try:
        settings = configured.entry.settings(PickupSettings)
        guard = configured.entry.guard((settings.host, settings.port))
        yield Inbox(root, outbox, intake, Login.of(settings, guard, at="here"))
    finally:
        intake.close()
