# SPDX-License-Identifier: Apache-2.0
"""Stand-ins generated from a contract or from a system's own description. Never for production.

running      runs one on 127.0.0.1 and writes the adapter description that fits it
respondent   what it knows: recorded samples, the contract's examples, invented answers
invention    values that keep to a JSON Schema; people, patterns and schemas help it
misconduct   what goes wrong, and in which calls
web, files   JSON over HTTP; files over SFTP
offer        how an adapter reaches it
"""

from adapters.simulators.generated.invention import Asked, Inventor, NothingFitsError, asked
from adapters.simulators.generated.misconduct import Misbehaviour, Misconduct
from adapters.simulators.generated.offer import DESCRIPTION_FILE, Offer, describe
from adapters.simulators.generated.respondent import Respondent, Samples
from adapters.simulators.generated.running import Plan, StandIn, plan_for, running

__all__ = [
    "DESCRIPTION_FILE",
    "Asked",
    "Inventor",
    "Misbehaviour",
    "Misconduct",
    "NothingFitsError",
    "Offer",
    "Plan",
    "Respondent",
    "Samples",
    "StandIn",
    "asked",
    "describe",
    "plan_for",
    "running",
]
