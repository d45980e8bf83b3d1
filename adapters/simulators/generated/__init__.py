# SPDX-License-Identifier: Apache-2.0
"""Stand-ins generated from a contract or from a system's own description. Never for production.

running      runs one on 127.0.0.1 and writes the adapter description that fits it
respondent   what it knows: recorded samples, the contract's examples, invented answers
misconduct   what goes wrong, and in which calls
web, files   a contract as JSON over HTTP, and as files over SFTP
contractsoap a contract over SOAP; contractxml has its WSDL, envelopes the envelopes
soap         a WSDL's own operations; wsdl finds them, xsd and instances write their samples
offer        how an adapter reaches it
"""

from adapters.simulators.generated.misconduct import Misbehaviour, Misconduct
from adapters.simulators.generated.offer import DESCRIPTION_FILE, Offer, describe
from adapters.simulators.generated.respondent import Respondent, Samples
from adapters.simulators.generated.running import (
    FilePlan,
    Plan,
    StandIn,
    plan_for,
    running,
    running_file,
)

__all__ = [
    "DESCRIPTION_FILE",
    "FilePlan",
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
    "running_file",
]
