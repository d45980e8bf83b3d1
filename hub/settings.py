# SPDX-License-Identifier: Apache-2.0
"""The hub's configuration: one frozen value, read once.

Values come from a YAML file and from the environment (`HELIOGRAPH_<NAME>`), which wins. Unknown keys are
refused. Secrets come from the environment only. See docs/configuration.md.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from hub.errors import SettingsError
from hub.identifiers import is_uscc
from hub.yamlfile import YamlFileError, read_yaml

_PREFIX = "HELIOGRAPH_"
_SECRETS = ("signing_passphrase", "log_passphrase")


def _uscc(text: str) -> str:
    if not is_uscc(text):
        raise ValueError("is not a unified social credit code")
    return text


class Settings(BaseModel):
    """What a hub needs to run.

    Attributes:
        member: USCC of the member that operates the hub; the hub speaks as its subsystem `hub`.
        host: address to listen on.
        port: port to listen on.
        data_folder: where the hub writes: its database, unless `database_url` names another.
        database_url: an SQLAlchemy URL; SQLite in the data folder by default.
        signing_key: encrypted PKCS#8 of the hub's envelope key.
        signing_chain: PEM chain of that key, the hub's certificate first.
        log_key: encrypted PKCS#8 of the Ed25519 key that signs checkpoints.
        log_origin: the log's name in its checkpoints, a URL without scheme; never changed.
        trust_list: JSON file of the approved authorities.
        contracts: folder of the contracts.
        registry: YAML file of members, services and rights, applied at start; None leaves all as it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    member: Annotated[str, AfterValidator(_uscc)]
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8443
    data_folder: Path
    database_url: str | None = None
    signing_key: Path
    signing_chain: Path
    signing_passphrase: SecretStr
    log_key: Path
    log_passphrase: SecretStr
    log_origin: str
    trust_list: Path
    contracts: Path
    registry: Path | None = None

    @property
    def subsystem(self) -> str:
        """The subsystem the hub speaks as."""
        return f"{self.member}/hub"

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the database."""
        return self.database_url or f"sqlite:///{self.data_folder / 'hub.sqlite'}"


def load_settings(file: Path | None, environment: dict[str, str] | None = None) -> Settings:
    """Read the configuration.

    Args:
        file: YAML; relative paths in it start at its folder. None reads the environment alone.
        environment: instead of the process's own, for tests.

    Raises:
        SettingsError: `settings.invalid` names every wrong or unknown key; `settings.secret_missing` the
            environment variable that is not set.
    """
    environment = dict(os.environ) if environment is None else environment
    values = _read(file) if file is not None else {}
    for name in _SECRETS:
        if name in values:
            raise SettingsError("settings.invalid", f"{name}: secrets come from the environment only")
    values |= {
        key.removeprefix(_PREFIX).lower(): value
        for key, value in environment.items()
        if key.startswith(_PREFIX) and key.removeprefix(_PREFIX).lower() in Settings.model_fields
    }
    for name in _SECRETS:
        if not values.get(name):
            raise SettingsError("settings.secret_missing", f"{_PREFIX}{name.upper()}")
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        places = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}"
            for e in error.errors(include_input=False, include_url=False)
        )
        raise SettingsError("settings.invalid", places) from None


def _read(file: Path) -> dict[str, Any]:
    try:
        values = read_yaml(file)
    except YamlFileError as error:
        raise SettingsError("settings.invalid", f"{file} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise SettingsError("settings.invalid", f"{file} is not a table of settings")
    paths = ("data_folder", "signing_key", "signing_chain", "log_key", "trust_list", "contracts", "registry")
    for name in paths:
        if isinstance(values.get(name), str):
            values[name] = file.parent / values[name]
    return values
