# SPDX-License-Identifier: Apache-2.0
"""The SFTP adapter against OpenSSH's own server, run by the test's user on a free port."""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from adapters.simulators.sftp import FileExchange
from hub.clock import FixedClock
from hub.errors import AdapterError
from tests.adapters.running import (
    TODAY,
    call_of,
    check_response,
    described,
    free_port,
    has_port_open,
    only_adapter,
    tool,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.ports import JsonObject

SSHD = tool("sshd")
QUESTION: JsonObject = {"employer": "91510108MA6C00002F", "year": 2026}

pytestmark = [
    pytest.mark.skipif(SSHD is None, reason="needs OpenSSH's server (openssh-server)"),
    pytest.mark.skipif(tool("ssh-keygen") is None, reason="needs ssh-keygen (openssh-client)"),
    pytest.mark.skipif(
        os.geteuid() == 0 and not Path("/run/sshd").is_dir(), reason="sshd run by root needs /run/sshd"
    ),
]


def new_key(path: Path, kind: str, passphrase: str = "") -> str:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path)], check=True, capture_output=True
    )
    return path.with_suffix(".pub").read_text(encoding="ascii").strip()


@contextmanager
def sshd(folder: Path) -> Iterator[dict[str, str]]:
    """Run sshd; yields the environment the description refers to."""
    port = free_port()
    host_key = new_key(folder / "host", "ed25519")
    new_key(folder / "other_host", "rsa")
    client = new_key(folder / "client", "ecdsa", "open sesame")
    (folder / "authorized").write_text(client, encoding="ascii")
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nHostKey {folder}/other_host\n"
        f"AuthorizedKeysFile {folder}/authorized\nPasswordAuthentication no\nStrictModes no\nUsePAM no\n"
        f"PidFile none\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n",
        encoding="ascii",
    )
    with (
        (folder / "sshd.log").open("wb") as log,
        subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(config)], stderr=log) as process,
    ):
        try:
            wait_until(lambda: has_port_open(port))
            yield {
                "SOCIAL_INSURANCE_PORT": str(port),
                "SOCIAL_INSURANCE_HOST_KEY": host_key,
                "SOCIAL_INSURANCE_CLIENT_KEY": (folder / "client").read_text(encoding="ascii"),
                "SOCIAL_INSURANCE_PASSPHRASE": "open sesame",
            }
        finally:
            process.terminate()


def description(folder: Path, **changes: object) -> Path:
    root = folder / "exchange"
    own: dict[str, object] = {
        "connection__username": subprocess.run(
            ["id", "-un"], capture_output=True, check=True, text=True
        ).stdout.strip(),
        "connection__passphrase": "env:SOCIAL_INSURANCE_PASSPHRASE",
        **{f"connection__{name}": str(root / name) for name in ("inbox", "outbox", "archive")},
    }
    return described(folder, "social-insurance.yaml", **{**own, **changes})


@contextmanager
def batch_job(folder: Path) -> Iterator[None]:
    """Answer requests as the stand-in does, but from the folder that sshd shows."""
    exchange = FileExchange(folder, folder / "exchange", FixedClock(TODAY))
    exchange.prepare()
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            exchange.process_waiting()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_openssh_carries_the_files(tmp_path: Path) -> None:
    with (
        sshd(tmp_path) as environment,
        batch_job(tmp_path),
        only_adapter(description(tmp_path), environment) as configured,
    ):
        answer = configured.adapter.answer(QUESTION, call_of(configured))
        # A second time over the same folders, because publishing must not collide with what was there.
        assert configured.adapter.answer(QUESTION, call_of(configured)).data

    check_response("contribution-record/v1", answer.data)
    assert len(list((tmp_path / "exchange" / "archive").glob("*.csv"))) == 2


def test_openssh_s_other_host_key_is_not_accepted(tmp_path: Path) -> None:
    with sshd(tmp_path) as environment:
        pinned = new_key(tmp_path / "elsewhere", "rsa")
        changed = {**environment, "SOCIAL_INSURANCE_HOST_KEY": pinned}
        with (
            only_adapter(description(tmp_path), changed) as configured,
            pytest.raises(AdapterError) as caught,
        ):
            configured.adapter.answer(QUESTION, call_of(configured))

    assert caught.value.code == "adapter.host_key_mismatch"


def test_any_pinned_type_of_openssh_s_keys_is_negotiated(tmp_path: Path) -> None:
    with sshd(tmp_path) as environment, batch_job(tmp_path):
        rsa = (tmp_path / "other_host.pub").read_text(encoding="ascii").strip()
        changed = {**environment, "SOCIAL_INSURANCE_HOST_KEY": rsa}
        with only_adapter(description(tmp_path), changed) as configured:
            assert configured.adapter.answer(QUESTION, call_of(configured)).data


def test_a_key_openssh_does_not_know_is_refused(tmp_path: Path) -> None:
    with sshd(tmp_path) as environment:
        new_key(tmp_path / "stranger", "ecdsa", "open sesame")
        stranger = (tmp_path / "stranger").read_text(encoding="ascii")
        changed = {**environment, "SOCIAL_INSURANCE_CLIENT_KEY": stranger}
        with (
            only_adapter(description(tmp_path), changed) as configured,
            pytest.raises(AdapterError) as caught,
        ):
            configured.adapter.answer(QUESTION, call_of(configured))

    assert (caught.value.code, caught.value.detail) == (
        "adapter.system_fault",
        "the server refuses the sign-in",
    )


def test_a_wrong_passphrase_stops_the_gateway(tmp_path: Path) -> None:
    new_key(tmp_path / "client", "ecdsa", "open sesame")
    environment = {
        "SOCIAL_INSURANCE_PORT": "22",
        "SOCIAL_INSURANCE_HOST_KEY": new_key(tmp_path / "host", "ed25519"),
        "SOCIAL_INSURANCE_CLIENT_KEY": (tmp_path / "client").read_text(encoding="ascii"),
        "SOCIAL_INSURANCE_PASSPHRASE": "close sesame",
    }
    with pytest.raises(AdapterError, match="passphrase"), only_adapter(description(tmp_path), environment):
        pass
