# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from adapters.configuration import load_adapters
from adapters.ports import Answer, Call, JsonObject
from adapters.sources import Probe
from hub.errors import AdapterError
from hub.identifiers import ServiceId
from tests.adapters.running import DEMO, call_of, described

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.entry import ServiceEntry

REGISTER = ServiceId("13510108MB1A00003J/register/disability-certificate")
ENVIRONMENT = {"REGISTER_PORT": "8080", "REGISTER_API_KEY": "a-secret"}


def load(path: Path, **environment: str) -> object:
    return load_adapters(path, environment={**ENVIRONMENT, **environment})


def refusal(path: Path, **environment: str) -> str:
    with pytest.raises(AdapterError) as caught:
        load(path, **environment)
    assert caught.value.code == "adapter.configuration_invalid"
    return caught.value.detail


def test_a_description_becomes_an_adapter() -> None:
    adapters = load_adapters(DEMO / "federation.yaml", environment=ENVIRONMENT)

    configured = adapters[REGISTER]
    assert (configured.kind, configured.contract, configured.timeout_seconds) == (
        "rest",
        "disability-certificate/v1",
        20.0,
    )


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"surplus": 1}, "services.0.surplus"),
        ({"connection__surplus": 1}, "services.0.connection.surplus"),
        ({"connection__auth__surplus": 1}, "services.0.connection.auth.0.api_key.surplus"),
        ({"service": "13510108MB1A00003X/register/x"}, "services.0.service"),
        ({"contract": "disability-certificate"}, "services.0.contract"),
        ({"kind": "telex"}, "services.0.kind"),
        ({"timeout_seconds": 0}, "services.0.timeout_seconds"),
        ({"timeout_seconds": "20"}, "services.0.timeout_seconds"),
        ({"connection__url": "ftp://127.0.0.1"}, "services.0.connection"),
        ({"connection__port": "env:NOT_THERE"}, "services.0.connection.port"),
        ({"connection__port": "eighty"}, "services.0.connection.port"),
        ({"connection__auth__secret": "an-inline-secret"}, "services.0.connection.auth.0.api_key.secret"),
        ({"connection__auth__secret": "file:not-there"}, "services.0.connection.auth.0.api_key.secret"),
        ({"connection__auth__kind": "basic"}, "services.0.connection.auth"),
        ({"request": None}, "services.0: needs request and response"),
        ({"response__object__not_found__as": {"from": "item +"}}, "not_found.each.as.field.from"),
        ({"code_lists__证件类型": {1: "civil"}}, "services.0.code_lists.证件类型"),
        ({"code_lists": {}}, "证件类型"),
    ],
)
def test_a_wrong_description_is_refused_by_place(
    tmp_path: Path, changes: dict[str, object], place: str
) -> None:
    detail = refusal(described(tmp_path, "federation.yaml", **changes))

    assert place in detail
    assert str(tmp_path / "federation.yaml") in detail
    assert "an-inline-secret" not in detail


def test_a_secret_may_come_from_a_file_beside_the_description(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a-secret\n", encoding="utf-8")
    (tmp_path / "key").chmod(0o600)

    changes: dict[str, object] = {"connection__auth__secret": "file:key"}
    load(described(tmp_path, "federation.yaml", **changes))


def test_a_secret_is_never_printed() -> None:
    [configured] = load_adapters(DEMO / "federation.yaml", environment=ENVIRONMENT).values()

    assert "a-secret" not in repr(vars(configured.adapter)["_settings"])


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    text = (DEMO / "federation.yaml").read_text(encoding="utf-8")
    path.write_text(text + '        "0": "99"\n', encoding="utf-8")

    assert "is there twice" in refusal(path)


def test_a_service_that_is_described_twice_is_refused(tmp_path: Path) -> None:
    content = yaml.safe_load((DEMO / "federation.yaml").read_text(encoding="utf-8"))
    path = tmp_path / "twice.yaml"
    path.write_text(
        yaml.dump({"services": content["services"] * 2}, Dumper=yaml.SafeDumper), encoding="utf-8"
    )

    assert "services.1.service: is described twice" in refusal(path)


@pytest.mark.parametrize(
    "text", ["", "services: []", "services: 1", "a: [", "services:\n  - !!python/object:os.x {}"]
)
def test_a_file_that_is_no_description_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text, encoding="utf-8")

    assert str(path) in refusal(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "none.yaml")


class Echo:
    def __init__(self, entry: ServiceEntry) -> None:
        self.connection = entry.connection

    def answer(self, request: JsonObject, call: Call) -> Answer:
        return Answer({"request": request, "connection": self.connection, "by": call.sender})

    def probe(self, seconds: float) -> Probe:
        """Answer at once."""
        return Probe(is_reachable=True, took_seconds=min(seconds, 0.0))

    def close(self) -> None:
        pass


def test_a_further_kind_needs_no_mappings(tmp_path: Path) -> None:
    path = described(
        tmp_path, "federation.yaml", kind="echo", connection={"x": 1}, request=None, response=None
    )

    [configured] = load_adapters(path, factories={"echo": Echo}, environment={}).values()

    answer = configured.adapter.answer({"q": 1}, call_of(configured))
    assert answer.data == {"request": {"q": 1}, "connection": {"x": 1}, "by": "13510108MB1A00003J/fund"}


def test_a_gateway_loads_only_the_protocols_it_speaks() -> None:
    script = """
import sys
from pathlib import Path
from adapters.configuration import load_adapters
load_adapters(Path(sys.argv[1]), environment={"REGISTER_PORT": "1", "REGISTER_API_KEY": "x"})
print(sorted({"zeep", "paramiko", "httpx2"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(DEMO / "federation.yaml")],
        capture_output=True,
        check=True,
        text=True,
    )

    assert done.stdout.strip() == "['httpx2']"
