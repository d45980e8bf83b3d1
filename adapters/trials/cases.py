# SPDX-License-Identifier: Apache-2.0
"""The questions of a contract test: examples, the department's samples, and people who do not exist."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from adapters.invention import Inventor, NothingFitsError, asked, is_nobody
from hub.contracts import FORMATS, PayloadSyntaxError, parse_json
from hub.errors import AdapterError

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.ports import JsonObject, JsonValue
    from hub.contracts import Contract

_MOST_SAMPLES = 200


class CaseKind(StrEnum):
    """What a case shows."""

    CONNECTION = "connection"
    EXAMPLE = "example"
    SAMPLE = "sample"
    INVALID = "invalid"
    UNKNOWN = "unknown"
    ANSWERED = "answered"
    REPEATED = "repeated"
    AT_ONCE = "at-once"
    TIME_LIMIT = "time-limit"


@dataclass(frozen=True)
class Case:
    """One question of a test.

    Attributes:
        name: of the file it comes from, or what it is.
        request: as the contract has it; what breaks the contract for `CaseKind.INVALID`.
    """

    name: str
    kind: CaseKind
    request: JsonValue


def contract_cases(folder: Path, contract: Contract, samples: Path | None = None) -> tuple[Case, ...]:
    """Gather the questions of a test.

    Args:
        folder: of all contracts.
        contract: the one that is tested.
        samples: folder of the department's own questions about records its system has, `*.json` each; a
            recorded sample's `*.answer.json` is no question.

    Raises:
        AdapterError: `adapter.configuration_invalid`, a file cannot be read.
    """
    examples = folder / contract.id / "examples"
    cases = [
        Case(file.name, CaseKind.EXAMPLE, _read(file)) for file in sorted(examples.glob("request*.json"))
    ]
    for file in sorted((examples / "invalid").glob("request-*.json")):
        content = _read(file)
        if isinstance(content, dict):
            cases.append(Case(file.name, CaseKind.INVALID, content.get("data")))
    if samples is not None:
        files = [file for file in sorted(samples.glob("*.json")) if not file.name.endswith(".answer.json")]
        if not files:
            raise AdapterError("adapter.configuration_invalid", f"{samples} has no question (*.json)")
        cases += [Case(file.name, CaseKind.SAMPLE, _read(file)) for file in files[:_MOST_SAMPLES]]
    nobody = _nobody(contract)
    return (*cases, *([] if nobody is None else [Case("nobody", CaseKind.UNKNOWN, nobody)]))


def _nobody(contract: Contract) -> JsonObject | None:
    """Return a question about people or companies of the reserved area; None where none are asked about."""
    part = next((each for each in contract.request if each.schema is not None), None)
    if part is None or part.schema is None:
        return None
    inventor = Inventor(root=part.schema, seed="nobody", formats=FORMATS, is_nobody=True, most_items=1)
    try:
        request = inventor.invent(part.schema)
    except NothingFitsError:
        # A contract without such a question is tested by its examples alone.
        return None
    return request if isinstance(request, dict) and _names_nobody(request) else None


def knows_nobody(answer: JsonObject) -> bool:
    """Tell whether an answer has a record, an object in a list, of somebody who does not exist."""
    records = [
        each
        for value in answer.values()
        if isinstance(value, list)
        for each in value
        if isinstance(each, dict)
    ]
    return any(_names_nobody(each) for each in records)


def _names_nobody(value: JsonValue) -> bool:
    said = asked(value, FORMATS).by_format
    return any(is_nobody(each) for kind in ("resident-id", "uscc") for each in said.get(kind, ()))


def _read(file: Path) -> JsonValue:
    try:
        return parse_json(file.read_bytes())
    except (OSError, PayloadSyntaxError) as exc:
        raise AdapterError("adapter.configuration_invalid", f"{file}: {exc}") from exc
