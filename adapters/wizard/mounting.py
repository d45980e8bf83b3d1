# SPDX-License-Identifier: Apache-2.0
"""The pages of a gateway's own console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.wizard.application import Wizard, WizardParts
from hub.identifiers import SubsystemId

if TYPE_CHECKING:
    from adapters.console import Workbench
    from adapters.settings import GatewaySettings

_DRAFTS_IN = "drafts.sqlite"


def open_wizard(bench: Workbench, settings: GatewaySettings) -> Wizard:
    """Return the pages for a gateway's settings."""
    return Wizard(
        WizardParts(
            bench=bench,
            drafts=settings.data_folder / _DRAFTS_IN,
            contracts_folder=settings.contracts,
            subsystems=frozenset(map(SubsystemId, settings.subsystems)),
            public_url=None if settings.console is None else settings.console.origin,
        )
    )
