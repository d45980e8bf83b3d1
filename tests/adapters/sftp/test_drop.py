# SPDX-License-Identifier: Apache-2.0
"""One-way messages and events are put down as files at OpenSSH's own server."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from adapters.configuration import load_adapters
from hub.errors import AdapterError
from tests.adapters.bulk.gateway import write_data
from tests.adapters.running import call_of, only_adapter
from tests.adapters.sftp.openssh import needs_openssh, sshd, user_name
from tests.adapters.sftp.pickups import INTAKE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = needs_openssh

KEPT = ("host", "port", "host_keys", "private_key", "passphrase")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    with sshd(tmp_path_factory.mktemp("sshd")) as environment:
        yield environment


def drop(folder: Path, **connection: Any) -> Path:
    (folder / "in").mkdir(exist_ok=True)
    service = {
        "service": INTAKE["service"],
        "contract": INTAKE["contract"],
        "kind": "sftp",
        "timeout_seconds": 20,
        "connection": {
            **{name: INTAKE["connection"][name] for name in KEPT},
            "username": user_name(),
            "inbox": str(folder / "in"),
            "request": {"name": "TZ_{message_id}.csv", "encoding": "gb18030"},
            **connection,
        },
        "request": {"object": {"标题": "request.title"}},
    }
    path = folder / "drop.yaml"
    path.write_text(yaml.safe_dump({"services": [service]}, allow_unicode=True), encoding="utf-8")
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "in").iterdir())


def test_a_message_becomes_a_file_with_its_digest(server: Mapping[str, str], tmp_path: Path) -> None:
    with only_adapter(drop(tmp_path), server) as configured:
        call = call_of(configured)
        assert configured.adapter.answer({"title": "停水"}, call).data == {}

    content = (tmp_path / "in" / f"TZ_{call.message_id}.csv").read_bytes()
    assert content == "标题\r\n停水\r\n".encode("gb18030")
    stated = (tmp_path / "in" / f"TZ_{call.message_id}.csv.sha256").read_text(encoding="ascii")
    assert stated.split() == [hashlib.sha256(content).hexdigest(), f"TZ_{call.message_id}.csv"]
    assert len(names(tmp_path)) == 2


def test_large_payloads_are_put_down_beside_it(server: Mapping[str, str], tmp_path: Path) -> None:
    file = tmp_path / "data.bin"
    digest = write_data(file, 20_000_000, 6)
    with only_adapter(drop(tmp_path), server) as configured:
        call = replace(call_of(configured), files={"data.bin": file})
        configured.adapter.answer({"title": "大"}, call)

    with (tmp_path / "in" / f"{call.message_id}_data.bin").open("rb") as content:
        assert hashlib.file_digest(content, "sha256").hexdigest() == digest
    assert file.exists()


def test_a_signed_message_is_put_down_as_it_is(server: Mapping[str, str], tmp_path: Path) -> None:
    request = {"name": "{message_id}.asice", "format": "container"}
    with only_adapter(drop(tmp_path, request=request), server) as configured:
        call = replace(call_of(configured), container=b"PK\x03\x04 signed")
        configured.adapter.answer({"title": "x"}, call)
        with pytest.raises(AdapterError, match="mapping_failed"):
            configured.adapter.answer({"title": "x"}, replace(call, files={"a": tmp_path / "a"}))

    assert (tmp_path / "in" / f"{call.message_id}.asice").read_bytes() == b"PK\x03\x04 signed"


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    with (
        sshd(tmp_path, before=["prlimit", "--fsize=20000"]) as environment,
        only_adapter(drop(tmp_path), environment) as configured,
        pytest.raises(AdapterError) as caught,
    ):
        configured.adapter.answer({"title": "长" * 20_000}, call_of(configured))

    assert caught.value.code == "adapter.file_not_written"
    assert caught.value.is_retryable
    assert [name for name in names(tmp_path) if not name.endswith(".sha256")] == []


@pytest.mark.parametrize("changes", [{"outbox": "/out"}, {"answer": {"name": "A_{message_id}.csv"}}])
def test_folders_for_answers_belong_to_answers(
    server: Mapping[str, str], tmp_path: Path, changes: dict[str, object]
) -> None:
    with pytest.raises(AdapterError, match="configuration_invalid"):
        load_adapters(drop(tmp_path, **changes), environment=server)
