# SPDX-License-Identifier: Apache-2.0
"""Hubs, a gateway and the development PKI as processes, to be measured from another one."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from adapters.simulators.pki import PASSPHRASE_VARIABLE, make_development_pki
from hub.custody import Secret, generate_wrapping_key, load_signing_key
from hub.demo.preparation import HUB_MEMBER, LABOUR_BUREAU, PROJECT
from hub.demo.processes import Program, all_running, wait_for_http
from hub.messagelog import generate_log_key
from tests.bench.echo_gateway import SERVICE
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from adapters.simulators.pki import DevelopmentPki
    from hub.trust import SigningKey

_PASSPHRASE = "only for the bench"  # noqa: S105 - of keys that live as long as the measurement


@dataclass(frozen=True)
class Deployment:
    """What runs.

    Attributes:
        urls: where the hubs take messages.
        key: signs requests of the fund.
    """

    urls: tuple[str, ...]
    key: SigningKey


@contextmanager
def running_deployment(folder: Path, database_url: str, *, hubs: int = 1) -> Iterator[Deployment]:
    """Run hubs on one database, and a gateway that echoes.

    Args:
        folder: made anew.
        database_url: of an empty database, or one that a hub has served from.
        hubs: how many processes; more than one only on PostgreSQL.
    """
    folder.mkdir()
    names = [f"hub-{number}" for number in range(hubs)]
    ports = {name: free_port() for name in ("pki", "gateway", *names)}
    pki = make_development_pki(folder / "pki", ports["pki"], _PASSPHRASE.encode())
    _write_configuration(folder, pki, ports["gateway"], ports[names[0]])
    environment = {
        PASSPHRASE_VARIABLE: _PASSPHRASE,
        "HELIOGRAPH_SIGNING_PASSPHRASE": _PASSPHRASE,
        "HELIOGRAPH_LOG_PASSPHRASE": _PASSPHRASE,
        "HELIOGRAPH_VAULT_PASSPHRASE": _PASSPHRASE,
        "HELIOGRAPH_DATABASE_URL": database_url,
        "GATEWAY_PASSPHRASE": _PASSPHRASE,
    }
    services = {
        "pki": Program("adapters.simulators.pki:main", [str(pki.folder)]),
        "gateway": Program("tests.bench.echo_gateway:main", [str(folder / "gateway.yaml")]),
    }
    serve = Program("hub.cli:main", ["serve", "--config", str(folder / "hub.yaml")])
    with all_running(services, logs=folder, environment=environment) as processes:
        wait_for_http(processes["pki"], pki.url, log=folder / "pki.log")
        _wait(processes["gateway"], ports["gateway"], folder / "gateway.log")
        with _all_hubs(folder, serve, {name: ports[name] for name in names}, environment):
            yield Deployment(
                tuple(f"http://127.0.0.1:{ports[name]}/api/v1/messages" for name in names),
                load_signing_key(
                    pki.key("federation-sign"), pki.chain("federation-sign"), _PASSPHRASE.encode()
                ),
            )


@contextmanager
def _all_hubs(
    folder: Path, serve: Program, ports: dict[str, int], environment: dict[str, str]
) -> Iterator[None]:
    """Start one hub after the other: the first one makes the tables and takes over the registry."""
    if not ports:
        yield
        return
    name, *others = ports
    mine = {**environment, "HELIOGRAPH_PORT": str(ports[name])}
    with all_running({name: serve}, logs=folder, environment=mine) as processes:
        _wait(processes[name], ports[name], folder / f"{name}.log")
        with _all_hubs(folder, serve, {other: ports[other] for other in others}, environment):
            yield


def _wait(process: Any, port: int, log: Path) -> None:
    wait_for_http(process, f"http://127.0.0.1:{port}/healthz", log=log)


def _write_configuration(folder: Path, pki: DevelopmentPki, gateway_port: int, hub_port: int) -> None:
    (folder / "data").mkdir()
    generate_log_key(folder / "data" / "log.key.pem", _PASSPHRASE.encode())
    generate_wrapping_key(folder / "data" / "vault.key.pem", Secret("the bench", _PASSPHRASE))
    shared = {
        "trust_list": str(pki.trust_list),
        "trust_list_signer": str(pki.trust_list_signer),
        "contracts": str(PROJECT / "contracts"),
    }
    _write(
        folder / "hub.yaml",
        {
            **shared,
            "member": HUB_MEMBER,
            "port": hub_port,
            "data_folder": "data",
            "signing_key": str(pki.key("hub-sign")),
            "signing_chain": str(pki.chain("hub-sign")),
            "log_key": "data/log.key.pem",
            # A database is one log; each measurement has its own.
            "log_origin": f"bench.example/{secrets.token_hex(4)}",
            "vault_key": "data/vault.key.pem",
            "registry": "registry.yaml",
        },
    )
    _write(
        folder / "gateway.yaml",
        {
            **shared,
            "member": LABOUR_BUREAU,
            "subsystems": [f"{LABOUR_BUREAU}/employment"],
            "port": gateway_port,
            "hub_url": f"http://127.0.0.1:{hub_port}",
            "hub_member": HUB_MEMBER,
            "signing": {
                "key": str(pki.key("labour-sign")),
                "chain": str(pki.chain("labour-sign")),
                "passphrase": "env:GATEWAY_PASSPHRASE",
            },
            "data_folder": "data",
        },
    )
    _write(folder / "registry.yaml", _registry(gateway_port))


def _registry(gateway_port: int) -> dict[str, Any]:
    consumer = "13510108MB1A00003J/fund"
    name = {"zh": "测试", "en": "Bench"}
    return {
        "members": [
            {"id": member, "status": "active", "names": name}
            for member in (HUB_MEMBER, LABOUR_BUREAU, consumer[:18])
        ],
        "subsystems": [
            {"id": subsystem, "titles": name} for subsystem in (f"{LABOUR_BUREAU}/employment", consumer)
        ],
        "services": [
            {
                "id": SERVICE,
                "contract": "echo/v1",
                "gateway_url": f"http://127.0.0.1:{gateway_port}/messages",
                "timeout_seconds": 30,
                "titles": name,
            }
        ],
        "access_rights": [
            {
                "id": "bench",
                "consumer": consumer,
                "service": SERVICE,
                "purposes": ["000788002000"],
                "legal_basis": "bench",
                "valid_from": "2026-01-01",
            }
        ],
    }


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8")
