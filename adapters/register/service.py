# SPDX-License-Identifier: Apache-2.0
"""Registering adapters: versions kept, compared, approved, switched on, taken back.

One version is the description of one service. Nothing is ever changed: what answers now is what was activated
last, and going back is activating an earlier version anew. With four eyes, a version answers only when
another person than its author has approved it.

A version has to be one that can be built here, secrets included, before it is kept: so nothing is kept that
holds a secret in place of a reference, and nothing is activated that would have stopped the gateway.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from adapters.descriptions import digest_of, parse_description
from adapters.register.model import AdapterVersion, Change, ChangeKind, EventKind, Plan, VersionState
from adapters.register.rules import Rules, active_number, compare, require_ready, split, version_of
from adapters.register.store import Act
from adapters.register.unusable import UnusableAdapter
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapters.configuration import ConfiguredAdapter
    from adapters.register.live import LiveServices
    from adapters.register.model import Event
    from adapters.register.rules import FileService
    from adapters.register.store import VersionStore
    from hub.clock import Clock
    from hub.identifiers import ServiceId

    Build: TypeAlias = "Callable[[Any, str], Mapping[ServiceId, ConfiguredAdapter]]"

_logger = structlog.get_logger(__name__)
_LONGEST_NOTE = 500


class AdapterRegister:
    """The adapters of one gateway. Safe to use from several threads.

    Args:
        store: keeps versions and events.
        build: builds what a description describes.
        live: what answers now; versions that are active are put there.
        clock: says when something was done.
        files: the services that the gateway's own files describe.
        rules: what has to be so before a version answers.
    """

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        store: VersionStore,
        *,
        build: Build,
        live: LiveServices,
        clock: Clock,
        files: Mapping[ServiceId, FileService] | None = None,
        rules: Rules | None = None,
    ) -> None:
        self._store = store
        self._build = build
        self._live = live
        self._clock = clock
        self._files = dict(files or {})
        self._rules = rules or Rules()
        # One change at a time: what is compared is what is then put in place.
        self._changing = threading.RLock()

    @property
    def has_four_eyes(self) -> bool:
        """Whether another person than the author has to approve a version."""
        return self._rules.four_eyes

    def is_ready(self, version: AdapterVersion) -> bool:
        """Tell whether a version may answer."""
        try:
            require_ready(version, self._rules)
        except AdapterError:
            return False
        return True

    def start(self) -> None:
        """Let the active versions answer, and the files' descriptions where there is none.

        A version that cannot be built any more does not stop the gateway: its service answers why, and the
        others go on.

        Raises:
            AdapterError: `adapter.configuration_invalid`: one of the gateway's own files is wrong.
        """
        active = self.active()
        for service, described in self._files.items():
            if service not in active:
                self._live.swap(service, described.build())
        for service, version in active.items():
            try:
                configured = self._built(version)
            except AdapterError as error:
                _logger.exception("adapters.version_unusable", service=service, number=version.number)
                configured = UnusableAdapter.in_place_of(version, error)
            self._live.swap(service, configured)

    def plan(self, text: str, *, is_whole: bool = False) -> Plan:
        """Say what a file of descriptions would change about what answers now.

        Args:
            text: YAML with `services:`.
            is_whole: whether registered services that are missing in it are to be retired.

        Raises:
            AdapterError: `adapter.configuration_invalid`.
        """
        wanted = split(text)
        changes = [self._change(service, new) for service, new in wanted.items()]
        if is_whole:
            for service, version in self.active().items():
                if service not in wanted:
                    diff = compare(version.text, "", service)
                    changes.append(Change(service, ChangeKind.REMOVED, diff, version.sha256))
        return Plan(tuple(changes))

    def save(self, text: str, by: str, note: str = "") -> AdapterVersion:
        """Keep a description of one service as a version; the newest one again when it says the same.

        Args:
            text: YAML, one entry of `services:` or a file with exactly one.
            by: the author.
            note: why.

        Raises:
            AdapterError: `adapter.configuration_invalid`: it cannot be used here.
        """
        entries = split(text)
        if len(entries) != 1:
            raise AdapterError("adapter.configuration_invalid", "services: one at a time makes a version")
        [(service, canonical)] = entries.items()
        if not note.isprintable() or len(note) > _LONGEST_NOTE:
            raise AdapterError("adapter.configuration_invalid", f"note: one line, at most {_LONGEST_NOTE}")
        self._try(canonical)
        with self._changing:
            known = self.versions(service)
            digest = digest_of(canonical)
            if known and known[-1].sha256 == digest and known[-1].state is not VersionState.RETIRED:
                return known[-1]
            number = self._store.add_version(service, canonical, digest, Act(by, self._clock.now(), note))
            self._note("saved", service, number, by)
            return self.version(service, number)

    def approve(self, service: ServiceId, number: int, by: str) -> AdapterVersion:
        """Agree to a version, as another person than its author.

        Raises:
            AdapterError: `adapter.version_unknown`; `adapter.own_version`: the author may not.
        """
        with self._changing:
            version = self.version(service, number)
            if version.author == by:
                raise AdapterError("adapter.own_version", f"{service}: version {number}")
            if version.approved_by is None:
                self._add(version, EventKind.APPROVED, by)
            return self.version(service, number)

    def note_test(
        self, service: ServiceId, number: int, by: str, *, has_passed: bool, note: str = ""
    ) -> AdapterVersion:
        """Write down what the contract test of a version gave.

        Raises:
            AdapterError: `adapter.version_unknown`.
        """
        with self._changing:
            version = self.version(service, number)
            self._add(version, EventKind.TESTED, by, f"{'passed' if has_passed else 'failed'} {note}".strip())
            return self.version(service, number)

    def activate(
        self, service: ServiceId, number: int, by: str, *, base: str | None = None
    ) -> AdapterVersion:
        """Let a version answer from now on.

        Args:
            service: whose.
            number: of the version.
            by: who decides it.
            base: SHA-256 of what is believed to answer now, empty for nothing; None does not say.

        Raises:
            AdapterError: `adapter.version_unknown`; `adapter.approval_missing`; `adapter.test_missing`;
                `adapter.version_conflict`: something else answers than `base` says;
                `adapter.configuration_invalid`: it cannot be built, and what answered goes on.
        """
        with self._changing:
            version = self.version(service, number)
            self._require_base(service, base)
            require_ready(version, self._rules)
            configured = self._built(version)
            # On record before it answers: a gateway that dies in between begins with the new version.
            try:
                self._add(version, EventKind.ACTIVATED, by)
            except BaseException:
                configured.adapter.close()
                raise
            self._live.swap(service, configured)
            return self.version(service, number)

    def rollback(self, service: ServiceId, by: str) -> AdapterVersion:
        """Activate anew the version that answered before the present one.

        Raises:
            AdapterError: `adapter.version_unknown`: there was none; otherwise as `activate`.
        """
        with self._changing:
            numbers = [e.number for e in self._store.events(service) if e.kind is EventKind.ACTIVATED]
            present = active_number(self._store.events(service))
            before = [number for number in numbers if number != present] if present else numbers
            if not before:
                raise AdapterError("adapter.version_unknown", f"{service}: none was active before")
            return self.activate(service, before[-1], by)

    def retire(self, service: ServiceId, by: str) -> AdapterVersion:
        """Take the active version out; a file's description answers again where there is one.

        Raises:
            AdapterError: `adapter.version_unknown`: none is active; `adapter.configuration_invalid`: the
                file's description cannot be built, and what answered goes on.
        """
        with self._changing:
            version = self.active_of(service)
            if version is None:
                raise AdapterError("adapter.version_unknown", f"{service}: none is active")
            described = self._files.get(service)
            instead = None if described is None else described.build()
            self._add(version, EventKind.RETIRED, by)
            self._live.swap(service, instead)
            return self.version(service, version.number)

    def versions(self, service: ServiceId) -> tuple[AdapterVersion, ...]:
        """Return every version of a service, oldest first."""
        events = self._store.events(service)
        return tuple(version_of(service, row, events) for row in self._store.versions(service))

    def version(self, service: ServiceId, number: int) -> AdapterVersion:
        """Return one version.

        Raises:
            AdapterError: `adapter.version_unknown`.
        """
        for version in self.versions(service):
            if version.number == number:
                return version
        raise AdapterError("adapter.version_unknown", f"{service}: version {number}")

    def active(self) -> Mapping[ServiceId, AdapterVersion]:
        """Return the versions that answer."""
        found = ((service, self.active_of(service)) for service in self._store.services())
        return {service: version for service, version in found if version is not None}

    def active_of(self, service: ServiceId) -> AdapterVersion | None:
        """Return the version of a service that answers; None where none does."""
        return next((each for each in self.versions(service) if each.state is VersionState.ACTIVE), None)

    def services(self) -> tuple[ServiceId, ...]:
        """Return every service that has a version, or is described by one of the gateway's files."""
        return tuple(sorted({*self._store.services(), *self._files}))

    def events(self, service: ServiceId | None = None) -> tuple[Event, ...]:
        """Return who did what, oldest first."""
        return tuple(self._store.events(service))

    def diff(self, service: ServiceId, a: int, b: int) -> str:
        """Compare two versions, as unified diff; 0 is the gateway's own file.

        Raises:
            AdapterError: `adapter.version_unknown`.
        """
        return compare(self._text(service, a), self._text(service, b), service)

    def require_known(self, service: ServiceId) -> None:
        """Refuse a service that has neither a version nor a file.

        Raises:
            AdapterError: `adapter.version_unknown`.
        """
        if service not in self.services():
            raise AdapterError("adapter.version_unknown", str(service))

    def running_text(self, service: ServiceId) -> str:
        """Return the description of what answers now; empty for nothing."""
        version = self.active_of(service)
        if version is not None:
            return version.text
        return self._files[service].text if service in self._files else ""

    def try_out(self, text: str) -> ConfiguredAdapter:
        """Build the adapter of a description without letting it answer; the caller closes it.

        Raises:
            AdapterError: `adapter.configuration_invalid`.
        """
        entries = split(text)
        if len(entries) != 1:
            raise AdapterError("adapter.configuration_invalid", "services: one at a time is tried")
        [canonical] = entries.values()
        return self._made(canonical, "description")

    def _change(self, service: ServiceId, new: str) -> Change:
        self._try(new)
        old = self.running_text(service)
        kind = ChangeKind.ADDED if not old else ChangeKind.SAME if old == new else ChangeKind.CHANGED
        return Change(service, kind, compare(old, new, service), digest_of(old) if old else "")

    def _try(self, canonical: str) -> None:
        self._made(canonical, "description").adapter.close()

    def _made(self, canonical: str, at: str) -> ConfiguredAdapter:
        content = parse_description(canonical, at=at)
        [configured] = self._build({"services": [content]}, at).values()
        try:
            self._rules.may_answer(configured.service, configured.contract)
        except AdapterError:
            configured.adapter.close()
            raise
        return configured

    def _built(self, version: AdapterVersion) -> ConfiguredAdapter:
        at = f"{version.service} version {version.number}"
        return replace(self._made(version.text, at), version=version.number)

    def _require_base(self, service: ServiceId, base: str | None) -> None:
        if base is None:
            return
        text = self.running_text(service)
        if base != (digest_of(text) if text else ""):
            raise AdapterError("adapter.version_conflict", str(service))

    def _text(self, service: ServiceId, number: int) -> str:
        if number == 0 and service in self._files:
            return self._files[service].text
        return self.version(service, number).text

    def _add(self, version: AdapterVersion, kind: EventKind, by: str, note: str = "") -> None:
        self._store.add_event(version.service, version.number, kind, Act(by, self._clock.now(), note))
        self._note(kind.value, version.service, version.number, by)

    @staticmethod
    def _note(what: str, service: ServiceId, number: int, by: str) -> None:
        _logger.info("adapters.administered", what=what, service=service, number=number, by=by)
