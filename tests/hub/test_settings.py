# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hub.errors import SettingsError
from hub.settings import load_settings

SECRETS = {
    "HELIOGRAPH_SIGNING_PASSPHRASE": "a passphrase",
    "HELIOGRAPH_LOG_PASSPHRASE": "another passphrase",
    "HELIOGRAPH_VAULT_PASSPHRASE": "a third passphrase",
}
COMPLETE: dict[str, Any] = {
    "member": "11510108MB1A00001J",
    "data_folder": "data",
    "signing_key": "hub.key.pem",
    "signing_chain": "hub.pem",
    "log_key": "log.key.pem",
    "log_origin": "log.example/2026",
    "vault_key": "vault.key.pem",
    "trust_list": "trust-lists",
    "trust_list_signer": "trust-list-signer.pem",
    "contracts": "contracts",
}


def written(folder: Path, **changes: object) -> Path:
    file = folder / "hub.yaml"
    file.write_text(yaml.safe_dump(COMPLETE | changes), encoding="utf-8")
    return file


def test_paths_start_at_the_file_and_defaults_are_for_one_machine(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, registry="registry.yaml"), SECRETS)
    assert settings.data_folder == tmp_path / "data"
    assert settings.registry == tmp_path / "registry.yaml"
    assert settings.signing_key == tmp_path / "hub.key.pem"
    assert (settings.host, settings.port) == ("127.0.0.1", 8443)
    assert settings.database == f"sqlite:///{tmp_path / 'data' / 'hub.sqlite'}"
    assert settings.subsystem == "11510108MB1A00001J/hub"


def test_the_environment_wins_over_the_file_and_suffices_alone(tmp_path: Path) -> None:
    environment = SECRETS | {"HELIOGRAPH_PORT": "9000", "HELIOGRAPH_DATABASE_URL": "postgresql+psycopg://hub"}
    settings = load_settings(written(tmp_path, port=8000), environment)
    assert (settings.port, settings.database) == (9000, "postgresql+psycopg://hub")
    alone = SECRETS | {f"HELIOGRAPH_{name.upper()}": value for name, value in COMPLETE.items()}
    assert load_settings(None, alone).log_origin == "log.example/2026"


def test_variables_of_other_commands_are_left_alone(tmp_path: Path) -> None:
    environment = SECRETS | {"HELIOGRAPH_HUB": "http://127.0.0.1", "HELIOGRAPH_TOKEN": "t", "PATH": "/bin"}
    assert load_settings(written(tmp_path), environment).port == 8443


@pytest.mark.parametrize("missing", sorted(SECRETS))
@pytest.mark.parametrize("value", [None, ""])
def test_a_hub_without_a_secret_does_not_start(tmp_path: Path, missing: str, value: str | None) -> None:
    environment = {name: text for name, text in SECRETS.items() if name != missing}
    if value is not None:
        environment[missing] = value
    with pytest.raises(SettingsError) as refusal:
        load_settings(written(tmp_path), environment)
    assert (refusal.value.code, refusal.value.detail) == ("settings.secret_missing", missing)


def test_a_secret_in_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        load_settings(written(tmp_path, signing_passphrase="hunter2"), SECRETS)  # noqa: S106 - must be refused
    assert refusal.value.code == "settings.invalid"
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("environment", [{}, SECRETS])
def test_the_file_may_refer_to_a_secret_and_the_environment_still_wins(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file\n", encoding="utf-8")
    secret.chmod(0o600)
    names = ("signing_passphrase", "log_passphrase", "vault_passphrase")
    references = dict.fromkeys(names, "file:secret")
    settings = load_settings(written(tmp_path, **references), environment)
    assert settings.signing_passphrase.reveal() == environment.get(
        "HELIOGRAPH_SIGNING_PASSPHRASE", "from a file"
    )


def test_a_secret_file_that_others_may_read_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file", encoding="utf-8")
    (tmp_path / "secret").chmod(0o644)
    with pytest.raises(SettingsError, match="signing_passphrase") as refusal:
        load_settings(written(tmp_path, signing_passphrase="file:secret"), {})  # noqa: S106 - a reference
    assert refusal.value.code == "settings.secret_exposed"


def test_a_signing_key_may_be_one_in_a_token(tmp_path: Path) -> None:
    uri = "pkcs11:token=hub;object=sign"
    settings = load_settings(written(tmp_path, signing_key=uri, token_module="/opt/module.so"), SECRETS)  # noqa: S106
    assert str(settings.signing_key) == uri
    assert settings.token_module == Path("/opt/module.so")
    assert settings.keys == tmp_path / "data" / "keys"
    with pytest.raises(SettingsError, match="names no key"):
        load_settings(written(tmp_path, signing_key="pkcs11:token=hub"), SECRETS)


def test_secrets_show_themselves_nowhere(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path), SECRETS)
    shown = [repr(settings), str(settings), repr(settings.model_dump()), settings.model_dump_json()]
    assert [text for text in shown for secret in SECRETS.values() if secret in text] == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"prot": 8443}, "prot"),
        ({"port": 0}, "port"),
        ({"port": "eight"}, "port"),
        ({"member": "11510108MB1A00001A"}, "member"),
        ({"trust_list": None}, "trust_list"),
        ({"host": ["a"]}, "host"),
    ],
)
def test_a_wrong_or_unknown_key_is_named_without_its_value(
    tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    with pytest.raises(SettingsError) as refusal:
        load_settings(written(tmp_path, **changes), SECRETS)
    assert refusal.value.code == "settings.invalid"
    assert refusal.value.detail.startswith(f"{named}:")
    assert "11510108MB1A00001A" not in refusal.value.detail


@pytest.mark.parametrize("content", ["- a list", "{", "", "a: b: c", "\x00"])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "hub.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"settings\.invalid"):
        load_settings(file, SECRETS)


def test_a_file_that_is_not_utf_8_or_not_there_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "hub.yaml"
    with pytest.raises(SettingsError, match=r"settings\.invalid"):
        load_settings(file, SECRETS)
    file.write_bytes(b"member: \xff\xfe")
    with pytest.raises(SettingsError, match=r"settings\.invalid"):
        load_settings(file, SECRETS)


def test_algorithms_that_are_off_are_allowed_by_id(tmp_path: Path) -> None:
    listed = load_settings(written(tmp_path, also_allowed_algorithms=["ml-dsa-65"]), SECRETS)
    from_outside = SECRETS | {"HELIOGRAPH_ALSO_ALLOWED_ALGORITHMS": "sm2-sm3, ml-dsa-44"}

    assert listed.also_allowed_algorithms == ("ml-dsa-65",)
    assert load_settings(written(tmp_path), SECRETS).also_allowed_algorithms == ()
    assert load_settings(written(tmp_path), from_outside).also_allowed_algorithms == ("sm2-sm3", "ml-dsa-44")
    with pytest.raises(SettingsError) as refusal:
        load_settings(written(tmp_path, also_allowed_algorithms=["rsa-pkcs1-sha1"]), SECRETS)
    assert refusal.value.code == "settings.invalid"
    assert "also_allowed_algorithms" in refusal.value.detail
