# SPDX-License-Identifier: Apache-2.0
"""The SOAP adapter against a server that is not ours: PHP's SoapServer."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub.errors import AdapterError
from tests.adapters.running import (
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

    from adapters.configuration import ConfiguredAdapter


def has_php_soap() -> bool:
    php = tool("php")
    return (
        php is not None
        and "soap" in subprocess.run([php, "-m"], capture_output=True, check=True, text=True).stdout
    )


pytestmark = pytest.mark.skipif(
    not has_php_soap(), reason="needs php with its soap extension (php-cli, php-soap)"
)


@contextmanager
def php_peer(folder: Path, binding: str) -> Iterator[ConfiguredAdapter]:
    port = free_port()
    wsdl = folder / "peer.wsdl"
    wsdl.write_bytes((resources.files("adapters.simulators") / "soap.wsdl").read_bytes())
    script = Path(__file__).with_name("peer.php")
    with subprocess.Popen(
        ["php", "-S", f"127.0.0.1:{port}", str(script)],
        env={**os.environ, "PEER_WSDL": str(wsdl)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_until(lambda: has_port_open(port))
            changes = {
                "connection__wsdl": str(wsdl),
                "connection__binding": f"{{urn:chenghua:rsj:ygba}}{binding}",
                "connection__username_token": None,
            }
            path = described(folder, "labour-bureau.yaml", **changes)
            with only_adapter(path, {"LABOUR_BUREAU_PORT": str(port)}) as configured:
                yield configured
        finally:
            process.terminate()


@pytest.mark.parametrize("binding", ["YGBASoap11", "YGBASoap12"])
def test_php_answers_in_the_words_of_the_contract(tmp_path: Path, binding: str) -> None:
    with php_peer(tmp_path, binding) as configured:
        answer = configured.adapter.answer(
            {"employer": "91510108MA6C00001C", "year": 2026}, call_of(configured)
        )

    check_response("employment-record/v1", answer.data)
    assert answer.data["workers"] == [
        {
            "person_id": "511622197901111001",
            "name": "李秀兰",
            "employed_from": "2023-04-01",
            "employed_to": None,
            "kind": "direct",
            "counted_by": None,
        }
    ]


@pytest.mark.parametrize("binding", ["YGBASoap11", "YGBASoap12"])
def test_the_code_in_php_s_fault_is_understood(tmp_path: Path, binding: str) -> None:
    with php_peer(tmp_path, binding) as configured, pytest.raises(AdapterError) as caught:
        configured.adapter.answer({"employer": "91510108MA6C00002F", "year": 2026}, call_of(configured))

    assert caught.value.code == "adapter.record_not_found"
