# SPDX-License-Identifier: Apache-2.0
"""The pages of a gateway's own console, with what reads sources and what tests contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapters.trials import Case, CaseKind, contract_cases, trial, trial_to_json
from adapters.wizard.application import Wizard, WizardParts
from hub.identifiers import SubsystemId

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from adapters.configuration import ConfiguredAdapter
    from adapters.console import Workbench
    from adapters.ports import JsonObject
    from adapters.settings import GatewaySettings
    from adapters.sources import Source
    from adapters.wizard.ports import ContractTest, Watch
    from hub.contracts import Contract

_DRAFTS_IN = "drafts.sqlite"


def open_wizard(bench: Workbench, settings: GatewaySettings, watch: Watch) -> Wizard:
    """Return the pages for a gateway's settings; `watch` says how its adapters fare."""
    return Wizard(
        WizardParts(
            bench=bench,
            drafts=settings.data_folder / _DRAFTS_IN,
            contracts_folder=settings.contracts,
            subsystems=frozenset(map(SubsystemId, settings.subsystems)),
            watch=watch,
            contract_test=contract_test_of(settings.contracts),
            readers=READERS,
            public_url=None if settings.console is None else settings.console.origin,
        )
    )


def contract_test_of(folder: Path) -> ContractTest:
    """Return what tests adapters by the contracts of a folder.

    Messages that would make a system do something are not sent.
    """

    def test(
        configured: ConfiguredAdapter, contract: Contract, sample: JsonObject | None
    ) -> Mapping[str, Any]:
        cases = [*contract_cases(folder, contract)]
        if sample is not None:
            cases.append(Case("sample", CaseKind.SAMPLE, sample))
        return dict(trial_to_json(trial(configured, contract, cases)))

    return test


# The protocols' libraries are slow to import, so a console loads only those it is asked for.
def _read_wsdl(path: Path) -> Source:
    from adapters.soap.wsdl import read_wsdl  # noqa: PLC0415 - zeep is imported only where SOAP is spoken

    return read_wsdl(path, imports_below=path.parent)


def _read_openapi(path: Path) -> Source:
    from adapters.rest import read_openapi  # noqa: PLC0415 - httpx2 is imported only where REST is spoken

    return read_openapi(path)


READERS = {"soap": _read_wsdl, "rest": _read_openapi}
"""What reads a source, by kind."""
