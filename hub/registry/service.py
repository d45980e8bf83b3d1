# SPDX-License-Identifier: Apache-2.0
"""The registry as the hub uses it: questions are answered from memory, changes are written and recorded."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hub.errors import RegistryError
from hub.identifiers import member_of
from hub.registry import rules, store
from hub.registry.certificates import encryption_certificates, require_recognised
from hub.registry.model import KIND_NAMES, Change, Kind, RecordedChange, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable
    from datetime import date, datetime

    from cryptography import x509
    from sqlalchemy import Connection, Engine

    from hub.clock import Clock
    from hub.database import Writer
    from hub.identifiers import ContractId, MemberId, ServiceId, SubsystemId
    from hub.registry.certificates import RegisteredCertificate
    from hub.registry.model import AccessRight, Member, RegistryEntry, Service, Subscription, Subsystem
    from hub.trust import Use

MOST_CHANGES_AT_A_TIME = 500


class Registry:
    """Members, subsystems, services and access rights.

    Args:
        engine: opened by `hub.database.open_database`.
        writer: the engine's writer.
        clock: dates the changes.
        contracts: the contracts services may name; None to let any be named.
    """

    def __init__(
        self,
        engine: Engine,
        writer: Writer,
        clock: Clock,
        contracts: Container[ContractId] | None = None,
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._clock = clock
        self._contracts = contracts
        self._swapping = threading.Lock()
        with engine.connect() as connection:
            self._snapshot = store.read_snapshot(connection)

    @property
    def snapshot(self) -> Snapshot:
        """The registry as it is now; it never changes, a later one takes its place."""
        return self._snapshot

    def require_active_member(self, member_id: MemberId) -> Member:
        """Return a member that takes part.

        Raises:
            RegistryError: `registry.member_unknown` or `registry.member_inactive`.
        """
        return rules.require_active_member(self._snapshot, member_id)

    def require_subsystem(self, subsystem_id: SubsystemId) -> Subsystem:
        """Return a subsystem of a member that takes part.

        Raises:
            RegistryError: `registry.subsystem_unknown`, `registry.member_unknown` or
                `registry.member_inactive`.
        """
        snapshot = self._snapshot
        subsystem = rules.require_subsystem(snapshot, subsystem_id)
        rules.require_active_member(snapshot, member_of(subsystem_id))
        return subsystem

    def require_service(self, service_id: ServiceId) -> Service:
        """Return a service of a member that takes part.

        Raises:
            RegistryError: `registry.service_unknown`, `registry.member_unknown` or
                `registry.member_inactive`.
        """
        snapshot = self._snapshot
        service = rules.require_service(snapshot, service_id)
        rules.require_active_member(snapshot, member_of(service_id))
        return service

    def authorise(
        self, consumer: SubsystemId, service: ServiceId, purpose_item: str, on: date
    ) -> AccessRight:
        """Return the right under which `consumer` may use `service` for a purpose on a day.

        Args:
            consumer: who asks.
            service: what is asked.
            purpose_item: the code of the power item or procedure it is asked for.
            on: the day, in China Standard Time.

        Raises:
            RegistryError: the consumer or the service is unknown, or its member does not take part.
            AccessError: `access.service_not_granted` or `access.purpose_not_allowed`.
        """
        self.require_subsystem(consumer)
        self.require_service(service)
        rights = self._snapshot.rights.get((consumer, service), ())
        return rules.authorise(rights, consumer, service, purpose_item, on)

    def subscriptions_to(self, service: ServiceId, topic: str, on: date) -> tuple[Subscription, ...]:
        """Return who subscribed to a service's events on a topic; `authorise` says who may have them.

        Args:
            service: whose events.
            topic: what the event is about.
            on: the day, in China Standard Time.
        """
        return rules.subscriptions_to(self._snapshot, service, topic, on)

    def require_recognised(
        self, certificate: x509.Certificate, member: MemberId, use: Use, at: datetime
    ) -> None:
        """Refuse a certificate that does not count for its member, though an authority vouches for it.

        Asked for every message, on the event loop: it looks into memory and nowhere else.

        Raises:
            TrustError: `trust.certificate_not_registered`.
        """
        require_recognised(self._snapshot.certificates, certificate, member, use, at)

    def encryption_certificates(self, member: MemberId, at: datetime) -> tuple[RegisteredCertificate, ...]:
        """Return what may be encrypted to for a member, the certificate with the latest first day first.

        Args:
            member: whoever shall be able to read.
            at: UTC; certificates that are not valid then, and retired ones, are left out.
        """
        return encryption_certificates(self._snapshot.certificates, member, at)

    def require_entry(self, kind: type[Kind], entry_id: str) -> Kind:
        """Return one entry, whatever its member's status.

        Raises:
            RegistryError: `registry.member_unknown`, `registry.subsystem_unknown`,
                `registry.service_unknown`, `registry.access_right_unknown` or
                `registry.subscription_unknown`.
        """
        entry = self._snapshot.find(kind, entry_id)
        if entry is None:
            name = KIND_NAMES[kind].replace("-", "_")
            raise RegistryError(f"registry.{name}_unknown", entry_id[:120])
        return entry

    def put(self, entry: RegistryEntry, *, by: str) -> list[RecordedChange]:
        """Add an entry, or put it in the place of the one with its id; nothing when it is there already.

        Args:
            entry: as it should be.
            by: the subject of the account that asks.

        Raises:
            RegistryError: it names an entry that is not there.
        """
        return self._change(by, lambda now: rules.differences(now, [entry]))

    def remove(self, entry: RegistryEntry, *, by: str) -> list[RecordedChange]:
        """Remove an entry; nothing when it is gone already.

        Raises:
            RegistryError: `registry.entry_in_use`.
        """
        return self._change(by, lambda now: rules.removal(now, entry))

    def register(
        self,
        certificates: Iterable[RegisteredCertificate],
        *,
        by: str,
        signer: RegisteredCertificate | None = None,
    ) -> list[RecordedChange]:
        """Register certificates together or not at all; those that are registered already change nothing.

        Whether they may be believed is for `CertificateDesk` to find out before.

        Args:
            certificates: to be registered.
            by: the subject of the account that asks, or the message.
            signer: what signed the message; it must count, and is registered too where its member has none.

        Raises:
            RegistryError: `registry.certificate_retired`; `registry.member_unknown`.
            TrustError: `trust.key_of_another_member`, `trust.certificate_not_registered`.
        """
        entries = tuple(certificates)
        at = self._clock.now()
        return self._change(by, lambda now: rules.registrations(now, entries, signer=signer, at=at))

    def retire(self, fingerprint: str, because: str, *, by: str) -> list[RecordedChange]:
        """Let a certificate count no longer; nothing when it is retired already.

        Raises:
            RegistryError: `registry.certificate_unknown`.
        """
        return self._change(by, lambda now: rules.retirement(now, fingerprint, because))

    def changes_of(self, entry: RegistryEntry) -> tuple[RecordedChange, ...]:
        """Return all recorded changes of one entry, oldest first."""
        with self._engine.connect() as connection:
            return store.read_changes_of(connection, entry)

    def plan(self, wanted: Iterable[RegistryEntry], *, removing_others: bool = False) -> list[Change]:
        """Return what `apply` would change now.

        Raises:
            RegistryError: the registry would not be whole afterwards.
        """
        changes = rules.differences(self._snapshot, wanted, removing_others=removing_others)
        rules.apply_changes(self._snapshot, changes, self._contracts)
        return changes

    def apply(
        self, wanted: Iterable[RegistryEntry], *, by: str, removing_others: bool = False
    ) -> list[RecordedChange]:
        """Make the registry hold the wanted entries; doing it again changes nothing.

        Args:
            wanted: the entries as they should be, for example those of `load_registry_file`.
            by: the subject of the account that asks.
            removing_others: whether entries that are not wanted go; else they stay as they are.

        Raises:
            RegistryError: the registry would not be whole afterwards; nothing is changed.
        """
        entries = tuple(wanted)
        return self._change(by, lambda now: rules.differences(now, entries, removing_others=removing_others))

    def changes(self, after: int = 0, limit: int = MOST_CHANGES_AT_A_TIME) -> tuple[RecordedChange, ...]:
        """Return recorded changes with a number above `after`, oldest first."""
        with self._engine.connect() as connection:
            return store.read_changes(connection, after, min(limit, MOST_CHANGES_AT_A_TIME))

    def refresh(self) -> None:
        """Take over what another process changed."""
        with self._engine.connect() as connection:
            if store.read_version(connection) != self._snapshot.version:
                self._swap(store.read_snapshot(connection))

    def _change(self, by: str, decide: Callable[[Snapshot], list[Change]]) -> list[RecordedChange]:
        at = self._clock.now()

        def work(connection: Connection) -> tuple[Snapshot, list[RecordedChange]]:
            # What is in memory may be older than what another process wrote.
            store.lock_registry(connection)
            before = store.read_snapshot(connection)
            changes = decide(before)
            after = rules.apply_changes(before, changes, self._contracts)
            recorded = [
                RecordedChange(number, at, by, change)
                for number, change in enumerate(changes, before.version + 1)
            ]
            store.write_changes(connection, recorded)
            return after, recorded

        after, recorded = self._writer.run(work)
        self._swap(after)
        return recorded

    def _swap(self, snapshot: Snapshot) -> None:
        # Threads may come here in another order than their changes were made in.
        with self._swapping:
            if snapshot.version > self._snapshot.version:
                self._snapshot = snapshot
