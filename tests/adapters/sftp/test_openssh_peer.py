# SPDX-License-Identifier: Apache-2.0
"""The SFTP adapter against OpenSSH's own server, run by the test's user on a free port."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from adapters.simulators.sftp import FileExchange
from hub.clock import FixedClock
from hub.errors import AdapterError
from tests.adapters.running import TODAY, call_of, check_response, described, only_adapter
from tests.adapters.sftp.openssh import needs_openssh, new_key, sshd, user_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from adapters.ports import JsonObject

QUESTION: JsonObject = {"employer": "91510108MA6C00002F", "year": 2026}

pytestmark = needs_openssh


def description(folder: Path, **changes: object) -> Path:
    root = folder / "exchange"
    own: dict[str, object] = {
        "connection__username": user_name(),
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
