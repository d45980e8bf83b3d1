# SPDX-License-Identifier: Apache-2.0
"""Stand-ins generated from a contract or from a system's own description. Never for production.

running      runs one on 127.0.0.1 and writes the adapter description that fits it
respondent   what it knows: recorded samples, the contract's examples, invented answers
misconduct   what goes wrong, and in which calls
web, files   JSON over HTTP; files over SFTP
offer        how an adapter reaches it
"""

from adapters.simulators.generated.misconduct import Misbehaviour, Misconduct
from adapters.simulators.generated.offer import DESCRIPTION_FILE, Offer, describe
from adapters.simulators.generated.respondent import Respondent, Samples
from adapters.simulators.generated.running import Plan, StandIn, plan_for, running

__all__ = [
    "DESCRIPTION_FILE",
    "Misbehaviour",
    "Misconduct",
    "Offer",
    "Plan",
    "Respondent",
    "Samples",
    "StandIn",
    "describe",
    "plan_for",
    "running",
]
