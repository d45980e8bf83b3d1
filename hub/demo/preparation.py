# SPDX-License-Identifier: Apache-2.0
"""What the demonstration needs before anything runs: keys, certificates, configurations and tokens.

Everything is generated in one folder, encrypted with a passphrase generated there too; nothing of it is
meant for production. The development PKI is made once, the rest anew for every run.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import yaml

import hub.app  # noqa: F401 - whoever makes the tables has to know them all
from adapters.console.passwords import hash_password
from adapters.simulators.pki import (
    PASSPHRASE_VARIABLE,
    DevelopmentPki,
    make_development_pki,
    open_development_pki,
)
from hub.accounts import Accounts, Principal, Role
from hub.clock import SystemClock
from hub.custody import Secret, generate_wrapping_key
from hub.database import Writer, open_database
from hub.identifiers import SubsystemId
from hub.messagelog import generate_log_key

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = Path(__file__).resolve().parents[2]
HUB_MEMBER = "11510108MB1A00001J"
LABOUR_BUREAU = "11510108MB1A00002M"
FEDERATION = "13510108MB1A00003J"
SOCIAL_INSURANCE = "12510108MB1A00004Q"
FUND = SubsystemId(f"{FEDERATION}/fund")
LOG_ORIGIN = "log.chenghua.example/2026"

_DESCRIPTIONS = PROJECT / "adapters" / "demo"
_TOKEN_LIFETIME = timedelta(days=1)
_LABELS = {"labour-bureau": "labour", "federation": "federation", "social-insurance": "social-insurance"}
_CONSOLE_PASSWORD = "CONSOLE_PASSWORD"  # noqa: S105 - the name of a variable
_LOWEST_PORT, _HIGHEST_PORT = 20_000, 32_000


@dataclass(frozen=True)
class Ports:
    """Where the processes listen on loopback."""

    hub: int
    labour_gateway: int
    federation_gateway: int
    social_insurance_gateway: int


@dataclass(frozen=True)
class DemoConsole:
    """The console of the labour bureau's gateway, and who signs in to it."""

    port: int
    administrator: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class DemoFolder:
    """The demonstration's folder and what lies where in it."""

    path: Path

    @property
    def out(self) -> Path:
        """The files a sceptic looks at."""
        return self.path / "out"

    @property
    def pki(self) -> Path:
        """The development PKI."""
        return self.path / "pki"

    @property
    def logs(self) -> Path:
        """One log file a process."""
        return self.path / "log"

    @property
    def stand_ins(self) -> Path:
        """Where the stand-ins of the legacy systems keep their files."""
        return self.path / "stand-ins"

    @property
    def hub_config(self) -> Path:
        """The hub's configuration."""
        return self.path / "hub.yaml"

    def gateway_config(self, name: str) -> Path:
        """Return a gateway's configuration."""
        return self.path / f"{name}.yaml"


@dataclass(frozen=True)
class Prepared:
    """A demonstration ready to run.

    Attributes:
        environment: secrets for the processes, by variable name; they stand in no file but the passphrase's.
        caseworker_token: of a caseworker of the federation's fund.
        auditor_token: of an auditor.
        operator_token: of an operator.
        has_tls: whether hub and gateways speak TLS, with certificates on both sides.
        console: of the labour bureau's gateway, where it has one.
    """

    folder: DemoFolder
    pki: DevelopmentPki
    ports: Ports
    environment: Mapping[str, str]
    caseworker_token: str
    auditor_token: str
    operator_token: str
    has_tls: bool = False
    console: DemoConsole | None = None

    @property
    def scheme(self) -> str:
        """How hub and gateways are reached."""
        return "https" if self.has_tls else "http"


def ensure_pki(folder: DemoFolder) -> DevelopmentPki:
    """Make the development PKI, or find the one made before."""
    if (folder.pki / "pki.json").exists():
        pki = open_development_pki(folder.pki)
        if pki.chain("hub-tls").exists():
            return pki
        # An earlier version made one without certificates for TLS.
        shutil.rmtree(folder.pki)
    folder.path.mkdir(parents=True, exist_ok=True)
    return make_development_pki(folder.pki, _free_ports(1)[0], passphrase_of(folder).encode("ascii"))


def passphrase_of(folder: DemoFolder) -> str:
    """Return the passphrase of all the demonstration's keys, made at the first call."""
    file = folder.path / "passphrase"
    if not file.exists():
        _write_secret(file)
    return file.read_text(encoding="ascii")


def _write_secret(file: Path) -> None:
    """Write a new secret that only its owner may read."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(secrets.token_urlsafe(32))


def prepare(
    folder: DemoFolder,
    pki: DevelopmentPki,
    *,
    tls: bool = False,
    has_console: bool = False,
    database_url: str | None = None,
) -> Prepared:
    """Write configurations, a fresh database and tokens.

    Args:
        folder: where to.
        pki: whose keys and certificates hub and gateways get.
        tls: let them speak TLS, with certificates on both sides.
        has_console: give the labour bureau's gateway a console, to register adapters in a browser.
        database_url: of an empty database in place of the one file in the folder.
    """
    for stale in (folder.out, folder.path / "data", folder.logs, folder.stand_ins):
        shutil.rmtree(stale, ignore_errors=True)
        stale.mkdir(parents=True)
    ports = Ports(*_free_ports(4))
    passphrase = passphrase_of(folder)
    # A new database is a new log, and no key may sign two logs of one name.
    generate_log_key(folder.path / "data" / "log.key.pem", passphrase.encode("ascii"))
    secret = Secret("the demonstration", passphrase)
    generate_wrapping_key(folder.path / "data" / "vault.key.pem", secret)
    _write_secret(folder.path / "data" / "search.key")
    scheme = "https" if tls else "http"
    _write_registry(folder, ports, scheme)
    hub_tls = _hub_tls(pki) if tls else {}
    _write_yaml(folder.hub_config, {**_hub_settings(pki, ports), **hub_tls})
    fund_token, caseworker, auditor, operator = _issue_tokens(
        database_url or f"sqlite:///{folder.path / 'data' / 'hub.sqlite'}"
    )
    console = _make_console() if has_console else None
    for name, settings in _gateways(pki, ports).items():
        gateway_tls = _gateway_tls(pki, ports, _LABELS[name]) if tls else {}
        more = _console_settings(console) if console and name == "labour-bureau" else {}
        _write_yaml(folder.gateway_config(name), {**settings, **gateway_tls, **more})
    environment = {
        "HELIOGRAPH_SIGNING_PASSPHRASE": passphrase,
        "HELIOGRAPH_LOG_PASSPHRASE": passphrase,
        "HELIOGRAPH_VAULT_PASSPHRASE": passphrase,
        "GATEWAY_PASSPHRASE": passphrase,
        "FUND_TOKEN": fund_token,
        PASSPHRASE_VARIABLE: passphrase,
    }
    if tls:
        environment["HELIOGRAPH_TLS_PASSPHRASE"] = passphrase
    if database_url is not None:
        environment["HELIOGRAPH_DATABASE_URL"] = database_url
    if console is not None:
        environment[_CONSOLE_PASSWORD] = hash_password(console.password)
    return Prepared(
        folder, pki, ports, environment, caseworker, auditor, operator, has_tls=tls, console=console
    )


def _make_console() -> DemoConsole:
    return DemoConsole(_free_ports(1)[0], "周敏", secrets.token_urlsafe(12))


def _console_settings(console: DemoConsole) -> dict[str, Any]:
    administrator = {"name": console.administrator, "password": f"env:{_CONSOLE_PASSWORD}"}
    return {"console": {"port": console.port, "administrators": [administrator]}}


def _hub_settings(pki: DevelopmentPki, ports: Ports) -> dict[str, Any]:
    return {
        "member": HUB_MEMBER,
        "port": ports.hub,
        "data_folder": "data",
        "signing_key": str(pki.key("hub-sign").resolve()),
        "signing_chain": str(pki.chain("hub-sign").resolve()),
        "log_key": "data/log.key.pem",
        "log_origin": LOG_ORIGIN,
        "vault_key": "data/vault.key.pem",
        "search_key": "file:data/search.key",
        "trust_list": str(pki.trust_list.resolve()),
        "trust_list_signer": str(pki.trust_list_signer.resolve()),
        "contracts": str(PROJECT / "contracts"),
        "registry": "registry.yaml",
    }


def _hub_tls(pki: DevelopmentPki) -> dict[str, Any]:
    return {
        "tls_key": str(pki.key("hub-tls").resolve()),
        "tls_chain": str(pki.chain("hub-tls").resolve()),
    }


def _gateway_tls(pki: DevelopmentPki, ports: Ports, label: str) -> dict[str, Any]:
    return {"hub_url": f"https://127.0.0.1:{ports.hub}", "tls": _keys(pki, f"{label}-tls")}


def _gateways(pki: DevelopmentPki, ports: Ports) -> dict[str, dict[str, Any]]:
    return {
        "labour-bureau": {
            **_gateway(pki, ports, "labour", LABOUR_BUREAU, ports.labour_gateway),
            "subsystems": [f"{LABOUR_BUREAU}/employment"],
            "services": [
                str(_DESCRIPTIONS / "labour-bureau.yaml"),
                str(_DESCRIPTIONS / "labour-bureau-proof.yaml"),
            ],
            "seal": {
                **_keys(pki, "labour-seal"),
                "time_stamp_urls": list(pki.time_stamp_urls),
                "notice": "演示 DEMO",
            },
        },
        "federation": {
            **_gateway(pki, ports, "federation", FEDERATION, ports.federation_gateway),
            "subsystems": [FUND, f"{FEDERATION}/register"],
            "services": [str(_DESCRIPTIONS / "federation.yaml")],
            "drafts": [{"subsystem": FUND, "token": "env:FUND_TOKEN"}],
        },
        "social-insurance": {
            **_gateway(pki, ports, "social-insurance", SOCIAL_INSURANCE, ports.social_insurance_gateway),
            "subsystems": [f"{SOCIAL_INSURANCE}/contributions"],
            "services": [str(_DESCRIPTIONS / "social-insurance.yaml")],
        },
    }


def _gateway(pki: DevelopmentPki, ports: Ports, label: str, member: str, port: int) -> dict[str, Any]:
    return {
        "member": member,
        "port": port,
        "hub_url": f"http://127.0.0.1:{ports.hub}",
        "hub_member": HUB_MEMBER,
        "signing": _keys(pki, f"{label}-sign"),
        "trust_list": str(pki.trust_list.resolve()),
        "trust_list_signer": str(pki.trust_list_signer.resolve()),
        "contracts": str(PROJECT / "contracts"),
        "data_folder": f"data/{label}",
    }


def _keys(pki: DevelopmentPki, label: str) -> dict[str, str]:
    return {
        "key": str(pki.key(label).resolve()),
        "chain": str(pki.chain(label).resolve()),
        "passphrase": "env:GATEWAY_PASSPHRASE",
    }


def _write_registry(folder: DemoFolder, ports: Ports, scheme: str) -> None:
    template = Template((_DESCRIPTIONS / "registry.yml.in").read_text(encoding="utf-8"))
    filled = template.safe_substitute(
        scheme=scheme,
        labour_gateway_port=ports.labour_gateway,
        federation_gateway_port=ports.federation_gateway,
        social_insurance_gateway_port=ports.social_insurance_gateway,
    )
    (folder.path / "registry.yaml").write_text(filled, encoding="utf-8")


def _issue_tokens(database_url: str) -> tuple[str, str, str, str]:
    engine = open_database(database_url)
    writer = Writer(engine)
    accounts = Accounts(engine, writer, SystemClock())
    principals = (
        Principal("federation gateway", frozenset({Role.GATEWAY}), FUND),
        Principal("李伟", frozenset({Role.CASEWORKER}), FUND),
        Principal("auditor", frozenset({Role.AUDITOR})),
        Principal("operator", frozenset({Role.OPERATOR})),
    )
    try:
        fund, caseworker, auditor, operator = (
            accounts.issue(principal, _TOKEN_LIFETIME).secret for principal in principals
        )
    finally:
        writer.close()
        engine.dispose()
    return fund, caseworker, auditor, operator


def _write_yaml(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(dict(value), allow_unicode=True, sort_keys=False), encoding="utf-8")


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody uses at present.

    They are taken from below the range in which systems choose ports for outgoing connections: between this
    choice and the process that listens, such a connection could come to sit on one of them.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = _LOWEST_PORT + secrets.randbelow(_HIGHEST_PORT - _LOWEST_PORT)
        with socket.socket() as probe:
            if port not in ports and _can_listen(probe, port):
                ports.append(port)
    return ports


def _can_listen(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
