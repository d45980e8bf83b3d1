# SPDX-License-Identifier: Apache-2.0
"""Formats that JSON Schema's patterns cannot state: check digits, real days, real instants.

They assert, in both validators alike, whatever the schema's vocabulary says about `format`.

Source: JSON Schema Validation 2020-12 section 7.2.3 (custom formats).
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from hub.clock import parse_instant
from hub.identifiers import is_message_id, is_resident_id, is_service_id, is_uscc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def is_calendar_day(text: str) -> bool:
    """Tell whether `text` is a day that exists, written `YYYY-MM-DD`."""
    if not _DAY.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_instant(text: str) -> bool:
    """Tell whether `text` is an instant of `hub.clock`'s one form."""
    try:
        parse_instant(text)
    except ValueError:
        return False
    return True


FORMATS: Mapping[str, Callable[[str], bool]] = {
    "uscc": is_uscc,
    "resident-id": is_resident_id,
    "service-id": is_service_id,
    "message-id": is_message_id,
    "calendar-day": is_calendar_day,
    "instant": is_instant,
}
"""Every format a contract may name; the loader refuses any other."""
