# SPDX-License-Identifier: Apache-2.0
"""The last thing before a line is written: what looks like a credential is left out.

Nothing here writes secrets. A library that quotes what it sends, or an error that quotes an address, might;
so this is a net below, and no licence to log what one should not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

WITHHELD = "<withheld>"

_MOST_LEVELS = 6
_CREDENTIALS = (
    # RFC 9110 section 11.6.2 and RFC 6750: what follows a scheme.
    (re.compile(r"(?i)\b(bearer|basic|digest)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {WITHHELD}"),
    # RFC 3986 section 3.2.1: the part after the colon of a user's information.
    (re.compile(r"(://[^/\s:@\"']*):[^/\s@\"']+@"), rf"\1:{WITHHELD}@"),
    # Parameters of addresses, connection strings and RFC 7512 URIs.
    (
        re.compile(r"(?i)\b(pin-value|password|passphrase|passwd|pwd|token|secret|api_?key)=[^\s&;,\"']+"),
        rf"\1={WITHHELD}",
    ),
    # The hub's own access tokens.
    (re.compile(r"heliograph_[A-Za-z0-9_-]{43}"), WITHHELD),
)


def withhold(text: str) -> str:
    """Return a text without what looks like a credential."""
    for pattern, instead in _CREDENTIALS:
        text = pattern.sub(instead, text)
    return text


def withhold_credentials(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leave credentials out of every text of a line; a processor of structlog."""
    return {withhold(name): _without(value, _MOST_LEVELS) for name, value in event.items()}


def _without(value: object, levels: int) -> object:
    if isinstance(value, str):
        return withhold(value)
    if isinstance(value, dict) and levels:
        return {withhold(str(name)): _without(each, levels - 1) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and levels:
        return [_without(each, levels - 1) for each in value]
    return value if isinstance(value, int | float | None) else withhold(str(value))
