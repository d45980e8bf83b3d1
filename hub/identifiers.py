# SPDX-License-Identifier: Apache-2.0
"""Identifiers that several slices share, and the check digits that guard them.

Source: GB 32100-2015 (unified social credit code), GB 11643-1999 (resident id number),
RFC 9562 section 5.7 (UUIDv7).
"""

from __future__ import annotations

import re
import secrets
import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from datetime import datetime

MemberId = NewType("MemberId", str)
"""A member's unified social credit code (USCC), 18 characters."""

SubsystemId = NewType("SubsystemId", str)
"""`<USCC>/<subsystem>`: one information system of a member; what sends and receives."""

ServiceId = NewType("ServiceId", str)
"""`<USCC>/<subsystem>/<service>`: something a subsystem answers."""

ContractId = NewType("ContractId", str)
"""`<name>/v<N>`: a contract in one major version."""

MessageId = NewType("MessageId", str)
"""A UUIDv7 in its canonical lower-case form."""

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = tuple(pow(3, i, 31) for i in range(17))
_RESIDENT_ID_WEIGHTS = tuple(pow(2, 17 - i, 11) for i in range(17))
_RESIDENT_ID_CHECKS = "10X98765432"

_USCC = re.compile(rf"[{_USCC_ALPHABET}]{{18}}")
_SLUG = r"[a-z][a-z0-9-]{0,39}"
_SUBSYSTEM = re.compile(rf"[{_USCC_ALPHABET}]{{18}}/{_SLUG}")
_SERVICE = re.compile(rf"[{_USCC_ALPHABET}]{{18}}/{_SLUG}/{_SLUG}")
_CONTRACT = re.compile(r"[a-z][a-z0-9-]{0,59}/v[1-9][0-9]{0,2}")
_MESSAGE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def is_uscc(text: str) -> bool:
    """Tell whether `text` is a unified social credit code with the right check character.

    Source: GB 32100-2015 section 4.5, weights 3^(i-1) mod 31.
    """
    if not _USCC.fullmatch(text):
        return False
    total = sum(_USCC_ALPHABET.index(c) * w for c, w in zip(text[:17], _USCC_WEIGHTS, strict=True))
    return text[17] == _USCC_ALPHABET[-total % 31]


def is_resident_id(text: str) -> bool:
    """Tell whether `text` is an 18-digit resident id number with the right check character.

    Source: GB 11643-1999, ISO 7064 MOD 11-2.
    """
    if not re.fullmatch(r"[1-9][0-9]{16}[0-9X]", text):
        return False
    total = sum(int(d) * w for d, w in zip(text[:17], _RESIDENT_ID_WEIGHTS, strict=True))
    return text[17] == _RESIDENT_ID_CHECKS[total % 11]


# A process meets the same few hundred ids in every message.
@lru_cache(maxsize=4096)
def is_subsystem_id(text: str) -> bool:
    """Tell whether `text` has the form of a subsystem id with a valid USCC."""
    return _SUBSYSTEM.fullmatch(text) is not None and is_uscc(text[:18])


@lru_cache(maxsize=4096)
def is_service_id(text: str) -> bool:
    """Tell whether `text` has the form of a service id with a valid USCC."""
    return _SERVICE.fullmatch(text) is not None and is_uscc(text[:18])


@lru_cache(maxsize=4096)
def is_contract_id(text: str) -> bool:
    """Tell whether `text` has the form `<name>/v<N>`."""
    return _CONTRACT.fullmatch(text) is not None


def is_message_id(text: str) -> bool:
    """Tell whether `text` is a UUIDv7 in canonical lower-case form."""
    return _MESSAGE.fullmatch(text) is not None


def member_of(subsystem_or_service: SubsystemId | ServiceId) -> MemberId:
    """Return the member a subsystem or service belongs to."""
    return MemberId(subsystem_or_service[:18])


def subsystem_of(service: ServiceId) -> SubsystemId:
    """Return the subsystem that answers a service."""
    return SubsystemId(service.rsplit("/", 1)[0])


def new_message_id(now: datetime) -> MessageId:
    """Make a UUIDv7: 48 bits of Unix milliseconds, then 74 random bits.

    Source: RFC 9562 section 5.7.
    """
    milliseconds = int(now.timestamp() * 1000)
    value = (milliseconds << 80) | secrets.randbits(80)
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return MessageId(str(uuid.UUID(int=value)))
