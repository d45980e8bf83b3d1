# SPDX-License-Identifier: Apache-2.0
"""Who takes part, which systems they have, what those answer, and who may ask for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date  # noqa: TC003 - pydantic reads the annotations when it checks a file
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NewType, TypeAlias, TypeVar
from urllib.parse import urlsplit

from hub.errors import RegistryError
from hub.identifiers import (
    ContractId,
    MemberId,
    ServiceId,
    SubsystemId,
    is_contract_id,
    is_service_id,
    is_subsystem_id,
    is_uscc,
)
from hub.registry.certificates import CertificateIndex, RegisteredCertificate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

AccessRightId = NewType("AccessRightId", str)
"""A short name an administrator gives a right, for example `fund-asks-employment`."""

SubscriptionId = NewType("SubscriptionId", str)
"""A short name an administrator gives a subscription, for example `fund-hears-of-proofs`."""

LONGEST_TEXT = 200
LONGEST_TIMEOUT_SECONDS = 300
_DAY_SECONDS = 86_400
LONGEST_SILENCE_MINUTES = 366 * 24 * 60

_RIGHT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
# What an event's header may say (PR-ENV 3.2), or the beginning of it and a star.
_TOPIC = re.compile(r"[a-z0-9][a-z0-9.-]{0,79}|([a-z0-9][a-z0-9-]{0,76}\.)([a-z0-9-]{1,76}\.)*\*|\*")
_LONGEST_TOPIC = 80
# A power item's or a procedure's code, as it stands in the catalogue: 12, 31 or 33 characters, or local.
_PURPOSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class MemberStatus(StrEnum):
    """Whether a member takes part."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    LEFT = "left"


@dataclass(frozen=True, kw_only=True)
class Title:
    """A name in both languages."""

    zh: str
    en: str

    def __post_init__(self) -> None:
        for language, text in (("zh", self.zh), ("en", self.en)):
            _require_text(text, language)


@dataclass(frozen=True, kw_only=True)
class Member:
    """An organisation that takes part."""

    id: MemberId
    names: Title
    status: MemberStatus

    def __post_init__(self) -> None:
        if not is_uscc(self.id):
            raise RegistryError("registry.member_invalid", f"id: {self.id[:18]!r}")


@dataclass(frozen=True, kw_only=True)
class Subsystem:
    """One information system of a member; what sends and receives."""

    id: SubsystemId
    titles: Title

    def __post_init__(self) -> None:
        _require(is_subsystem_id(self.id), "id: not <USCC>/<subsystem>")


@dataclass(frozen=True, kw_only=True)
class DeliveryPolicy:
    """How hard the hub tries to deliver what waits for a service, and how gently.

    Attributes:
        first_pause_seconds: after the first failed attempt.
        factor: by how much every pause is longer than the one before.
        longest_pause_seconds: no pause is longer.
        tries: attempts before the message becomes a dead letter.
        concurrency: deliveries under way at the same time, of all workers together.
        per_second: deliveries begun in a second, of all workers together; None for no limit.
        breaker_failures: failed attempts in a row after which the partner is left alone for a while.
        breaker_seconds: how long at most: a sixteenth of it at first, then a single delivery finds out if the
            partner is back, and each that fails doubles the time.
    """

    first_pause_seconds: float = 5.0
    factor: float = 2.0
    longest_pause_seconds: float = 900.0
    tries: int = 12
    concurrency: int = 8
    per_second: float | None = None
    breaker_failures: int = 5
    breaker_seconds: float = 30.0

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("first_pause_seconds", self.first_pause_seconds, 0.01, _DAY_SECONDS),
            ("factor", self.factor, 1, 10),
            ("longest_pause_seconds", self.longest_pause_seconds, self.first_pause_seconds, _DAY_SECONDS),
            ("tries", self.tries, 1, 1000),
            ("concurrency", self.concurrency, 1, 200),
            ("per_second", self.per_second or 1, 0.001, 10_000),
            ("breaker_failures", self.breaker_failures, 1, 1000),
            ("breaker_seconds", self.breaker_seconds, 0.01, _DAY_SECONDS),
        ):
            _require(least <= value <= most, f"delivery.{name}: not {least} to {most}")
        _require(self.per_second is None or self.per_second > 0, "delivery.per_second: not above 0")


@dataclass(frozen=True, kw_only=True)
class Service:
    """Something a subsystem answers.

    Attributes:
        id: names the subsystem that answers.
        contract: what a request and an answer contain.
        gateway_url: where the member's gateway listens; http or https. None where nobody can call it: then
            it comes for its messages.
        timeout_seconds: how long an answer may take.
        titles: for people.
        delivery: how what waits for it is delivered.
    """

    id: ServiceId
    contract: ContractId
    gateway_url: str | None = None
    timeout_seconds: int
    titles: Title
    delivery: DeliveryPolicy = field(default_factory=DeliveryPolicy)

    def __post_init__(self) -> None:
        _require(is_service_id(self.id), "id: not <USCC>/<subsystem>/<service>")
        _require(is_contract_id(self.contract), "contract: not <name>/v<N>")
        _require_gateway_url(self.gateway_url)
        _require(
            0 < self.timeout_seconds <= LONGEST_TIMEOUT_SECONDS,
            f"timeout_seconds: not 1 to {LONGEST_TIMEOUT_SECONDS}",
        )


@dataclass(frozen=True, kw_only=True)
class AccessRight:
    """That a subsystem may use a service, for these purposes and no others.

    Attributes:
        id: a short name.
        consumer: the subsystem that may ask.
        service: what it may ask.
        purposes: codes of power items or procedures.
        legal_basis: the rule that allows it, in words.
        valid_from: the first day, in China Standard Time.
        valid_until: the last day; None for as long as nobody ends it.
        silent_after_minutes: after so long without a message that was answered, operators are told; None
            where messages come as they come.
    """

    id: AccessRightId
    consumer: SubsystemId
    service: ServiceId
    purposes: tuple[str, ...]
    legal_basis: str
    valid_from: date
    valid_until: date | None = None
    silent_after_minutes: int | None = None

    def __post_init__(self) -> None:
        _require(_RIGHT_ID.fullmatch(self.id), "id: not 1 to 80 of a-z, 0-9 and hyphen")
        _require(is_subsystem_id(self.consumer), "consumer: not <USCC>/<subsystem>")
        _require(is_service_id(self.service), "service: not <USCC>/<subsystem>/<service>")
        _require(self.purposes, "purposes: none is given")
        _require(len(set(self.purposes)) == len(self.purposes), "purposes: one is given twice")
        _require(all(_PURPOSE.fullmatch(code) for code in self.purposes), "purposes: not a code")
        _require_text(self.legal_basis, "legal_basis")
        _require(
            self.valid_until is None or self.valid_from <= self.valid_until,
            "valid_until: before valid_from",
        )
        _require(
            self.silent_after_minutes is None or 0 < self.silent_after_minutes <= LONGEST_SILENCE_MINUTES,
            f"silent_after_minutes: not 1 to {LONGEST_SILENCE_MINUTES}",
        )

    def is_valid(self, on: date) -> bool:
        """Tell whether the right holds on a day."""
        return self.valid_from <= on and (self.valid_until is None or on <= self.valid_until)


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """That a subsystem is sent the events of a service; it needs an access right to the service beside it.

    Attributes:
        id: a short name.
        subscriber: the subsystem that is sent them.
        service: whose events; its contract is one of events.
        topics: which of them: a topic, `prefix.*` for all that begin with `prefix.`, or `*` for all.
        gateway_url: where the subscriber's gateway listens, as with a service.
        valid_from: the first day, in China Standard Time.
        valid_until: the last day; None for as long as nobody ends it.
    """

    id: SubscriptionId
    subscriber: SubsystemId
    service: ServiceId
    topics: tuple[str, ...]
    valid_from: date
    valid_until: date | None = None
    gateway_url: str | None = None

    def __post_init__(self) -> None:
        _require(_RIGHT_ID.fullmatch(self.id), "id: not 1 to 80 of a-z, 0-9 and hyphen")
        _require(is_subsystem_id(self.subscriber), "subscriber: not <USCC>/<subsystem>")
        _require(is_service_id(self.service), "service: not <USCC>/<subsystem>/<service>")
        _require(self.topics, "topics: none is given")
        _require(len(set(self.topics)) == len(self.topics), "topics: one is given twice")
        _require(all(_is_topic(topic) for topic in self.topics), "topics: not a topic, `prefix.*` or `*`")
        _require_gateway_url(self.gateway_url)
        _require(
            self.valid_until is None or self.valid_from <= self.valid_until,
            "valid_until: before valid_from",
        )

    def is_valid(self, on: date) -> bool:
        """Tell whether it holds on a day."""
        return self.valid_from <= on and (self.valid_until is None or on <= self.valid_until)

    def covers(self, topic: str) -> bool:
        """Tell whether events on this topic are wanted."""
        return any(
            topic == wanted or (wanted.endswith("*") and topic.startswith(wanted[:-1]))
            for wanted in self.topics
        )


RegistryEntry: TypeAlias = Member | Subsystem | Service | AccessRight | Subscription | RegisteredCertificate
EntryType: TypeAlias = (
    type[Member]
    | type[Subsystem]
    | type[Service]
    | type[AccessRight]
    | type[Subscription]
    | type[RegisteredCertificate]
)
Kind = TypeVar("Kind", bound=RegistryEntry)

ENTRY_TYPES: Mapping[str, EntryType] = MappingProxyType(
    {
        "member": Member,
        "subsystem": Subsystem,
        "service": Service,
        "access-right": AccessRight,
        "subscription": Subscription,
        "certificate": RegisteredCertificate,
    }
)
"""What a registry holds, in an order in which everything named stands before who names it."""

KIND_NAMES: Mapping[type, str] = MappingProxyType({each: name for name, each in ENTRY_TYPES.items()})


@dataclass(frozen=True)
class Snapshot:
    """The whole registry at one moment.

    Attributes:
        version: the number of the last change in it.
        entries: by the name of their type and their id.
        rights: by consumer and service, in the order of their ids.
        subscriptions: by service, in the order of their ids.
        certificates: by member and use, retired ones too.
    """

    version: int = 0
    entries: Mapping[tuple[str, str], RegistryEntry] = field(default_factory=dict)
    rights: Mapping[tuple[SubsystemId, ServiceId], tuple[AccessRight, ...]] = field(default_factory=dict)
    certificates: CertificateIndex = field(default_factory=dict)
    subscriptions: Mapping[ServiceId, tuple[Subscription, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[RegistryEntry], version: int) -> Snapshot:
        """Put a registry together."""
        by_id = {key_of(entry): entry for entry in entries}
        ordered = dict(sorted(by_id.items()))
        rights: dict[tuple[SubsystemId, ServiceId], tuple[AccessRight, ...]] = {}
        certificates: CertificateIndex = {}
        subscriptions: dict[ServiceId, tuple[Subscription, ...]] = {}
        for entry in ordered.values():
            if isinstance(entry, AccessRight):
                pair = (entry.consumer, entry.service)
                rights[pair] = (*rights.get(pair, ()), entry)
            elif isinstance(entry, Subscription):
                subscriptions[entry.service] = (*subscriptions.get(entry.service, ()), entry)
            elif isinstance(entry, RegisteredCertificate):
                certificates.setdefault((entry.member, entry.use), {})[entry.id] = entry
        return cls(version, MappingProxyType(ordered), MappingProxyType(rights), certificates, subscriptions)

    def find(self, kind: type[Kind], entry_id: str) -> Kind | None:
        """Return one entry, or None."""
        entry = self.entries.get((KIND_NAMES[kind], entry_id))
        return entry if isinstance(entry, kind) else None

    def all_of(self, kind: type[Kind]) -> tuple[Kind, ...]:
        """Return all entries of a type, in the order of their ids."""
        return tuple(entry for entry in self.entries.values() if isinstance(entry, kind))


class Action(StrEnum):
    """What is done to an entry."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


@dataclass(frozen=True)
class Change:
    """One entry before and after: None where there is none."""

    before: RegistryEntry | None
    after: RegistryEntry | None

    @property
    def action(self) -> Action:
        """What is done."""
        if self.before is None:
            return Action.ADD
        return Action.REMOVE if self.after is None else Action.CHANGE

    @property
    def entry(self) -> RegistryEntry:
        """The entry that is meant: as it will be, or as it was when it goes."""
        entry = self.after if self.after is not None else self.before
        if entry is None:
            raise ValueError("a change of nothing")
        return entry


@dataclass(frozen=True)
class RecordedChange:
    """A change that was made.

    Attributes:
        sequence: counted from 1; a registry's version is its last change's number.
        at: UTC.
        by: the subject of the account that made it.
        change: what was done.
    """

    sequence: int
    at: datetime
    by: str
    change: Change


def key_of(entry: RegistryEntry) -> tuple[str, str]:
    """Return what tells an entry from all others: the name of its type, and its id."""
    return (KIND_NAMES[type(entry)], entry.id)


def _is_topic(text: str) -> bool:
    return len(text) <= _LONGEST_TOPIC and _TOPIC.fullmatch(text) is not None


def _require_gateway_url(url: str | None) -> None:
    _require(url is None or _is_gateway_url(url), "gateway_url: not an http or https address")


def _is_gateway_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and port != 0
        and "@" not in parts.netloc
        and not parts.fragment
        and url.isascii()
        and url.isprintable()
        and " " not in url
        and len(url) <= LONGEST_TEXT
    )


def _require_text(text: str, name: str) -> None:
    is_text = text.isprintable() and text == text.strip() and 0 < len(text) <= LONGEST_TEXT
    _require(is_text, f"{name}: not 1 to {LONGEST_TEXT} printable characters")


def _require(condition: object, detail: str) -> None:
    if not condition:
        raise RegistryError("registry.entry_invalid", detail)
