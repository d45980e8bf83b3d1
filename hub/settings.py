# SPDX-License-Identifier: Apache-2.0
"""The hub's configuration: one frozen value, read once.

Values come from a YAML file and from the environment (`HELIOGRAPH_<NAME>`), which wins. Unknown keys are
refused. A secret is a variable's value, or the file refers to it (`hub.custody`); it never stands in
the file. See docs/configuration.md.
"""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from hub.contracts import RetentionPeriod
from hub.custody import KeyPlace, Secret, TlsKey, is_reference, read_key_place, read_secret
from hub.errors import SettingsError
from hub.identifiers import is_uscc
from hub.trust import known_algorithm
from hub.wire import ClientCertificates, WireLimits, require_protected
from hub.yamlfile import YamlFileError, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "HELIOGRAPH_"
# What the envelope's ZIP form can hold (docs/protocols/envelope.md section 12).
_MOST_BYTES = 0xFFFF_FFFE
_SECRETS = ("signing_passphrase", "log_passphrase", "vault_passphrase")
# Asked for only where the setting beside it names what it opens; one that opens itself may be left out.
_OPTIONAL_SECRETS = {
    "witness_passphrase": "witness_key",
    "archive_secret_key": "archive_access_key",
    "search_key": "search_key",
    "tls_passphrase": "tls_key",
}
_KEY_PLACES = ("signing_key", "next_signing_key", "vault_key", "next_vault_key")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]{1,5})?|https?://\[[0-9a-f:]+\](?::[0-9]{1,5})?")
_PATHS = (
    "data_folder",
    "signing_key",
    "signing_chain",
    "next_signing_key",
    "next_signing_chain",
    "token_module",
    "key_folder",
    "tls_key",
    "tls_chain",
    "log_key",
    "witness_policy",
    "witness_key",
    "witnessed_logs",
    "vault_key",
    "next_vault_key",
    "vault_keys",
    "log_head",
    "large_folder",
    "trust_list",
    "trust_list_signer",
    "contracts",
    "registry",
)


def _words(value: object) -> object:
    """Split what came from the environment."""
    return [each.strip() for each in value.split(",") if each.strip()] if isinstance(value, str) else value


def _dated(value: object) -> object:
    """Split what came from the environment: `sha256=2035-01-01,sha384=…`."""
    words = _words(value)
    return dict(each.partition("=")[::2] for each in words) if isinstance(words, list) else value


def _uscc(text: str) -> str:
    if not is_uscc(text):
        raise ValueError("is not a unified social credit code")
    return text


def _retention(text: str) -> str:
    return RetentionPeriod(text).text


def _origin(text: str | None) -> str | None:
    if text is not None and not _ORIGIN.fullmatch(text):
        raise ValueError("is not https://host, or http://host, without a path")
    return text


class Settings(BaseModel):
    """What a hub needs to run.

    Attributes:
        member: USCC of the member that operates the hub; the hub speaks as its subsystem `hub`.
        host: address to listen on.
        port: port to listen on.
        tls_key: encrypted PKCS#8 of the key for TLS, on both sides; without it the hub speaks plain HTTP, on
            this machine only unless `plain_http_beyond_loopback` says otherwise.
        tls_chain: PEM chain of that key; a renewed one is taken up without a restart.
        tls_passphrase: of that key.
        client_certificates: who has to show one: `for-messages` whoever sends messages, `required` everybody,
            `none` nobody.
        plain_http_beyond_loopback: whether plain HTTP may leave this machine, because a terminator encrypts.
        limits: what callers may take of the server.
        data_folder: where the hub writes: its database, unless `database_url` names another.
        database_url: an SQLAlchemy URL; SQLite in the data folder by default.
        signing_key: the hub's envelope key: an encrypted PKCS#8 file, or the URI of a key in a token.
        signing_chain: PEM chain of that key, the hub's certificate first.
        signing_passphrase: of that file, or the token's PIN.
        next_signing_key: the key that shall sign after it, with the same passphrase; a running hub takes it
            into use as soon as its chain is there.
        next_signing_chain: PEM chain of the next key; the two belong together.
        token_module: the PKCS#11 library, for keys in a token whose URI names none.
        key_folder: where keys made over the API are kept, each encrypted with the signing passphrase; `keys`
            in the data folder by default.
        log_key: encrypted PKCS#8 of the Ed25519 key that signs checkpoints.
        witness_policy: which witnesses are asked to cosign the log's checkpoints, where they are, and how
            many make a quorum (C2SP tlog-policy).
        witness_key: encrypted PKCS#8 of the Ed25519 or ML-DSA-44 key by which the hub cosigns other logs'
            checkpoints; never the log's.
        witness_passphrase: of that file.
        witness_name: what the hub calls itself as a witness, a URL without scheme; never changed.
        search_key: at least 32 random bytes, under which business keys are hashed to be searched by; without
            it they are not kept.
        witnessed_logs: whose checkpoints it cosigns (logs/v0).
        vault_key: the master key under which the vault's data keys are wrapped: an encrypted file, or the URI
            of an AES key in a token.
        vault_passphrase: of that file, or the token's PIN.
        next_vault_key: the master key that shall follow it, with the same passphrase.
        vault_keys: folder of the data keys, best away from the database and its backups; `vault-keys` in the
            data folder by default.
        default_retention: how long messages are kept whose contract does not say.
        archives: where archives go: a path, `file:///...` or `s3://bucket/prefix`; none by default.
        archive_when_over: whether a month that is over is archived without anybody asking.
        archive_endpoint: URL of the object store, unless it is Amazon's.
        archive_region: region of the object store.
        archive_access_key: the id of the key for the object store.
        archive_secret_key: that key.
        erase_when_due: whether what was kept long enough is erased without anybody asking.
        large_folder: where containers lie that are too large for the database, encrypted; `large` in the data
            folder by default.
        largest_message_bytes: how large a container may be that is announced before it comes.
        member_upload_bytes: of all containers of one member that are coming in at a time.
        member_uploads: how many of them there may be.
        upload_idle_hours: after so long without a byte one is given up.
        spare_disk_bytes: how much of the disk large containers leave to everything else.
        log_origin: the log's name in its checkpoints, a URL without scheme; never changed, but see
            `former_log_keys`.
        former_log_keys: verifier keys of this log under keys or names it no longer has.
        log_head: file that remembers the last published checkpoint, best not on the database's disk;
            `log-head.txt` in the data folder by default.
        trust_list: folder of signed trust lists, or one; those the database lacks are taken over at start.
        trust_list_signer: PEM of who signed the first trust list, compared with its operator by another way.
        contracts: folder of the contracts.
        also_allowed_algorithms: ids of rows of the table of algorithms that are off by default.
        registry: YAML file of members, services and rights, applied at start; None leaves all as it is.
        checkpoint_seconds: how often a log that has grown is sealed with a checkpoint and time-stamped.
        most_stamps_waiting: how many checkpoints wait at most while no time-stamping authority answers.
        stamp_alarm_minutes: how long one may wait before there is an alarm.
        renewal_months: how long before a time-stamping authority's certificates or a digest end evidence is
            renewed.
        digest_ends: from which day on a digest is no longer relied on, by its `hashlib` name.
        portal_url: the address browsers see the hub under, `https://host` without a path; None where they
            reach it directly.
        portal_idle_minutes: after so long without a page a session of the portal ends.
        portal_session_hours: after so long it ends in any case, and never later than its access token.
        portal_most_sessions: of one access token at a time; one more ends the oldest.
        status_host: address of `status_port`.
        status_port: a port of its own for what watches the hub; None for none.
        trace_endpoint: where an OTLP collector takes traces over HTTP; None for nowhere.
        trace_ratio: which part of the messages is traced.
        disk_alarm_mebibytes: with less than this left on the data folder's disk there is an alarm.
        outbox_alarm_minutes: how long a message may wait in the outbox before there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    member: Annotated[str, AfterValidator(_uscc)]
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8443
    tls_key: Path | None = None
    tls_chain: Path | None = None
    tls_passphrase: Secret | None = None
    client_certificates: ClientCertificates = ClientCertificates.FOR_MESSAGES
    plain_http_beyond_loopback: bool = False
    limits: WireLimits = WireLimits()
    data_folder: Path
    database_url: str | None = None
    signing_key: KeyPlace
    signing_chain: Path
    signing_passphrase: Secret
    next_signing_key: KeyPlace | None = None
    next_signing_chain: Path | None = None
    token_module: Path | None = None
    key_folder: Path | None = None
    log_key: Path
    log_passphrase: Secret
    log_origin: str
    witness_policy: Path | None = None
    witness_key: Path | None = None
    witness_passphrase: Secret | None = None
    search_key: Secret | None = None
    witness_name: str | None = None
    witnessed_logs: Path | None = None
    vault_key: KeyPlace
    vault_passphrase: Secret
    next_vault_key: KeyPlace | None = None
    vault_keys: Path | None = None
    default_retention: Annotated[str, AfterValidator(_retention)] = "P10Y"
    archives: str | None = None
    archive_when_over: bool = False
    archive_endpoint: str | None = None
    archive_region: str = "us-east-1"
    archive_access_key: str | None = None
    archive_secret_key: Secret | None = None
    erase_when_due: bool = False
    large_folder: Path | None = None
    largest_message_bytes: Annotated[int, Field(ge=16 * 1024**2, le=_MOST_BYTES)] = _MOST_BYTES
    member_upload_bytes: Annotated[int, Field(ge=16 * 1024**2)] = 16 * 1024**3
    member_uploads: Annotated[int, Field(ge=1, le=10_000)] = 20
    upload_idle_hours: Annotated[int, Field(ge=1, le=720)] = 24
    spare_disk_bytes: Annotated[int, Field(ge=0)] = 1024**3
    former_log_keys: Annotated[tuple[str, ...], BeforeValidator(_words)] = ()
    log_head: Path | None = None
    trust_list: Path
    trust_list_signer: Path
    contracts: Path
    registry: Path | None = None
    checkpoint_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    most_stamps_waiting: Annotated[int, Field(ge=1, le=10_000)] = 100
    stamp_alarm_minutes: Annotated[int, Field(ge=1, le=10_080)] = 60
    renewal_months: Annotated[int, Field(ge=1, le=120)] = 12
    digest_ends: Annotated[dict[Literal["sha256", "sha384", "sha512"], date], BeforeValidator(_dated)] = (
        Field(default_factory=dict)
    )
    portal_url: Annotated[str | None, AfterValidator(_origin)] = None
    portal_idle_minutes: Annotated[int, Field(ge=1, le=1_440)] = 30
    portal_session_hours: Annotated[int, Field(ge=1, le=168)] = 12
    portal_most_sessions: Annotated[int, Field(ge=1, le=100)] = 5
    status_host: str = "127.0.0.1"
    status_port: Annotated[int | None, Field(ge=1, le=65535)] = None
    trace_endpoint: str | None = None
    trace_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    disk_alarm_mebibytes: Annotated[int, Field(ge=0)] = 2048
    outbox_alarm_minutes: Annotated[int, Field(ge=1, le=10_080)] = 30
    also_allowed_algorithms: Annotated[
        tuple[Annotated[str, AfterValidator(known_algorithm)], ...], BeforeValidator(_words)
    ] = ()

    @model_validator(mode="after")
    def _require_a_place_for_archives(self) -> Self:
        if self.archive_when_over and self.archives is None:
            raise ValueError("archive_when_over needs archives")
        return self

    @model_validator(mode="after")
    def _require_both_of_the_next_key(self) -> Self:
        if (self.next_signing_key is None) != (self.next_signing_chain is None):
            raise ValueError("next_signing_key and next_signing_chain belong together")
        return self

    @model_validator(mode="after")
    def _require_all_of_a_witness(self) -> Self:
        parts = (self.witness_key, self.witness_name, self.witnessed_logs)
        if any(parts) and not all(parts):
            raise ValueError("witness_key, witness_name and witnessed_logs belong together")
        return self

    @model_validator(mode="after")
    def _require_both_of_tls(self) -> Self:
        if (self.tls_key is None) != (self.tls_chain is None):
            raise ValueError("tls_key and tls_chain belong together")
        return self

    @property
    def tls(self) -> TlsKey | None:
        """The key for TLS; None speaks plain HTTP."""
        if self.tls_key is None or self.tls_chain is None or self.tls_passphrase is None:
            return None
        return TlsKey(self.tls_key, self.tls_chain, self.tls_passphrase)

    @property
    def subsystem(self) -> str:
        """The subsystem the hub speaks as."""
        return f"{self.member}/hub"

    @property
    def keys(self) -> Path:
        """The folder of the keys made over the API."""
        return self.key_folder or self.data_folder / "keys"

    @property
    def data_keys(self) -> Path:
        """The folder of the vault's data keys."""
        return self.vault_keys or self.data_folder / "vault-keys"

    @property
    def large(self) -> Path:
        """The folder of containers too large for the database."""
        return self.large_folder or self.data_folder / "large"

    @property
    def head(self) -> Path:
        """The file that remembers the last published checkpoint."""
        return self.log_head or self.data_folder / "log-head.txt"

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
            environment variable that is not set or what a reference does not lead to;
            `settings.secret_exposed` a file that others may read.
    """
    environment = dict(os.environ) if environment is None else environment
    folder = file.parent if file is not None else Path()
    values = _read(file) if file is not None else {}
    values |= {
        name: environment[key]
        for name in Settings.model_fields.keys() - {*_SECRETS, *_OPTIONAL_SECRETS}
        if (key := f"{_PREFIX}{name.upper()}") in environment
    }
    optional = [
        name
        for name, opened in _OPTIONAL_SECRETS.items()
        if values.get(opened) is not None or (name == opened and environment.get(f"{_PREFIX}{name.upper()}"))
    ]
    values |= {name: _secret(name, values.get(name), folder, environment) for name in (*_SECRETS, *optional)}
    try:
        values |= _places(values)
        settings = Settings.model_validate(values)
    except ValidationError as error:
        places = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}"
            for e in error.errors(include_input=False, include_url=False)
        )
        raise SettingsError("settings.invalid", places) from None
    require_protected(
        host=settings.host,
        has_tls=settings.tls is not None,
        allows_plain=settings.plain_http_beyond_loopback,
    )
    return settings


def _places(values: Mapping[str, Any]) -> dict[str, KeyPlace]:
    places = {}
    for name in _KEY_PLACES:
        if isinstance(text := values.get(name), str):
            try:
                places[name] = read_key_place(text, Path())
            except ValueError as error:
                raise SettingsError("settings.invalid", f"{name}: {error}") from None
    return places


def _secret(name: str, reference: object, folder: Path, environment: Mapping[str, str]) -> Secret:
    """Read a secret: the variable's value as it is, or else what the file refers to."""
    variable = f"{_PREFIX}{name.upper()}"
    if reference is not None and not (isinstance(reference, str) and is_reference(reference)):
        raise SettingsError("settings.invalid", f"{name}: a secret never stands in the file; refer to it")
    if environment.get(variable):
        return read_secret(f"env:{variable}", folder=folder, environment=environment)
    if reference is None:
        raise SettingsError("settings.secret_missing", variable)
    try:
        return read_secret(reference, folder=folder, environment=environment)
    except SettingsError as error:
        raise SettingsError(error.code, f"{name}: {error.detail}") from error


def _read(file: Path) -> dict[str, Any]:
    try:
        values = read_yaml(file)
    except YamlFileError as error:
        raise SettingsError("settings.invalid", f"{file} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise SettingsError("settings.invalid", f"{file} is not a table of settings")
    for name in _PATHS:
        if isinstance(values.get(name), str) and not values[name].startswith("pkcs11:"):
            values[name] = file.parent / values[name]
    return values
