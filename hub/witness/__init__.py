# SPDX-License-Identifier: Apache-2.0
"""The hub as witness of other logs: it remembers what each showed, and cosigns only what grew out of it.

A log that shows one history to some and another to others cannot get both cosigned here. What does not fit
together is refused, kept as evidence, and told to the operators.

Source: C2SP tlog-witness and tlog-cosignature.
"""

from hub.witness.keys import load_witness_key
from hub.witness.logs import WitnessedLog, read_witnessed_logs
from hub.witness.routes import witness_routes
from hub.witness.service import Witness, WitnessedState
from hub.witness.submissions import Submission

__all__ = [
    "Submission",
    "Witness",
    "WitnessedLog",
    "WitnessedState",
    "load_witness_key",
    "read_witnessed_logs",
    "witness_routes",
]
