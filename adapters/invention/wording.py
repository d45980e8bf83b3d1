# SPDX-License-Identifier: Apache-2.0
"""Texts of the formats that schemas name, and texts that look like what their field's name says.

Source: JSON Schema Validation 2020-12 section 7.3; OpenAPI 3.0.3 section 4.4; hub/contracts/formats.py.
"""

from __future__ import annotations

import base64
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from adapters.invention import people
from hub.clock import format_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from random import Random

_COMPANIES = ("company", "employer", "issuer", "organi", "单位", "企业", "dwmc")
_PERSONS = ("name", "姓名", "xm", "naam", "nom", "holder")
_ADDRESSES, _PHONES = ("address", "adres", "地址"), ("phone", "mobile", "电话", "手机")


def _message_id(chance: Random, now: datetime) -> str:
    """Return a UUIDv7 (RFC 9562 section 5.7)."""
    value = (int(now.timestamp() * 1000) << 80) | chance.getrandbits(80)
    value = value & ~(0xF << 76) | (0x7 << 76)
    return str(uuid.UUID(int=value & ~(0x3 << 62) | (0x2 << 62)))


_FORMATS: Mapping[str, Callable[[Random, datetime], str]] = {
    "service-id": lambda chance, _: f"{people.uscc(chance)}/records/example",
    "message-id": _message_id,
    "calendar-day": lambda chance, now: people.day(chance, now.date()).isoformat(),
    "date": lambda chance, now: people.day(chance, now.date()).isoformat(),
    "instant": lambda _, now: format_instant(now),
    "date-time": lambda chance, now: f"{now - timedelta(days=chance.randrange(400)):%Y-%m-%dT%H:%M:%SZ}",
    "time": lambda chance, _: f"{chance.randrange(24):02d}:{chance.randrange(60):02d}:00Z",
    "duration": lambda chance, _: f"P{chance.randrange(1, 30)}D",
    "uuid": lambda chance, _: str(uuid.UUID(int=chance.getrandbits(128), version=4)),
    "email": lambda chance, _: f"someone{chance.randrange(1000)}@example.org",
    "uri": lambda chance, _: f"https://example.org/{chance.randrange(10_000)}",
    "url": lambda chance, _: f"https://example.org/{chance.randrange(10_000)}",
    "iri": lambda chance, _: f"https://example.org/{chance.randrange(10_000)}",
    "uri-reference": lambda chance, _: f"/{chance.randrange(10_000)}",
    "hostname": lambda _chance, _now: "host.example.org",
    "ipv4": lambda chance, _: f"192.0.2.{chance.randrange(1, 255)}",
    "ipv6": lambda chance, _: f"2001:db8::{chance.randrange(1, 0xFFFF):x}",
    "byte": lambda chance, _: base64.b64encode(chance.randbytes(12)).decode("ascii"),
    "decimal": lambda chance, _: f"{chance.randrange(10_000)}.{chance.randrange(100):02d}",
    "int32": lambda chance, _: str(chance.randrange(1000)),
    "int64": lambda chance, _: str(chance.randrange(1000)),
}


def texts_of(kind: str, chance: Random, now: datetime, *, is_nobody: bool) -> list[str]:
    """Return a text of a format, or none where the format is not known.

    Args:
        kind: the format's name.
        chance: decides.
        now: the last instant a text names.
        is_nobody: whether people and companies are of the reserved area.
    """
    if kind == "resident-id":
        return [people.resident_id(chance, is_nobody=is_nobody)]
    if kind == "uscc":
        return [people.uscc(chance, is_nobody=is_nobody)]
    return [_FORMATS[kind](chance, now)] if kind in _FORMATS else []


def meant_by(name: str, chance: Random) -> str:
    """Return a text that looks like what the names on the way to its field say."""
    words = name.lower()
    if any(word in words for word in _COMPANIES):
        return people.company_name(chance)
    if any(word in words for word in _ADDRESSES):
        return people.address(chance)
    if any(word in words for word in _PHONES):
        return people.phone(chance)
    if any(word in words for word in _PERSONS):
        return people.person_name(chance)
    return f"示例{chance.randrange(100, 1000)}"
