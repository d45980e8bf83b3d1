# SPDX-License-Identifier: Apache-2.0
"""Distinguished names in a form in which equal names are equal, however they were written down.

The same name may be a PrintableString in one certificate and a UTF8String in another, with other capitals or
more blanks; octets do not tell.

Source: RFC 5280 section 7.1; RFC 4518 section 2 (how strings are prepared before they are compared).
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from cryptography import x509

RelativeName: TypeAlias = frozenset[tuple[str, str]]
"""The attributes of one relative distinguished name: object identifier and prepared value."""

ComparableName: TypeAlias = tuple[RelativeName, ...]
"""A distinguished name, the country or its like first; empty for the empty name."""

_NOT_SEEN = frozenset(map(chr, [*range(0xFE00, 0xFE10), 0x034F, 0x1806, 0xFFFC]))
"""What is mapped to nothing although it counts as printable: variation selectors and the like."""


@lru_cache(maxsize=4096)
def comparable(name: x509.Name) -> ComparableName:
    """Return a name in the form in which it is compared; the same few are met again and again."""
    return tuple(
        frozenset((attribute.oid.dotted_string, _prepare(attribute.value)) for attribute in relative)
        for relative in name.rdns
    )


def is_within_subtree(name: ComparableName, base: ComparableName) -> bool:
    """Tell whether a name lies in the subtree of another; every name lies in its own.

    Source: RFC 5280 section 4.2.1.10.
    """
    return name[: len(base)] == base


def _prepare(value: str | bytes) -> str:
    if isinstance(value, bytes):
        # Bit strings are compared bit by bit; no text begins with a NUL once it is prepared.
        return f"\0{value.hex()}"
    if not value.isprintable() or not _NOT_SEEN.isdisjoint(value):
        value = "".join(map(_map, value))
    if not value.isascii():
        value = unicodedata.normalize("NFKC", value.casefold())
    return " ".join(value.split()).casefold()


def _map(character: str) -> str:
    """Map what separates to a blank and what is not seen to nothing (RFC 4518 section 2.2)."""
    category = unicodedata.category(character)
    if category.startswith("Z") or character in "\t\n\v\f\r\x85":
        return " "
    if category in {"Cc", "Cf"} or character in _NOT_SEEN:
        return ""
    return character
