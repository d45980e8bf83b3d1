# SPDX-License-Identifier: Apache-2.0
"""Read a gateway's adapter descriptions: which service is answered by which legacy system, and how.

One YAML file a department:

    services:
      - service: <USCC>/<subsystem>/<service>
        contract: <name>/v<N>
        kind: soap | rest | sftp | table | a kind the caller brings
        timeout_seconds: 20
        connection: {...}      the protocol's settings; secrets are references (env:NAME, file:PATH)
        addresses: [host:port] what may be connected to, where that is not just the connection's own address
        request: node          contract to legacy system (adapters.nodes)
        response: node         legacy system to contract
        repeatable: false      never ask this system twice about one message, whatever became of it
        outcomes: [{when: expression, error: record_not_found | record_ambiguous | system_fault},
                   {when: expression, deferred_seconds: 3600}]      it will answer later
        code_lists: {name: {legacy code: contract value}}       or, with days: adapters.codelists
    intakes: [...]             what the department's system sends by itself (adapters.intakes)

Everything is checked when it is read, so that a wrong description stops the gateway and not a citizen's case.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from adapters.addresses import AllowedText
from adapters.codelists import DescribedList
from adapters.descriptions import canonical_text, digest_of
from adapters.entry import Outcome, OutcomeCode, ServiceEntry, Translation, invalid
from adapters.intakes import ConfiguredIntake, DescribedIntake, configured_intakes
from adapters.mapping import ObjectMapping
from adapters.nodes import CompiledExpression, ObjectNode
from adapters.ports import Adapter
from adapters.references import Surroundings
from hub.clock import SystemClock
from hub.errors import AdapterError
from hub.identifiers import ContractId, ServiceId, is_contract_id, is_service_id
from hub.yamlfile import YamlFileError, read_yaml

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from adapters.intakes import IntakeFactory
    from hub.clock import Clock

_LONGEST_DEFERRAL_SECONDS = 30 * 86_400

AdapterFactory: TypeAlias = Callable[[ServiceEntry], Adapter]
"""What builds the adapters of one kind; raises `adapter.configuration_invalid` for a wrong entry."""


@dataclass(frozen=True)
class ConfiguredAdapter:
    """A service this gateway answers, or whose events it takes, with the adapter that does it.

    Attributes:
        is_repeatable: whether its system may be asked twice with the same message id: it only looks something
            up, or it knows by the idempotency key what it has done already.
        digest: SHA-256 of the description's canonical text (`adapters.descriptions`), hexadecimal.
        version: its number where it was registered (`adapters.register`); None for one from a file.
    """

    service: ServiceId
    contract: ContractId
    kind: str
    timeout_seconds: float
    adapter: Adapter
    is_repeatable: bool = True
    digest: str = ""
    version: int | None = None


def _service_id(text: str) -> str:
    if not is_service_id(text):
        raise ValueError("not a service id of the form <USCC>/<subsystem>/<service>")
    return text


def _contract_id(text: str) -> str:
    if not is_contract_id(text):
        raise ValueError("not a contract id of the form <name>/v<N>")
    return text


class _Described(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class _DescribedOutcome(_Described):
    when: CompiledExpression
    error: Annotated[OutcomeCode, Field(strict=False)] | None = None
    deferred_seconds: Annotated[int, Field(ge=1, le=_LONGEST_DEFERRAL_SECONDS)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.error is None) == (self.deferred_seconds is None):
            raise ValueError("an outcome is either an error or deferred_seconds")
        return self


class _DescribedService(_Described):
    service: Annotated[str, AfterValidator(_service_id)]
    contract: Annotated[str, AfterValidator(_contract_id)]
    kind: str
    timeout_seconds: Annotated[float, Field(gt=0, le=3600)]
    repeatable: bool = True
    connection: dict[str, Any] = {}
    addresses: tuple[AllowedText, ...] = Field(default=(), strict=False)
    request: ObjectNode | None = None
    response: ObjectNode | None = None
    outcomes: tuple[_DescribedOutcome, ...] = Field(default=(), strict=False)
    code_lists: dict[str, DescribedList] = {}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.repeatable and any(each.deferred_seconds for each in self.outcomes):
            raise ValueError("a system that answers later is asked again, so it is repeatable")
        return self


class _DescribedFile(_Described):
    services: list[_DescribedService] = []
    intakes: list[DescribedIntake] = []

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not (self.services or self.intakes):
            raise ValueError("describes neither services nor intakes")
        return self


def load_adapters(
    path: Path,
    *,
    factories: Mapping[str, AdapterFactory] | None = None,
    clock: Clock | None = None,
    environment: Mapping[str, str] | None = None,
) -> Mapping[ServiceId, ConfiguredAdapter]:
    """Build the adapters a file describes.

    Args:
        path: the YAML file; relative paths in it start at its folder.
        factories: builders of further kinds, for example `composed`.
        clock: says when an answer was retrieved.
        environment: what `env:NAME` refers to; the process's own by default.

    Raises:
        AdapterError: `adapter.configuration_invalid`, naming the file, the place and what is wrong.
    """
    return build_adapters(
        read_services(path),
        at=str(path),
        folder=path.parent,
        factories=factories,
        clock=clock,
        environment=environment,
    )


def read_services(path: Path) -> Any:
    """Read a file of descriptions, as YAML has it; `build_adapters` looks at what it says.

    Raises:
        AdapterError: `adapter.configuration_invalid`, it cannot be read.
    """
    try:
        return read_yaml(path)
    except YamlFileError as exc:
        raise AdapterError("adapter.configuration_invalid", f"{path}: cannot be read as YAML: {exc}") from exc


def build_adapters(  # noqa: PLR0913 - each by its name
    content: Any,
    *,
    at: str,
    folder: Path,
    factories: Mapping[str, AdapterFactory] | None = None,
    clock: Clock | None = None,
    environment: Mapping[str, str] | None = None,
    only: Container[ServiceId] | None = None,
) -> Mapping[ServiceId, ConfiguredAdapter]:
    """Build the adapters that descriptions describe, wherever these come from.

    Args:
        content: what YAML made of a text with `services:`.
        at: what the text is called, for errors.
        folder: where relative paths in it start.
        factories: as `load_adapters` has them.
        clock: likewise.
        environment: likewise.
        only: the services that are built; all are checked.

    Raises:
        AdapterError: `adapter.configuration_invalid`, naming the place and what is wrong.
    """
    builders = {**_BUILT_IN, **(factories or {})}
    entries: dict[ServiceId, tuple[ServiceEntry, AdapterFactory, str]] = {}
    described = read_entries(content, at=at, folder=folder, clock=clock, environment=environment)
    for entry, kind in described:
        if entry.service in entries:
            raise AdapterError("adapter.configuration_invalid", f"{entry.at}.service: is described twice")
        entries[entry.service] = (entry, _builder(builders, kind, entry), kind)
    digests = {each["service"]: digest_of(canonical_text(each)) for each in content.get("services", ())}
    adapters: dict[ServiceId, ConfiguredAdapter] = {}
    try:
        for entry, builder, kind in entries.values():
            if only is not None and entry.service not in only:
                continue
            adapters[entry.service] = ConfiguredAdapter(
                entry.service,
                entry.contract,
                kind,
                entry.timeout_seconds,
                builder(entry),
                entry.is_repeatable,
                digests[entry.service],
            )
    except AdapterError:
        for configured in adapters.values():
            configured.adapter.close()
        raise
    return adapters


def read_entries(
    content: Any,
    *,
    at: str,
    folder: Path,
    clock: Clock | None = None,
    environment: Mapping[str, str] | None = None,
) -> list[tuple[ServiceEntry, str]]:
    """Check descriptions and compile their mappings, without a look at their connections.

    Returns:
        each service's entry and its kind, as they stand.

    Raises:
        AdapterError: `adapter.configuration_invalid`.
    """
    try:
        described = _DescribedFile.model_validate(content)
    except ValidationError as exc:
        raise invalid(f"{at}: ", exc) from None
    surroundings = Surroundings(folder, os.environ if environment is None else environment)
    return [
        (_entry(service, f"{at}: services.{index}", surroundings, clock or SystemClock()), service.kind)
        for index, service in enumerate(described.services)
    ]


def load_intakes(
    path: Path,
    *,
    factories: Mapping[str, IntakeFactory] | None = None,
    clock: Clock | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[ConfiguredIntake, ...]:
    """Read the intakes a file describes; arguments and errors as of `load_adapters`."""
    try:
        described = _DescribedFile.model_validate(read_services(path))
    except ValidationError as exc:
        raise invalid(f"{path}: ", exc) from None
    return configured_intakes(
        described.intakes, path, factories=factories, clock=clock, environment=environment
    )


def _builder(builders: Mapping[str, AdapterFactory], kind: str, entry: ServiceEntry) -> AdapterFactory:
    if kind not in builders:
        known = ", ".join(sorted(builders))
        raise AdapterError("adapter.configuration_invalid", f"{entry.at}.kind: is none of {known}")
    return builders[kind]


def _entry(service: _DescribedService, at: str, surroundings: Surroundings, clock: Clock) -> ServiceEntry:
    mappings = None
    if service.request is not None:
        # What no answer follows has nothing to map one into.
        answer = service.response or ObjectNode(object={})
        outcomes = tuple(
            Outcome(described.when, described.error, described.deferred_seconds)
            for described in service.outcomes
        )
        try:
            request = ObjectMapping(service.request, service.code_lists)
            response = ObjectMapping(answer, service.code_lists)
        except ValueError as exc:
            raise AdapterError("adapter.configuration_invalid", f"{at}: {exc}") from exc
        mappings = Translation(request, response, outcomes, clock)
    return ServiceEntry(
        at=at,
        service=ServiceId(service.service),
        contract=ContractId(service.contract),
        timeout_seconds=service.timeout_seconds,
        connection=service.connection,
        is_repeatable=service.repeatable,
        addresses=service.addresses,
        mappings=mappings,
        surroundings=surroundings,
        clock=clock,
    )


# The protocols' libraries are slow to import, so a gateway loads only those its description names.
def _soap(entry: ServiceEntry) -> Adapter:
    from adapters.soap import SoapAdapter  # noqa: PLC0415 - zeep is imported only where SOAP is spoken

    return SoapAdapter(entry)


def _rest(entry: ServiceEntry) -> Adapter:
    from adapters.rest import RestAdapter  # noqa: PLC0415 - httpx2 is imported only where REST is spoken

    return RestAdapter(entry)


def _sftp(entry: ServiceEntry) -> Adapter:
    from adapters.sftp import SftpAdapter  # noqa: PLC0415 - paramiko is imported only where SFTP is spoken

    return SftpAdapter(entry)


def _table(entry: ServiceEntry) -> Adapter:
    from adapters.tables import TableAdapter  # noqa: PLC0415 - SQLAlchemy only where tables are exchanged

    return TableAdapter(entry)


_BUILT_IN: Mapping[str, AdapterFactory] = {"soap": _soap, "rest": _rest, "sftp": _sftp, "table": _table}

__all__ = [
    "AdapterFactory",
    "ConfiguredAdapter",
    "ConfiguredIntake",
    "ServiceEntry",
    "build_adapters",
    "load_adapters",
    "load_intakes",
    "read_entries",
    "read_services",
]
