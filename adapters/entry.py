# SPDX-License-Identifier: Apache-2.0
"""One service of a gateway, described and ready to be built into an adapter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from adapters.addresses import AddressGuard
from adapters.mapping import is_true
from adapters.ports import DeferredError
from hub.clock import day_in_china, format_instant
from hub.errors import AdapterError

if TYPE_CHECKING:
    from datetime import datetime

    from adapters.addresses import AllowedAddress, Endpoint
    from adapters.expressions import Expression
    from adapters.mapping import ObjectMapping
    from adapters.ports import Call, JsonObject, JsonValue
    from adapters.references import Surroundings
    from hub.clock import Clock
    from hub.identifiers import ContractId, ServiceId

_Settings = TypeVar("_Settings", bound="ConnectionSettings")


class ConnectionSettings(BaseModel):
    """What every protocol's connection settings have in common: exact types, nothing unknown."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class OutcomeCode(StrEnum):
    """What a legacy system may say in an ordinary answer that is none."""

    RECORD_NOT_FOUND = "record_not_found"
    RECORD_AMBIGUOUS = "record_ambiguous"
    SYSTEM_FAULT = "system_fault"


@dataclass(frozen=True)
class Outcome:
    """An answer for which `when` is true is this error, or says that the true one comes later."""

    when: Expression
    error: OutcomeCode | None = None
    deferred_seconds: int | None = None


@dataclass(frozen=True)
class Translation:
    """Both directions between the contract and one legacy system.

    The request's expressions see `request` and `call`; the answer's see `answer`, `request` and `call`.
    `call` has `message_id`, `sender`, `service`, `purpose`, `topic` (of an event), `on_date` (today in
    China), and for the answer `retrieved_at`.
    """

    request: ObjectMapping
    response: ObjectMapping
    outcomes: tuple[Outcome, ...]
    clock: Clock

    def to_system(self, request: JsonObject, call: Call, *, item: JsonValue = None) -> JsonObject:
        """Return the request in the legacy system's words.

        Args:
            request: the contract's request.
            call: who asks, and for what.
            item: the element in hand, where the system is asked once for each.

        Raises:
            AdapterError: the request cannot be mapped.
        """
        return self.request.apply({"request": request, "call": _facts(call, self.clock.now()), "item": item})

    def to_contract(self, answer: JsonValue, request: JsonObject, call: Call) -> JsonObject:
        """Return the legacy system's answer in the contract's words.

        Raises:
            AdapterError: the answer is one of the described outcomes, or cannot be mapped.
            DeferredError: it says that the system will answer later.
        """
        now = self.clock.now()
        facts = {**_facts(call, now), "retrieved_at": format_instant(now)}
        scope: JsonObject = {"answer": answer, "request": request, "call": facts}
        for number, outcome in enumerate(self.outcomes):
            if is_true(outcome.when, scope, at=f"outcomes/{number}"):
                if outcome.deferred_seconds is not None:
                    raise DeferredError(timedelta(seconds=outcome.deferred_seconds))
                raise AdapterError(
                    f"adapter.{outcome.error}", f"outcome {number} of the adapter's description"
                )
        return self.response.apply(scope)


def _facts(call: Call, now: datetime) -> dict[str, JsonValue]:
    return {
        "on_date": day_in_china(now).isoformat(),
        "message_id": call.message_id,
        "sender": call.sender,
        "service": call.service,
        "topic": call.topic,
        "purpose": {
            "item": call.purpose.item,
            "case": call.purpose.case,
            "legal_basis": call.purpose.legal_basis,
            "official": call.purpose.official,
            "post": call.purpose.post,
        },
    }


@dataclass(frozen=True)
class ServiceEntry:
    """One service as described; what an adapter is built from.

    Attributes:
        at: where the entry stands in its file, for errors.
        connection: the protocol's own settings, not yet checked; see `settings`.
        mappings: None for kinds that compose their answer themselves.
        is_repeatable: see `adapters.configuration.ConfiguredAdapter`.
        addresses: what the adapter may connect to; without any, where its connection settings lead to.
    """

    at: str
    service: ServiceId
    contract: ContractId
    timeout_seconds: float
    connection: JsonObject
    mappings: Translation | None
    surroundings: Surroundings
    clock: Clock
    is_repeatable: bool = True
    addresses: tuple[AllowedAddress, ...] = ()

    def guard(self, *own: Endpoint) -> AddressGuard:
        """Return what judges this adapter's connections.

        Args:
            own: where the connection settings themselves lead to (`adapters.addresses.endpoint_of` a URL);
                allowed where the description lists no addresses.
        """
        return AddressGuard(self.addresses, own=own)

    @property
    def translation(self) -> Translation:
        """The mappings of a kind that cannot do without.

        Raises:
            AdapterError: `adapter.configuration_invalid`, the entry has none.
        """
        if self.mappings is None:
            raise AdapterError("adapter.configuration_invalid", f"{self.at}: needs request and response")
        return self.mappings

    def settings(self, model: type[_Settings]) -> _Settings:
        """Check the connection settings.

        Raises:
            AdapterError: `adapter.configuration_invalid`, naming every wrong field and no value.
        """
        return settings_of(model, self.connection, self.surroundings, at=self.at)

    def seconds_for(self, call: Call) -> float:
        """Return how long this call may wait: the entry's limit or what the caller has left."""
        return max(min(self.timeout_seconds, call.timeout_seconds), 0.001)


def settings_of(
    model: type[_Settings], connection: JsonObject, surroundings: Surroundings, *, at: str
) -> _Settings:
    """Check the connection settings of the entry at a place; raises as `ServiceEntry.settings` does."""
    try:
        return model.model_validate(connection, context=surroundings)
    except ValidationError as exc:
        raise invalid(f"{at}.connection", exc) from None


def invalid(at: str, exc: ValidationError) -> AdapterError:
    """Tell what is wrong with a description, by place and without its values."""
    violations = (
        ".".join((at, *(str(part) for part in error["loc"]))) + ": " + error["msg"]
        for error in exc.errors(include_input=False, include_url=False)
    )
    return AdapterError("adapter.configuration_invalid", "; ".join(violations))
