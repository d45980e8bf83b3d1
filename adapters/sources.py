# SPDX-License-Identifier: Apache-2.0
"""What a department comes with (a WSDL, an OpenAPI file, a table, a layout of files), read once for people.

Reading a source never fails and never uses the network: what is wrong with it is told as findings, each with
its place and what cures it, and what can be used of it stands there as operations.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from hub.errors import Language

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from adapters.ports import JsonObject, JsonValue

MOST_FACT_CHARACTERS = 300
"""Of a fact that a finding's words name; what a file says of itself may be endless."""

MOST_SOURCE_BYTES = 20_000_000
"""Of one file of a source; the largest descriptions in use have a few million."""


class Severity(StrEnum):
    """How grave a finding is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    """This source, or this operation, cannot be used."""


class ShapeType(StrEnum):
    """What kind of value stands at a place."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    INSTANT = "instant"
    OBJECT = "object"
    ANY = "any"
    BYTES = "bytes"


@dataclass(frozen=True)
class SourceFinding:
    """One thing found in a source.

    Attributes:
        code: a row of `findings.toml`.
        at: where, as `file:line` or as a JSON pointer.
        message: what was found, in each language.
        cure: what to do about it, in each language.
    """

    code: str
    severity: Severity
    at: str
    message: Mapping[Language, str]
    cure: Mapping[Language, str]

    def as_json(self) -> JsonObject:
        """Return the finding as the API and `--json` show it."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "at": self.at,
            "message": {language.value: text for language, text in self.message.items()},
            "cure": {language.value: text for language, text in self.cure.items()},
        }


@dataclass(frozen=True)
class Shape:
    """The shape of a value; a shape within itself is cut and has the type `any`.

    Attributes:
        type: one of `ShapeType`.
        codes: the only values, as text, where they are listed.
        about: what the source says about it; empty where it says nothing.
    """

    name: str
    type: str
    is_list: bool = False
    is_required: bool = True
    children: tuple[Shape, ...] = ()
    codes: tuple[str, ...] = ()
    about: str = ""

    def as_json(self) -> JsonObject:
        """Return the shape and all below it."""
        return {
            "name": self.name,
            "type": str(self.type),
            "is_list": self.is_list,
            "is_required": self.is_required,
            "children": [child.as_json() for child in self.children],
            "codes": list(self.codes),
            "about": self.about,
        }


@dataclass(frozen=True)
class Operation:
    """One thing that can be asked.

    Attributes:
        request: what the request mapping has to produce.
        answer: what the answer mapping sees as `answer`.
        connection: a ready `connection:` of a description for this operation; secrets and addresses the
            source does not say are left for people to add.
    """

    name: str
    about: str
    request: Shape
    answer: Shape
    connection: JsonObject
    findings: tuple[SourceFinding, ...] = ()

    @property
    def is_usable(self) -> bool:
        """Tell whether nothing found makes it unusable."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)

    def as_json(self) -> JsonObject:
        """Return the operation as the API and `--json` show it."""
        return {
            "name": self.name,
            "about": self.about,
            "request": self.request.as_json(),
            "answer": self.answer.as_json(),
            "connection": self.connection,
            "is_usable": self.is_usable,
            "findings": [finding.as_json() for finding in self.findings],
        }


@dataclass(frozen=True)
class Source:
    """What was read of a source.

    Attributes:
        kind: the adapter's kind that speaks to it: `soap`, `rest`, `table`, `sftp`.
    """

    kind: str
    title: str
    operations: tuple[Operation, ...]
    findings: tuple[SourceFinding, ...] = ()

    @property
    def is_usable(self) -> bool:
        """Tell whether an adapter can be made of at least one operation."""
        is_sound = all(finding.severity is not Severity.ERROR for finding in self.findings)
        return is_sound and any(operation.is_usable for operation in self.operations)

    def as_json(self) -> JsonObject:
        """Return the source as the API and `--json` show it."""
        return {
            "kind": self.kind,
            "title": self.title,
            "is_usable": self.is_usable,
            "operations": [operation.as_json() for operation in self.operations],
            "findings": [finding.as_json() for finding in self.findings],
        }


@dataclass(frozen=True)
class Probe:
    """Whether a system can be reached, tried without any effect there.

    Attributes:
        took_seconds: how long the try took.
        findings: why not, or what is about to go wrong.
    """

    is_reachable: bool
    took_seconds: float
    findings: tuple[SourceFinding, ...] = ()

    def as_json(self) -> JsonObject:
        """Return the result as the API and `--json` show it."""
        return {
            "is_reachable": self.is_reachable,
            "took_seconds": round(self.took_seconds, 3),
            "findings": [finding.as_json() for finding in self.findings],
        }


@dataclass(frozen=True)
class FindingKind:
    """What a finding's code means; one row of `findings.toml`."""

    code: str
    severity: Severity
    message: Mapping[Language, str]
    cure: Mapping[Language, str]


@cache
def finding_kinds() -> Mapping[str, FindingKind]:
    """Return every code a finding may have."""
    table = tomllib.loads(resources.files("adapters").joinpath("findings.toml").read_text(encoding="utf-8"))
    return {
        f"{family}.{name}": FindingKind(
            f"{family}.{name}",
            Severity(row["severity"]),
            {Language.ZH: row["zh"], Language.EN: row["en"]},
            {Language.ZH: row["cure_zh"], Language.EN: row["cure_en"]},
        )
        for family, rows in table.items()
        for name, row in rows.items()
    }


def found(code: str, at: str, *, severity: Severity | None = None, **facts: JsonValue) -> SourceFinding:
    """Say what was found.

    Args:
        code: a row of `findings.toml`.
        at: where, as `file:line` or as a JSON pointer.
        severity: where this case differs from the code's default.
        facts: what the row's words name in braces; never a person's values.
    """
    kind = finding_kinds()[code]
    shown = {name: _shown(fact) for name, fact in facts.items()}
    return SourceFinding(
        code,
        severity or kind.severity,
        at,
        {language: text.format_map(shown) for language, text in kind.message.items()},
        {language: text.format_map(shown) for language, text in kind.cure.items()},
    )


def read_source(path: Path, *, most_bytes: int = MOST_SOURCE_BYTES) -> bytes | SourceFinding:
    """Return a source's bytes, or say why it cannot be read.

    Args:
        path: the file; where it stands is no part of what is said.
        most_bytes: the largest file that is read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as exc:
        return found("source.unreadable", path.name, reason=exc.strerror or type(exc).__name__)
    if len(content) > most_bytes:
        return found("source.too_large", path.name, limit=most_bytes)
    if not content.strip():
        return found("source.unreadable", path.name, reason="it is empty")
    return content


def _shown(fact: JsonValue) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in str(fact))
    return text if len(text) <= MOST_FACT_CHARACTERS else f"{text[:MOST_FACT_CHARACTERS]}…"
