# SPDX-License-Identifier: Apache-2.0
"""Two hubs, two workers, a gateway, an old system and a PostgreSQL, each a process that may fail."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from hub.app import build_hub
from hub.demo.preparation import LABOUR_BUREAU, DemoFolder, prepare
from hub.demo.processes import Program
from hub.registry import load_registry_file
from hub.settings import load_settings
from tests.chaos.legacy import Ledger
from tests.chaos.load import PURPOSE, SERVICE
from tests.chaos.machines import DatabaseMachine, ProgramMachine
from tests.pki import PASSPHRASE, free_port
from tests.postgresql import crashable_postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.app import Hub
    from hub.demo.preparation import Prepared
    from hub.settings import Settings
    from tests.chaos.machines import Machine
    from tests.pki import ServedPki

_NAME = {"zh": "测试", "en": "Chaos"}


@dataclass(frozen=True)
class World:
    """What runs.

    Attributes:
        machines: by name, in the order in which they start.
        ports: where the hubs listen.
    """

    machines: dict[str, Machine]
    ports: tuple[int, ...]
    legacy: Ledger
    settings: Settings

    @contextmanager
    def looking(self) -> Iterator[Hub]:
        """Open the hub's parts in this process, to read beside those that serve."""
        hub = build_hub(self.settings)
        try:
            yield hub
        finally:
            hub.writer.close()
            hub.engine.dispose()


@contextmanager
def chaotic_world(folder: Path, pki: ServedPki) -> Iterator[World]:
    """Prepare everything and start it; all is stopped when the block ends."""
    (folder / "passphrase").write_bytes(PASSPHRASE)
    prepared = prepare(DemoFolder(folder), pki)
    with crashable_postgresql() as server, ExitStack() as stack:
        environment = {
            **prepared.environment,
            "HELIOGRAPH_DATABASE_URL": server.address.url(server.address.create_database()),
            "HELIOGRAPH_CHECKPOINT_SECONDS": "1",
        }
        ports = (free_port(), free_port())
        legacy_port, legacy = free_port(), Ledger(folder / "legacy.sqlite")
        legacy.prepare()
        _describe(prepared, legacy_port)
        settings = load_settings(prepared.folder.hub_config, environment)
        world = World(
            machines={
                "postgresql": DatabaseMachine("postgresql", server),
                **_programs(prepared, environment, ports, legacy_port, folder),
            },
            ports=ports,
            legacy=legacy,
            settings=settings,
        )
        with world.looking() as hub:
            assert hub.registry_file is not None
            hub.registry.apply(load_registry_file(hub.registry_file), by="tests")
        for machine in list(world.machines.values())[1:]:
            machine.start()
            stack.callback(machine.stop)
        for machine in world.machines.values():
            machine.wait_until_up()
        yield world


def _programs(
    prepared: Prepared, environment: dict[str, str], ports: tuple[int, ...], legacy_port: int, folder: Path
) -> dict[str, Machine]:
    config = str(prepared.folder.hub_config)
    gateway = f"http://127.0.0.1:{prepared.ports.labour_gateway}/healthz"
    programs: dict[str, tuple[Program, str, dict[str, str]]] = {
        "legacy": (
            Program("tests.chaos.legacy:main", [str(folder / "legacy.sqlite"), str(legacy_port)]),
            f"http://127.0.0.1:{legacy_port}/healthz",
            {},
        ),
        "gateway": (
            Program("hub.cli:main", ["gateway", str(folder / "labour-bureau.yaml")]),
            gateway,
            {},
        ),
    }
    for number, port in enumerate(ports, 1):
        programs[f"hub-{number}"] = (
            Program("hub.cli:main", ["serve", "--config", config, "--no-delivery"]),
            f"http://127.0.0.1:{port}/healthz",
            {"HELIOGRAPH_PORT": str(port)},
        )
        status = free_port()
        programs[f"worker-{number}"] = (
            Program("hub.cli:main", ["worker", "--config", config, "--status-port", str(status)]),
            f"http://127.0.0.1:{status}/healthz",
            {},
        )
    return {
        name: ProgramMachine(
            name, program, url=url, logs=prepared.folder.logs, environment={**environment, **more}
        )
        for name, (program, url, more) in programs.items()
    }


def _describe(prepared: Prepared, legacy_port: int) -> None:
    """Let the labour bureau answer the echo from its old system, and the fund ask it."""
    folder = prepared.folder.path
    services = {
        "services": [
            {
                "service": SERVICE,
                "contract": "echo/v1",
                "kind": "rest",
                "timeout_seconds": 5,
                "connection": {
                    "url": f"http://127.0.0.1:{legacy_port}",
                    "path": "/echo",
                    "method": "POST",
                },
                "request": {"object": {"body": {"object": {"text": "request.text"}}}},
                "response": {"object": {"text": "answer.text"}},
            }
        ]
    }
    _write(folder / "echo.yaml", services)
    gateway = yaml.safe_load((folder / "labour-bureau.yaml").read_text(encoding="utf-8"))
    gateway["services"] = [str(folder / "echo.yaml")]
    del gateway["seal"]
    _write(folder / "labour-bureau.yaml", gateway)
    registry = yaml.safe_load((folder / "registry.yaml").read_text(encoding="utf-8"))
    registry["services"].append(
        {
            "id": SERVICE,
            "contract": "echo/v1",
            "gateway_url": f"http://127.0.0.1:{prepared.ports.labour_gateway}/messages",
            "timeout_seconds": 10,
            "titles": _NAME,
            # Everything comes back within the run, so that nothing is given up meanwhile.
            "delivery": {"first_pause_seconds": 1, "longest_pause_seconds": 5, "tries": 1000},
        }
    )
    registry["access_rights"].append(
        {
            "id": "chaos",
            "consumer": "13510108MB1A00003J/fund",
            "service": SERVICE,
            "purposes": [PURPOSE.item],
            "legal_basis": "测试",
            "valid_from": "2026-01-01",
        }
    )
    assert SERVICE.startswith(LABOUR_BUREAU)
    _write(folder / "registry.yaml", registry)


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(value, allow_unicode=True, sort_keys=False), encoding="utf-8")
