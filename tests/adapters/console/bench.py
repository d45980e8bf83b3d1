# SPDX-License-Identifier: Apache-2.0
"""A workbench with two administrators, and its application."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.testclient import TestClient

from adapters.console import Administrators, ConsoleSettings, Workbench
from adapters.console.administrators import generate_token
from adapters.console.app import build_console_app
from adapters.console.passwords import hash_password
from adapters.references import Surroundings
from adapters.register import LiveServices, Rules
from adapters.register.files import SourceFiles
from hub.clock import FixedClock
from hub.contracts import load_contracts
from hub.identifiers import MemberId
from tests.adapters.register.building import Made, register_of
from tests.adapters.running import CONTRACTS, TODAY

if TYPE_CHECKING:
    from hub.clock import Clock

PASSWORD = "a long enough password"  # noqa: S105 - of nobody
MEMBER = MemberId("13510108MB1A00003J")


@cache
def kept_password() -> str:
    """Return what is kept of the password; made once, since it costs."""
    return hash_password(PASSWORD)


@dataclass(frozen=True)
class People:
    """Two administrators' tokens, and the settings that know them."""

    zhou: str
    li: str
    settings: ConsoleSettings


def people(**changes: Any) -> People:
    """Return administrators 周敏, who has a password too, and 李强."""
    zhou, li = generate_token(), generate_token()
    environment = {"ZHOU": kept_password(), "ZHOU_TOKEN": zhou[1], "LI_TOKEN": li[1]}
    content = {
        "port": 8600,
        "administrators": [
            {"name": "周敏", "password": "env:ZHOU", "tokens": [{"digest": "env:ZHOU_TOKEN"}]},
            {"name": "李强", "tokens": [{"digest": "env:LI_TOKEN", "expires_on": "2026-12-01"}]},
        ],
        **changes,
    }
    around = Surroundings(Path("/nonexistent"), environment)
    return People(zhou[0], li[0], ConsoleSettings.model_validate(content, context=around))


@dataclass(frozen=True)
class Bench:
    """A workbench, its application and who calls it."""

    bench: Workbench
    client: TestClient
    people: People
    made: Made

    def call(self, method: str, path: str, token: str | None = None, **body: Any) -> Any:
        """Call the API as 周敏, or with another token; returns the answer."""
        headers = {"Authorization": f"Bearer {token or self.people.zhou}", "Accept-Language": "en"}
        json = body if method == "POST" else None
        return self.client.request(method, f"/api/v1{path}", json=json, headers=headers)


def bench_in(folder: Path, *, rules: Rules | None = None, clock: Clock | None = None) -> Bench:
    """Return a workbench over adapters that answer from memory."""
    made, live, known = Made(), LiveServices(), people()
    clock = clock or FixedClock(TODAY)
    bench = Workbench(
        member=MEMBER,
        register=register_of(made, live=live, rules=rules),
        administrators=Administrators(known.settings.administrators, clock),
        live=live,
        contracts=load_contracts(CONTRACTS),
        files=SourceFiles(folder),
        clock=clock,
        contracts_folder=CONTRACTS,
    )
    return Bench(bench, TestClient(build_console_app(bench)), known, made)
