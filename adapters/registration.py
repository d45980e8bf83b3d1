# SPDX-License-Identifier: Apache-2.0
"""A gateway's register put together: its files' descriptions, its versions, its console.

A registered description may not refer to the gateway's own secrets: whoever administers adapters decides
where a secret is sent, and the keys that sign for the department are not theirs to send.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from adapters.configuration import build_adapters, read_services
from adapters.console import Administrators, Workbench
from adapters.descriptions import canonical_text
from adapters.register import AdapterRegister, FileService, Rules, VersionStore
from adapters.register.files import SourceFiles
from hub.custody import Secret, is_reference, read_secret
from hub.errors import AdapterError, SettingsError
from hub.identifiers import MemberId, ServiceId, subsystem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from adapters.configuration import AdapterFactory, ConfiguredAdapter
    from adapters.register import LiveServices
    from adapters.settings import GatewaySettings
    from hub.clock import Clock
    from hub.contracts import Contract
    from hub.identifiers import ContractId

_VERSIONS_IN = "adapters.sqlite"
_FILES_IN = "adapters"


class Registration:
    """What a gateway registers adapters with.

    Args:
        settings: the gateway's.
        live: what answers; it is filled here.
        contracts: those the gateway has.
        factories: builders of further kinds.
        clock: says when something is done.
        answers: whether what is registered is built and answers.

    Raises:
        AdapterError: one of the settings' own files is wrong, or the record of versions was changed.
    """

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        settings: GatewaySettings,
        *,
        live: LiveServices,
        contracts: Mapping[ContractId, Contract],
        factories: Mapping[str, AdapterFactory],
        clock: Clock,
        answers: bool = True,
    ) -> None:
        self._settings, self._contracts, self._clock = settings, contracts, clock
        self._factories, self._live = factories, live
        self._own_secrets = tuple(_secrets_in(settings))
        self.files = SourceFiles(settings.data_folder / _FILES_IN)
        described = {
            service: each for file in settings.services for service, each in self._described_by(file)
        }
        console = settings.console
        self._store = VersionStore(settings.data_folder / _VERSIONS_IN)
        self.register = AdapterRegister(
            self._store,
            build=self._build,
            live=live,
            clock=clock,
            files=described,
            rules=Rules(
                four_eyes=console is not None and console.four_eyes,
                needs_test=console is not None and console.needs_test,
                may_answer=self._may_answer,
            ),
        )
        try:
            if answers:
                self.register.start()
        except AdapterError:
            live.close()
            self._store.close()
            raise

    def workbench(self) -> Workbench | None:
        """Return what the console's administrators work with; None where there is no console."""
        console = self._settings.console
        if console is None:
            return None
        return Workbench(
            member=MemberId(self._settings.member),
            register=self.register,
            administrators=Administrators(console.administrators, self._clock),
            live=self._live,
            contracts=self._contracts,
            files=self.files,
            clock=self._clock,
            contracts_folder=self._settings.contracts,
        )

    def close(self) -> None:
        """Close the record of versions; the adapters are closed by who holds them."""
        self._store.close()

    def _described_by(self, file: Path) -> Iterator[tuple[ServiceId, FileService]]:
        content = read_services(file)
        # All of it is checked before any of it is built.
        self._build_from(file, content, only=frozenset())
        for entry in content.get("services", ()):
            service = ServiceId(entry["service"])
            yield service, FileService(text=canonical_text(entry), build=self._one(file, content, service))

    def _one(self, file: Path, content: Any, service: ServiceId) -> Callable[[], ConfiguredAdapter]:
        return lambda: self._build_from(file, content, only=frozenset({service}))[service]

    def _build_from(
        self, file: Path, content: Any, *, only: frozenset[ServiceId]
    ) -> Mapping[ServiceId, ConfiguredAdapter]:
        return build_adapters(
            content, at=str(file), folder=file.parent, factories=self._factories, clock=self._clock, only=only
        )

    def _build(self, content: Any, at: str) -> Mapping[ServiceId, ConfiguredAdapter]:
        for reference in _references_in(content):
            if self._is_own(reference):
                raise AdapterError("adapter.configuration_invalid", f"{at}: a secret of the gateway's own")
        return build_adapters(
            content, at=at, folder=self.files.folder, factories=self._factories, clock=self._clock
        )

    def _is_own(self, reference: str) -> bool:
        """Tell whether a reference leads to a secret of the gateway's own, by whatever way."""
        if reference.startswith("fd:"):
            # It is read once; the gateway's own are read already.
            return False
        try:
            found = read_secret(reference, folder=self.files.folder, environment=os.environ)
        except SettingsError:
            # The adapter's own settings tell what is wrong with it, if it is one at all.
            return False
        return any(found == own for own in self._own_secrets)

    def _may_answer(self, service: ServiceId, contract: ContractId) -> None:
        if subsystem_of(service) not in self._settings.subsystems:
            raise AdapterError(
                "adapter.configuration_invalid", f"{service}: none of this gateway's subsystems"
            )
        if contract not in self._contracts:
            raise AdapterError("adapter.configuration_invalid", f"{contract}: unknown at this gateway")


def _secrets_in(value: Any) -> Iterator[Secret]:
    """Yield the secrets of the gateway's own settings."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _secrets_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _secrets_in(each)
    elif hasattr(value, "model_fields_set"):
        yield from _secrets_in(vars(value))


def _references_in(value: Any) -> Iterator[str]:
    if isinstance(value, str) and is_reference(value):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _references_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _references_in(each)
