# SPDX-License-Identifier: Apache-2.0
"""What a gateway sends by itself: files, rows of a table, whatever a department's system puts down somewhere.

`intakes:` beside `services:` in a services file:

    intakes:
      - id: monthly-report
        kind: sftp | table | a kind the caller brings
        subsystem: <USCC>/<subsystem>      who sends
        service: <USCC>/<subsystem>/<service>     who is asked or told
        contract: <name>/v<N>
        purpose: {item: ..., case: ..., legal_basis: ..., official: ..., post: ...}
        every_seconds: 10
        whole: row | file                  what becomes one message
        connection: {...}                  the kind's settings; secrets are references
        addresses: [host:port]             what may be connected to, as for services
        request: node                      a row or a file in the contract's words (adapters.nodes)
        response: node                     the answer in the system's words, where it is written back
        code_lists: {name: {legacy code: contract value}}

The request's expressions see `row` (or `document`, of a file that is one), `file` and `call`; those of the
response see `answer` besides. What is sent is kept in the gateway's queue (`adapters.queue`) until the hub
has it, under a key that is the same however often the same row is read, so that nothing is sent twice.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeAlias

import structlog
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from adapters.addresses import AddressGuard, AllowedText
from adapters.entry import ConnectionSettings, settings_of
from adapters.mapping import ObjectMapping
from adapters.nodes import ObjectNode
from adapters.references import Surroundings
from hub.clock import SystemClock
from hub.envelope import Purpose
from hub.errors import AdapterError, HubError
from hub.findings import logged
from hub.identifiers import (
    ContractId,
    ServiceId,
    SubsystemId,
    is_contract_id,
    is_service_id,
    is_subsystem_id,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path
    from typing import TypeVar

    from adapters.addresses import AllowedAddress, Endpoint
    from adapters.hubclient import HubClient, Question
    from adapters.ports import JsonObject, JsonValue
    from adapters.queue import Queued
    from hub.clock import Clock
    from hub.contracts import Contract
    from hub.identifiers import MessageId

    _Settings = TypeVar("_Settings", bound=ConnectionSettings)

_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_logger = structlog.get_logger(__name__)


class Whole(StrEnum):
    """What becomes one message."""

    ROW = "row"
    FILE = "file"


class Outgoing(Protocol):
    """Where an intake puts what it has to say."""

    def put(self, key: str, question: Question, *, origin: str, sender: SubsystemId) -> MessageId:
        """Take a message, durably; the same key is the same message and is taken once.

        Raises:
            HubError: it does not keep to its contract, or cannot be written down.
        """
        ...

    def state_of(self, key: str) -> Queued | None:
        """Return what has become of a message; None where none was put under this key."""
        ...

    def acknowledge(self, key: str) -> None:
        """Take note of what has become of a message: its answer is not kept any longer."""
        ...


@dataclass(frozen=True, kw_only=True)
class IntakeParts:
    """What an intake works with.

    Attributes:
        outgoing: takes its messages.
        client: signs for the intake's subsystem; for what is too large for the queue.
        contracts: by id.
        folder: the intake's own, on this machine.
    """

    outgoing: Outgoing
    client: HubClient
    contracts: Mapping[ContractId, Contract]
    folder: Path


class Intake(Protocol):
    """One place where a department's system puts down what shall be sent."""

    def look(self, stopped: threading.Event) -> None:
        """Take what is there, and put back what has become of what was taken earlier.

        Runs in a thread of the intake's own, again and again; ends soon when `stopped` is set.

        Raises:
            AdapterError: the place cannot be reached or used.
        """
        ...

    def close(self) -> None:
        """Give back connections; no look comes after this one."""
        ...


@dataclass(frozen=True, kw_only=True)
class IntakeEntry:
    """One intake as described.

    Attributes:
        at: where the entry stands in its file, for errors.
        connection: the kind's own settings, not yet checked; see `settings`.
        request: None where what is there is sent as it stands.
        response: None where answers are not written back.
    """

    at: str
    id: str
    service: ServiceId
    contract: ContractId
    subsystem: SubsystemId
    purpose: Purpose
    every_seconds: float
    whole: Whole
    connection: JsonObject
    request: ObjectMapping | None
    response: ObjectMapping | None
    surroundings: Surroundings
    clock: Clock
    addresses: tuple[AllowedAddress, ...] = ()

    def guard(self, *own: Endpoint) -> AddressGuard:
        """Return what judges this intake's connections, as `adapters.entry.ServiceEntry.guard` does."""
        return AddressGuard(self.addresses, own=own)

    def settings(self, model: type[_Settings]) -> _Settings:
        """Check the connection settings.

        Raises:
            AdapterError: `adapter.configuration_invalid`, naming every wrong field and no value.
        """
        return settings_of(model, self.connection, self.surroundings, at=self.at)

    def to_contract(self, scope: Mapping[str, JsonValue]) -> JsonObject:
        """Return a row, or a file, in the contract's words.

        Args:
            scope: `row` or `document`, and `file`.

        Raises:
            AdapterError: `adapter.mapping_failed`, naming the place and no value.
        """
        if self.request is None:
            raise AdapterError("adapter.configuration_invalid", f"{self.at}: needs request")
        return self.request.apply({**scope, "call": self._facts()})

    def to_system(self, answer: JsonObject, scope: Mapping[str, JsonValue]) -> JsonObject:
        """Return an answer in the system's words; raises as `to_contract` does."""
        if self.response is None:
            return answer
        return self.response.apply({**scope, "answer": answer, "call": self._facts()})

    def _facts(self) -> JsonObject:
        return {
            "service": self.service,
            "sender": self.subsystem,
            "purpose": {
                "item": self.purpose.item,
                "case": self.purpose.case,
                "legal_basis": self.purpose.legal_basis,
                "official": self.purpose.official,
                "post": self.purpose.post,
            },
        }


IntakeFactory: TypeAlias = Callable[[IntakeEntry, IntakeParts], Intake]
"""What builds the intakes of one kind; raises `adapter.configuration_invalid` for a wrong entry."""


@dataclass(frozen=True)
class ConfiguredIntake:
    """An intake and what builds it, once the gateway has what it works with."""

    entry: IntakeEntry
    kind: str
    build: IntakeFactory


def _intake_id(text: str) -> str:
    if not _ID.fullmatch(text) or len(text) > 60:
        raise ValueError("an id is lower-case letters, digits and hyphens, at most 60")
    return text


def _known_form(is_one: Callable[[str], bool], form: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not is_one(text):
            raise ValueError(f"is not of the form {form}")
        return text

    return check


class _Described(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class _DescribedPurpose(_Described):
    item: str
    case: str
    legal_basis: str
    official: str
    post: str


class DescribedIntake(_Described):
    """An intake as it stands in the file."""

    id: Annotated[str, AfterValidator(_intake_id)]
    kind: str
    service: Annotated[str, AfterValidator(_known_form(is_service_id, "<USCC>/<subsystem>/<service>"))]
    contract: Annotated[str, AfterValidator(_known_form(is_contract_id, "<name>/v<N>"))]
    subsystem: Annotated[str, AfterValidator(_known_form(is_subsystem_id, "<USCC>/<subsystem>"))]
    purpose: _DescribedPurpose
    every_seconds: Annotated[float, Field(ge=0.05, le=86_400)] = 10.0
    whole: Annotated[Whole, Field(strict=False)] = Whole.ROW
    connection: dict[str, Any] = {}
    addresses: tuple[AllowedText, ...] = Field(default=(), strict=False)
    request: ObjectNode | None = None
    response: ObjectNode | None = None
    code_lists: dict[str, dict[StrictStr, StrictStr | StrictInt | StrictBool | None]] = {}


def configured_intakes(
    described: Iterable[DescribedIntake],
    path: Path,
    *,
    factories: Mapping[str, IntakeFactory] | None = None,
    clock: Clock | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[ConfiguredIntake, ...]:
    """Return a file's intakes, ready to be built; raises as `adapters.configuration.load_intakes` does."""
    builders = {**_BUILT_IN, **(factories or {})}
    surroundings = Surroundings(path.parent, os.environ if environment is None else environment)
    intakes: dict[str, ConfiguredIntake] = {}
    for index, each in enumerate(described):
        at = f"{path}: intakes.{index}"
        if each.kind not in builders:
            known = ", ".join(sorted(builders))
            raise AdapterError("adapter.configuration_invalid", f"{at}.kind: is none of {known}")
        if each.id in intakes:
            raise AdapterError("adapter.configuration_invalid", f"{at}.id: is described twice")
        entry = _entry(each, at, surroundings, clock or SystemClock())
        intakes[each.id] = ConfiguredIntake(entry, each.kind, builders[each.kind])
    return tuple(intakes.values())


def _entry(described: DescribedIntake, at: str, surroundings: Surroundings, clock: Clock) -> IntakeEntry:
    purpose = described.purpose
    try:
        request, response = (
            None if node is None else ObjectMapping(node, described.code_lists)
            for node in (described.request, described.response)
        )
    except ValueError as exc:
        raise AdapterError("adapter.configuration_invalid", f"{at}: {exc}") from exc
    return IntakeEntry(
        at=at,
        id=described.id,
        service=ServiceId(described.service),
        contract=ContractId(described.contract),
        subsystem=SubsystemId(described.subsystem),
        purpose=Purpose(
            item=purpose.item,
            case=purpose.case,
            legal_basis=purpose.legal_basis,
            official=purpose.official,
            post=purpose.post,
        ),
        every_seconds=described.every_seconds,
        whole=described.whole,
        connection=described.connection,
        request=request,
        response=response,
        surroundings=surroundings,
        clock=clock,
        addresses=described.addresses,
    )


def build_intakes(
    configured: Iterable[ConfiguredIntake],
    *,
    outgoing: Outgoing,
    client_for: Callable[[SubsystemId], HubClient],
    subsystems: Collection[SubsystemId],
    folder: Path,
) -> tuple[IntakeRunner, ...]:
    """Build a gateway's intakes, each with what looks into it.

    Args:
        configured: of all its files.
        outgoing: takes their messages.
        client_for: returns who signs for a subsystem.
        subsystems: those this gateway speaks for.
        folder: where each intake gets a folder of its own.

    Raises:
        AdapterError: `adapter.configuration_invalid`.
    """
    intakes = tuple(configured)
    _check_together([each.entry for each in intakes], subsystems)
    runners: list[IntakeRunner] = []
    try:
        for each in intakes:
            entry, client = each.entry, client_for(each.entry.subsystem)
            parts = IntakeParts(
                outgoing=outgoing, client=client, contracts=client.contracts, folder=folder / entry.id
            )
            intake = each.build(entry, parts)
            runners.append(IntakeRunner(id=entry.id, intake=intake, every_seconds=entry.every_seconds))
    except AdapterError:
        for runner in runners:
            runner.intake.close()
        raise
    return tuple(runners)


def _check_together(entries: Sequence[IntakeEntry], subsystems: Collection[SubsystemId]) -> None:
    known: set[str] = set()
    for entry in entries:
        if entry.id in known:
            raise AdapterError("adapter.configuration_invalid", f"{entry.at}.id: is described twice")
        if entry.subsystem not in subsystems:
            raise AdapterError(
                "adapter.configuration_invalid", f"{entry.at}.subsystem: is not this gateway's"
            )
        known.add(entry.id)


@dataclass(frozen=True, kw_only=True)
class IntakeRunner:
    """Looks into one intake until it is stopped."""

    id: str
    intake: Intake
    every_seconds: float
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look again and again; what goes wrong in one look must not end all others."""
        failure: tuple[str, str] | None = None
        while not self.stopped.is_set():
            failure = self._look(failure)
            self.stopped.wait(self.every_seconds)

    def _look(self, before: tuple[str, str] | None) -> tuple[str, str] | None:
        """Look once; return what fails. What fails as it did before is told once."""
        try:
            self.intake.look(self.stopped)
        except HubError as error:
            failure = (error.code, error.detail)
            if failure != before:
                _logger.warning(
                    "intake.failed", intake=self.id, code=error.code, detail=error.detail, **logged(error)
                )
            return failure
        except Exception as error:
            _logger.exception("intake.failed_unforeseen", intake=self.id)
            return (type(error).__name__, "")
        if before is not None:
            _logger.info("intake.recovered", intake=self.id, code=before[0])
        return None


def _sftp(entry: IntakeEntry, parts: IntakeParts) -> Intake:
    from adapters.sftp.pickup import PickupIntake  # noqa: PLC0415 - paramiko is imported only where SFTP is spoken

    return PickupIntake(entry, parts)


def _table(entry: IntakeEntry, parts: IntakeParts) -> Intake:
    from adapters.tables import TableIntake  # noqa: PLC0415 - SQLAlchemy only where tables are exchanged

    return TableIntake(entry, parts)


_BUILT_IN: Mapping[str, IntakeFactory] = {"sftp": _sftp, "table": _table}
