# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from adapters.settings import load_gateway_settings
from hub.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = {"GATEWAY_PASSPHRASE": "a passphrase", "FUND_TOKEN": "a token", "GATEWAY_PORT": "9001"}
KEYS = {"key": "labour.key.pem", "chain": "labour.pem", "passphrase": "env:GATEWAY_PASSPHRASE"}
COMPLETE: dict[str, Any] = {
    "member": "11510108MB1A00002M",
    "subsystems": ["11510108MB1A00002M/employment"],
    "port": 9000,
    "hub_url": "http://127.0.0.1:8443",
    "hub_member": "11510108MB1A00001J",
    "signing": KEYS,
    "trust_list": "trust-lists",
    "trust_list_signer": "trust-list-signer.pem",
    "contracts": "contracts",
    "data_folder": "data",
}


def written(folder: Path, **changes: object) -> Path:
    file = folder / "labour-bureau.yaml"
    file.write_text(yaml.safe_dump(COMPLETE | changes), encoding="utf-8")
    return file


def test_references_are_followed_and_paths_start_at_the_file(tmp_path: Path) -> None:
    drafts = [{"subsystem": "11510108MB1A00002M/employment", "token": "env:FUND_TOKEN"}]
    seal = {**KEYS, "time_stamp_urls": ["http://127.0.0.1/tsa"]}
    file = written(tmp_path, port="env:GATEWAY_PORT", drafts=drafts, seal=seal, services=["a.yaml"])
    settings = load_gateway_settings(file, ENVIRONMENT)
    assert settings.port == 9001
    assert settings.signing.key == tmp_path / "labour.key.pem"
    assert settings.signing.passphrase.reveal() == "a passphrase"
    assert settings.drafts[0].token.reveal() == "a token"
    assert settings.services == [tmp_path / "a.yaml"]
    assert settings.seal is not None
    assert "a passphrase" not in repr(settings)
    assert "a token" not in repr(settings)


def test_a_passphrase_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n", encoding="utf-8")
    (tmp_path / "secret").chmod(0o600)
    file = written(tmp_path, signing={**KEYS, "passphrase": "file:secret"})
    assert load_gateway_settings(file, {}).signing.passphrase.reveal() == "from a file"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"prot": 1}, "prot"),
        ({"port": 70000}, "port"),
        ({"port": "9000"}, None),
        ({"member": "11510108MB1A00002A"}, "member"),
        ({"subsystems": []}, "subsystems"),
        ({"subsystems": ["employment"]}, "subsystems.0"),
        ({"subsystems": ["13510108MB1A00003J/fund"]}, "13510108MB1A00003J/fund is not this member's"),
        ({"signing": {**KEYS, "passphrase": "hunter2"}}, "signing.passphrase"),
        ({"signing": {**KEYS, "passphrase": "env:NOT_SET"}}, "signing.passphrase"),
        ({"drafts": [{"subsystem": "13510108MB1A00003J/fund", "token": "env:FUND_TOKEN"}]}, "drafts"),
    ],
)
def test_what_is_wrong_is_named_without_its_value(
    tmp_path: Path, changes: dict[str, object], named: str | None
) -> None:
    file = written(tmp_path, **changes)
    if named is None:
        assert load_gateway_settings(file, ENVIRONMENT).port == 9000
        return
    with pytest.raises(SettingsError) as refusal:
        load_gateway_settings(file, ENVIRONMENT)
    assert refusal.value.code == "settings.invalid"
    assert named in refusal.value.detail
    assert "hunter2" not in refusal.value.detail


@pytest.mark.parametrize("content", [b"", b"- a list", b"{", b"\xff\xfe"])
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"settings\.invalid"):
        load_gateway_settings(file, ENVIRONMENT)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"settings\.invalid"):
        load_gateway_settings(tmp_path / "nothing.yaml", ENVIRONMENT)
