# SPDX-License-Identifier: Apache-2.0
"""No secret leaves a process by its log, its answers, its errors, its command line or its database.

A hub runs in a process of its own with secrets that occur nowhere else. It is asked everything, in the wrong
way too, its database is taken from under it, and then everything it ever wrote is read.
"""

from __future__ import annotations

import json
import sqlite3
import traceback
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
import structlog

from hub.custody import open_key, read_secret
from hub.database import open_database
from hub.demo.preparation import DemoFolder, prepare
from hub.demo.processes import Program, all_running, wait_for_http
from hub.errors import HubError
from hub.settings import load_settings
from hub.telemetry import configure_logging
from tests.pki import PASSPHRASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.demo.preparation import Prepared
    from tests.pki import ServedPki

STRAY = "stray-secret-5f1d9c3ae8b7"
"""What a caller sends in the wrong place: a token in an address, a password in a body."""


@dataclass(frozen=True)
class Asked:
    """A hub that was asked everything.

    Attributes:
        secrets: what must be nowhere, by name.
        answers: all it answered: status lines, headers, bodies.
        written: all its process wrote.
    """

    prepared: Prepared
    secrets: dict[str, str]
    answers: bytes
    written: bytes


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, pki: ServedPki) -> Asked:
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "passphrase").write_bytes(PASSPHRASE)
    prepared = prepare(DemoFolder(folder), pki, tls=True)
    secrets = {
        "the caseworker's token": prepared.caseworker_token,
        "the auditor's token": prepared.auditor_token,
        "the passphrase of all keys": PASSPHRASE.decode(),
        "the search key": (folder / "data" / "search.key").read_text(encoding="ascii"),
        "what a caller sent in the wrong place": STRAY,
    }
    log = folder / "hub.log"
    program = Program("hub.cli:main", ["serve", "--config", str(prepared.folder.hub_config)])
    url = f"https://127.0.0.1:{prepared.ports.hub}"
    tls = pki.tls_of("federation-tls")
    answers = bytearray()
    with ExitStack() as stack:
        processes = stack.enter_context(
            all_running({"hub": program}, logs=folder, environment=prepared.environment)
        )
        wait_for_http(processes["hub"], f"{url}/healthz", log=log, tls=tls)
        client = stack.enter_context(httpx2.Client(verify=tls, timeout=30, base_url=url))
        for response in everything(client, prepared):
            answers += str(response.status_code).encode() + repr(list(response.headers.items())).encode()
            answers += response.content
        lose_tables(folder / "data" / "hub.sqlite")
        for response in everything(client, prepared):
            answers += repr(list(response.headers.items())).encode() + response.content
    return Asked(prepared, secrets, bytes(answers), log.read_bytes())


def everything(client: httpx2.Client, prepared: Prepared) -> Iterator[httpx2.Response]:
    """Ask with tokens that are right, wrong, malformed and in wrong places."""
    auditor = {"Authorization": f"Bearer {prepared.auditor_token}"}
    caseworker = {"Authorization": f"Bearer {prepared.caseworker_token}"}
    stray = {"Authorization": f"Bearer {STRAY}"}
    for headers in (auditor, caseworker, stray, {"Authorization": f"Basic {STRAY}"}, {"Cookie": STRAY}):
        yield client.get("/api/v1/messages", headers=headers)
        yield client.get("/api/v1/alarms", headers=headers)
        yield client.get("/api/v1/registry/members", headers=headers)
        yield client.post("/api/v1/messages", content=STRAY.encode(), headers=headers)
        yield client.post(
            "/api/v1/evidence/requests", json={"password": STRAY, "n": [STRAY]}, headers=headers
        )
        yield client.post("/api/v1/evidence/requests", content=f'{{"{STRAY}'.encode(), headers=headers)
        yield client.get("/api/v1/log/proofs/01900000-0000-7000-8000-000000000000", headers=headers)
        yield client.get("/portal/", headers=headers)
    for path in (
        f"/api/v1/messages?token={STRAY}",
        f"/{STRAY}",
        f"/api/v1/messages/{STRAY}",
        f"/portal/{STRAY}",
    ):
        yield client.get(path, headers={"Referer": f"https://elsewhere.example/?{STRAY}"})
    yield client.post("/portal/sign-in", data={"token": STRAY, "next": f"/{STRAY}"})
    yield client.post("/portal/sign-in", data={"token": prepared.auditor_token})
    yield client.request("GET", "/healthz", headers={STRAY: STRAY})


def lose_tables(database: Path) -> None:
    """Take tables away, so that the hub fails within."""
    with sqlite3.connect(database, timeout=20) as connection:
        for table in ("exchanges", "tokens", "alarms", "portal_sessions"):
            connection.execute(f"DROP TABLE IF EXISTS {table}")  # names of this file
    connection.close()


def test_the_hub_did_answer_and_did_fail(asked: Asked) -> None:
    assert b"Traceback" in asked.written, "nothing failed, so nothing was attacked"
    assert b"exchange.internal" in asked.answers
    assert b"access.not_authenticated" in asked.answers


def test_nothing_secret_is_in_the_log(asked: Asked) -> None:
    for name, secret in asked.secrets.items():
        assert secret.encode() not in asked.written, f"{name} is in the log"
    assert b"Bearer" not in asked.written
    assert b"Authorization" not in asked.written


def test_nothing_secret_is_answered(asked: Asked) -> None:
    for name, secret in asked.secrets.items():
        if secret != STRAY:
            assert secret.encode() not in asked.answers, f"{name} was answered"


def test_nothing_secret_lies_in_the_data_folder(asked: Asked) -> None:
    own = asked.prepared.folder.path / "data"
    for file in own.rglob("*"):
        if not file.is_file() or file.name == "search.key":
            continue
        content = file.read_bytes()
        for name, secret in asked.secrets.items():
            assert secret.encode() not in content, f"{name} is in {file.name}"


def test_no_process_shows_a_secret_on_its_command_line(asked: Asked) -> None:
    for secret in asked.secrets.values():
        assert secret not in " ".join(["serve", "--config", str(asked.prepared.folder.hub_config)])


def told(error: BaseException) -> str:
    """Return all that a log or a terminal could show of an error, its causes included."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://heliograph:{STRAY}@127.0.0.1:1/heliograph?connect_timeout=1",
        f"postgresql+psycopg://heliograph@127.0.0.1:1/heliograph?password={STRAY}&connect_timeout=1",
        f"nonsense://heliograph:{STRAY}@127.0.0.1/heliograph",
        f"postgresql+psycopg://heliograph:{STRAY}@127.0.0.1:{STRAY}/heliograph",
    ],
)
def test_the_databases_password_is_in_no_error(url: str) -> None:
    with pytest.raises(HubError) as refused:
        open_database(url)
    assert STRAY not in told(refused.value)


def test_parameters_of_statements_are_in_no_error(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    with pytest.raises(Exception, match="no such table") as failed, engine.connect() as connection:
        connection.exec_driver_sql("INSERT INTO nowhere VALUES (?)", (STRAY,))
    engine.dispose()
    assert STRAY not in told(failed.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"tls_passphrase": STRAY},
        {"signing_passphrase": STRAY},
        {"search_key": STRAY},
        {"unknown": STRAY},
        {"port": STRAY},
        {"limits": {STRAY[:5]: STRAY}},
        {"database_url": f"postgresql://u:{STRAY}@h/d", "port": "none"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_settings_that_are_refused_are_not_repeated(
    asked: Asked, changes: dict[str, object], tmp_path: Path
) -> None:
    file = tmp_path / "hub.yaml"
    text = asked.prepared.folder.hub_config.read_text(encoding="utf-8")
    file.write_text(text + "".join(f"{name}: {json.dumps(value)}\n" for name, value in changes.items()))
    with pytest.raises(HubError) as refused:
        load_settings(file, dict(asked.prepared.environment))
    assert STRAY not in told(refused.value)


def test_a_wrong_passphrase_is_not_repeated(pki: ServedPki) -> None:
    secret = read_secret("env:P", folder=Path(), environment={"P": STRAY})
    with pytest.raises(HubError) as refused:
        open_key(pki.key("labour-tls"), pki.chain("labour-tls"), secret)
    assert STRAY not in told(refused.value)
    assert STRAY not in repr(secret)


def fail(why: str) -> None:
    raise RuntimeError(why)


def test_what_looks_like_a_credential_is_withheld_from_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """A library that writes what it sends, or an error that quotes an address, must not undo the rest."""
    before = structlog.get_config()
    try:
        configure_logging("hub")
        try:
            fail(f"cannot connect to postgresql://u:{STRAY}@h/d?password={STRAY}")
        except RuntimeError:
            structlog.get_logger().exception(
                "failed", sent={"Authorization": f"Bearer {STRAY}"}, uri=f"pkcs11:token=a?pin-value={STRAY}"
            )
        structlog.get_logger().warning(f"Authorization: Bearer {STRAY}", asked="/x?token=" + STRAY)
    finally:
        structlog.configure(**before)
    shown = capsys.readouterr().out
    assert "failed" in shown
    assert STRAY not in shown
