# SPDX-License-Identifier: Apache-2.0
"""What a request and an answer must contain: contracts are data, and checked on every message.

model       a contract, its parts, and the checks of a request or an answer
violations  one way in which content breaks its contract, told without personal data
payloads    JSON read strictly: no duplicate names, no NaN, no broken text
promotion   business keys: the values a message is found by
secrecy     what can be checked of payloads by those who cannot read them
retention   how long what was exchanged is kept, and by which law
formats     check digits and calendar dates, which JSON Schema alone cannot state
store       reads `contracts/<name>/v<N>/` and proves each contract on its own examples

Source: contracts/README.md; JSON Schema 2020-12.
"""

from hub.contracts.formats import FORMATS
from hub.contracts.model import Contract, DataClass, Part, Pattern, find_violations
from hub.contracts.payloads import JsonObject, JsonValue, PayloadSyntaxError, parse_json
from hub.contracts.promotion import LONGEST_VALUE, BusinessKey, KeyKind, Promotion, Side, normalise
from hub.contracts.retention import PERMANENT, Retention, RetentionPeriod
from hub.contracts.store import load_contracts
from hub.contracts.violations import Violation

__all__ = [
    "FORMATS",
    "LONGEST_VALUE",
    "PERMANENT",
    "BusinessKey",
    "Contract",
    "DataClass",
    "JsonObject",
    "JsonValue",
    "KeyKind",
    "Part",
    "Pattern",
    "PayloadSyntaxError",
    "Promotion",
    "Retention",
    "RetentionPeriod",
    "Side",
    "Violation",
    "find_violations",
    "load_contracts",
    "normalise",
    "parse_json",
]
