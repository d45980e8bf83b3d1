# SPDX-License-Identifier: Apache-2.0
"""The console's pages: an adapter registered step by step, from what a system comes with to its first answer.

application    the pages wired into one application, mounted under /console
starting       the list of adapters and drafts; the source
choosing       operation, service, contract, address
mapping_pages  question and answer, as a table (places, rows, tables) or YAML, with a preview
sampling       the sample call
ending         tests, and switching on
version_pages  versions, differences, approval, going back
mounting       the pages of a gateway's own console
drafts         what is known so far; draftstore keeps every step of it
"""

from adapters.wizard.application import Wizard, WizardParts
from adapters.wizard.mounting import open_wizard
from adapters.wizard.pages import MOUNTED_AT
from adapters.wizard.ports import ContractTest, Watch

__all__ = ["MOUNTED_AT", "ContractTest", "Watch", "Wizard", "WizardParts", "open_wizard"]
