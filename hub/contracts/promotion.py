# SPDX-License-Identifier: Apache-2.0
"""Business keys: the values of a message by which it shall be found again, as its contract promotes them.

A key has a name (`certificate`, `holder`), stands in the request or the answer, and is reached by a JSON
pointer; `*` for a whole segment means every element of a list. What is compared is the normalised value, so
that a number is found however somebody spaces or capitalises it.

Source: RFC 6901 (pointers); Unicode UAX #15 (normalisation forms).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.contracts.payloads import JsonValue

KEY_NAME = re.compile(r"[a-z][a-z_]{0,39}")
POINTER = re.compile(r"(/([^~/]|~[01])+)+")
LONGEST_VALUE = 200
"""Characters of a normalised value; no number that identifies anything is longer."""


class KeyKind(StrEnum):
    """How two spellings of a value are told to be the same."""

    IDENTIFIER = "identifier"
    """Without white space, upper case, compatibility forms as one: numbers and codes."""
    TEXT = "text"
    """White space counts once and not at the ends, case counts: names."""


class Side(StrEnum):
    """Where a key stands."""

    REQUEST = "request"
    ANSWER = "answer"


@dataclass(frozen=True)
class BusinessKey:
    """One value to find a message by.

    Attributes:
        name: of the key.
        kind: how it is compared.
        value: as it stood in the message; never stored.
    """

    name: str
    kind: KeyKind
    value: str

    def normalised(self) -> str:
        """Return the value as it is compared."""
        return normalise(self.kind, self.value)


@dataclass(frozen=True)
class Promotion:
    """What a contract promotes.

    Attributes:
        name: of the key; contracts share names.
        side: where it stands.
        file_name: of the JSON part it stands in.
        pointer: RFC 6901, and `*` for every element of a list.
        kind: how it is compared.
    """

    name: str
    side: Side
    file_name: str
    pointer: str
    kind: KeyKind

    def find(self, document: JsonValue) -> tuple[BusinessKey, ...]:
        """Return the keys in a document, each once; what is absent or null is no key."""
        found = dict.fromkeys(_values(document, _steps(self.pointer)))
        return tuple(BusinessKey(self.name, self.kind, value) for value in found)


def normalise(kind: KeyKind, value: str) -> str:
    """Return a value as it is compared; empty when nothing is left of it."""
    text = unicodedata.normalize("NFKC", value)
    if kind is KeyKind.IDENTIFIER:
        return "".join(text.split()).upper()
    return " ".join(text.split())


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _values(value: JsonValue, steps: list[str]) -> Iterator[str]:
    if not steps:
        if isinstance(value, str):
            yield value
        elif isinstance(value, int) and not isinstance(value, bool):
            yield str(value)
        return
    first, rest = steps[0], steps[1:]
    if isinstance(value, list) and first == "*":
        for each in value:
            yield from _values(each, rest)
    elif isinstance(value, dict) and first in value:
        yield from _values(value[first], rest)
