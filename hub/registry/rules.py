# SPDX-License-Identifier: Apache-2.0
"""Who may use a service, and what a registry needs to be whole. Nothing is allowed that is not granted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hub.errors import AccessError, RegistryError
from hub.identifiers import member_of, subsystem_of
from hub.registry.certificates import RegisteredCertificate, require_recognised
from hub.registry.model import (
    KIND_NAMES,
    AccessRight,
    Change,
    Member,
    MemberStatus,
    RegistryEntry,
    Service,
    Snapshot,
    Subscription,
    Subsystem,
    key_of,
)
from hub.trust import refusal

if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from datetime import date, datetime

    from hub.identifiers import ContractId, MemberId, ServiceId, SubsystemId

MOST_CERTIFICATES = 20
"""How many may count for one member and use at a time."""


def authorise(
    rights: Iterable[AccessRight], consumer: SubsystemId, service: ServiceId, purpose_item: str, on: date
) -> AccessRight:
    """Return the right under which `consumer` may use `service` for a purpose on a day.

    Raises:
        AccessError: `access.service_not_granted`: there is no right that day;
            `access.purpose_not_allowed`: there is one, for other purposes.
    """
    granted = [
        right
        for right in rights
        if (right.consumer, right.service) == (consumer, service) and right.is_valid(on)
    ]
    if not granted:
        raise AccessError("access.service_not_granted", f"{consumer} has no right to {service} on {on}")
    for right in granted:
        if purpose_item in right.purposes:
            return right
    raise AccessError(
        "access.purpose_not_allowed", f"{consumer} has a right to {service}, for other purposes"
    )


def subscriptions_to(
    snapshot: Snapshot, service: ServiceId, topic: str, on: date
) -> tuple[Subscription, ...]:
    """Return who subscribed to a service's events on a topic, one subscription for each subscriber.

    Whether a subscriber may have them is a matter of its right: `authorise`.
    """
    found: dict[SubsystemId, Subscription] = {}
    for each in snapshot.subscriptions.get(service, ()):
        if each.is_valid(on) and each.covers(topic):
            found.setdefault(each.subscriber, each)
    return tuple(found.values())


def require_active_member(snapshot: Snapshot, member_id: MemberId) -> Member:
    """Return a member that takes part.

    Raises:
        RegistryError: `registry.member_unknown` or `registry.member_inactive`.
    """
    member = snapshot.find(Member, member_id)
    if member is None:
        raise RegistryError("registry.member_unknown", member_id)
    if member.status is not MemberStatus.ACTIVE:
        raise RegistryError("registry.member_inactive", f"{member_id} is {member.status}")
    return member


def require_subsystem(snapshot: Snapshot, subsystem_id: SubsystemId) -> Subsystem:
    """Return a subsystem.

    Raises:
        RegistryError: `registry.subsystem_unknown`.
    """
    subsystem = snapshot.find(Subsystem, subsystem_id)
    if subsystem is None:
        raise RegistryError("registry.subsystem_unknown", subsystem_id)
    return subsystem


def require_service(snapshot: Snapshot, service_id: ServiceId) -> Service:
    """Return a service.

    Raises:
        RegistryError: `registry.service_unknown`.
    """
    service = snapshot.find(Service, service_id)
    if service is None:
        raise RegistryError("registry.service_unknown", service_id)
    return service


def require_references(
    snapshot: Snapshot, entry: RegistryEntry, contracts: Container[ContractId] | None
) -> None:
    """Refuse an entry that names another one which is not there.

    Args:
        snapshot: the registry the entry would be in.
        entry: what to check.
        contracts: those that exist; None to let any be named.

    Raises:
        RegistryError: the code says what is unknown.
    """
    match entry:
        case Subsystem():
            if snapshot.find(Member, member_of(entry.id)) is None:
                raise RegistryError("registry.member_unknown", f"{entry.id} is a system of no member")
        case Service():
            require_subsystem(snapshot, subsystem_of(entry.id))
            if contracts is not None and entry.contract not in contracts:
                raise RegistryError("registry.entry_invalid", f"contract: there is no {entry.contract}")
        case AccessRight():
            require_subsystem(snapshot, entry.consumer)
            require_service(snapshot, entry.service)
        case Subscription():
            require_subsystem(snapshot, entry.subscriber)
            require_service(snapshot, entry.service)
        case RegisteredCertificate():
            _require_own_key(snapshot, entry)


def apply_changes(
    snapshot: Snapshot, changes: Iterable[Change], contracts: Container[ContractId] | None = None
) -> Snapshot:
    """Return the registry after the changes; its version counts them.

    Raises:
        RegistryError: an entry would name one that is not there; `registry.entry_in_use`: one that is removed
            is still named.
    """
    entries = dict(snapshot.entries)
    version = snapshot.version
    changes = list(changes)
    for change in changes:
        version += 1
        if change.after is None:
            entries.pop(key_of(change.entry), None)
        else:
            entries[key_of(change.entry)] = change.after
    after = Snapshot.of(entries.values(), version)
    for change in changes:
        if change.after is not None:
            require_references(after, change.after, contracts)
        else:
            _require_unused(after, change.entry)
    return after


def differences(
    snapshot: Snapshot, wanted: Iterable[RegistryEntry], *, removing_others: bool = False
) -> list[Change]:
    """Return the changes that turn a registry into the wanted one, in an order that can be followed.

    A certificate that is registered stays as it is: who wants it registered, such as a file read at every
    start, must not bring a retired one back, and what a file does not name is not retired by that.

    Args:
        snapshot: the registry as it is.
        wanted: the entries as they should be.
        removing_others: whether what is not wanted goes.
    """
    changes = []
    keys = set()
    for entry in wanted:
        keys.add(key_of(entry))
        before = snapshot.entries.get(key_of(entry))
        if before != entry and not isinstance(before, RegisteredCertificate):
            changes.append(Change(before, entry))
    if removing_others:
        changes += [
            Change(entry, None)
            for key, entry in snapshot.entries.items()
            if key not in keys and not isinstance(entry, RegisteredCertificate)
        ]
    return changes


def registrations(
    snapshot: Snapshot,
    wanted: Iterable[RegisteredCertificate],
    *,
    signer: RegisteredCertificate | None,
    at: datetime,
) -> list[Change]:
    """Return the changes that register certificates; those that are registered already change nothing.

    Args:
        snapshot: the registry as it is.
        wanted: the certificates to register.
        signer: what signed the message that asks for it, None where an administrator asks. Where its member
            has no certificate registered yet, it becomes the first one.
        at: UTC; now.

    Raises:
        RegistryError: `registry.certificate_retired`, one was registered before and is retired.
        TrustError: `trust.certificate_not_registered`, the signer does not count.
    """
    changes = []
    entries = list(wanted)
    if signer is not None:
        require_recognised(snapshot.certificates, signer.x509, signer.member, signer.use, at)
        has_first = any(each.use is signer.use for each in entries)
        if has_first and (signer.member, signer.use) not in snapshot.certificates and signer not in entries:
            entries.insert(0, signer)
    for entry in entries:
        _require_room(snapshot, entry)
        before = snapshot.find(RegisteredCertificate, entry.id)
        if before is not None and before.retired_because is not None:
            raise RegistryError("registry.certificate_retired", f"{entry.id}: {before.retired_because}")
        if before is not None and before.use is not entry.use:
            raise RegistryError("registry.entry_invalid", f"use: {entry.id} is registered for {before.use}")
        if before is None:
            changes.append(Change(None, entry))
    return changes


def retirement(snapshot: Snapshot, fingerprint: str, because: str) -> list[Change]:
    """Return the change that retires a certificate; none when it is retired already.

    Raises:
        RegistryError: `registry.certificate_unknown`.
    """
    before = snapshot.find(RegisteredCertificate, fingerprint)
    if before is None:
        raise RegistryError("registry.certificate_unknown", fingerprint[:64])
    if before.retired_because is not None:
        return []
    return [Change(before, replace(before, retired_because=because))]


def removal(snapshot: Snapshot, entry: RegistryEntry) -> list[Change]:
    """Return the change that removes an entry; none when it is gone already."""
    before = snapshot.entries.get(key_of(entry))
    return [] if before is None else [Change(before, None)]


def _require_unused(snapshot: Snapshot, removed: RegistryEntry) -> None:
    users = [
        f"{KIND_NAMES[type(entry)]} {entry.id}"
        for entry in snapshot.entries.values()
        if _names(entry, removed)
    ]
    if users:
        raise RegistryError("registry.entry_in_use", f"{removed.id} is named by {', '.join(users[:5])}")


def _require_room(snapshot: Snapshot, entry: RegisteredCertificate) -> None:
    """Refuse more certificates than a member needs: who may register its own could fill the registry."""
    of_member = snapshot.certificates.get((entry.member, entry.use), {})
    counting = [each for each in of_member.values() if each.retired_because is None]
    if entry.id not in of_member and len(counting) >= MOST_CERTIFICATES:
        detail = f"certificate: {entry.member} has {len(counting)} that count; withdraw one first"
        raise RegistryError("registry.entry_invalid", detail)


def _require_own_key(snapshot: Snapshot, entry: RegisteredCertificate) -> None:
    """Refuse a key that speaks for another member: which of the two signed could never be told."""
    if snapshot.find(Member, entry.member) is None:
        raise RegistryError("registry.member_unknown", entry.member)
    for other in snapshot.all_of(RegisteredCertificate):
        if other.key_sha256 != entry.key_sha256:
            continue
        if other.member != entry.member:
            raise refusal("key_of_another_member", entry.x509)
        if other.use is not entry.use:
            # Who gets something signed must not get something decrypted by it (NIST SP 800-57 part 1, 5.2).
            raise RegistryError(
                "registry.entry_invalid", f"certificate: its key is registered for {other.use}"
            )


def _names(entry: RegistryEntry, other: RegistryEntry) -> bool:
    match entry, other:
        case Subsystem(), Member():
            return member_of(entry.id) == other.id
        case Service(), Subsystem():
            return subsystem_of(entry.id) == other.id
        case AccessRight(consumer=named) | Subscription(subscriber=named), Subsystem():
            return named == other.id
        case AccessRight(service=named) | Subscription(service=named), Service():
            return named == other.id
        case RegisteredCertificate(), Member():
            return entry.member == other.id
        case _:
            return False
