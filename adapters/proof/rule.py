# SPDX-License-Identifier: Apache-2.0
"""The counting rule: a decision table kept as data, read, proven on its examples, and asked.

The table has a version and a digest, so a city may change it without a new release and every proof says
which one it was counted by. The engine forgives what an authority must not: a cell it cannot parse is a row
that never matches, a fact it does not know is null. So a table is refused unless every cell parses, every
column is a fact there is, and every row is reached by an example that gives the verdict it should.

Source: docs/counting-rules.md section 5; JSON Decision Model of the GoRules engine.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import zen
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from adapters.proof.verdicts import Facts, Reason, Verdict
from hub.contracts import parse_json
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_STRICT = ConfigDict(frozen=True, extra="forbid")


class _VerdictRow(BaseModel):
    model_config = _STRICT
    weight: int = Field(ge=0, le=2, strict=True)
    reason: Reason


class _Column(BaseModel):
    id: str
    field: str


class _Table(BaseModel):
    inputs: tuple[_Column, ...]
    outputs: tuple[_Column, ...]
    rules: tuple[dict[str, str], ...] = Field(min_length=1)


class _Node(BaseModel):
    type: str
    content: _Table | None = None


class _RuleFile(BaseModel):
    id: str = Field(pattern=r"^[a-z][a-z0-9-]{0,79}$")
    version: str = Field(pattern=r"^[1-9][0-9]{0,2}\.[0-9]{1,3}\.[0-9]{1,3}$")
    nodes: tuple[_Node, ...]


class _Example(BaseModel):
    model_config = _STRICT
    why: str
    facts: Facts
    verdict: _VerdictRow


_Examples = TypeAdapter(tuple[_Example, ...])
_Verdicts = TypeAdapter(tuple[_VerdictRow, ...])


@dataclass(frozen=True)
class CountingRule:
    """A counting rule in one version, ready to be asked; safe to share between threads.

    Attributes:
        sha256: of the rule's file, so that anybody can tell which text was applied.
    """

    id: str
    version: str
    sha256: str
    decision: zen.ZenDecision

    def judge(self, facts: Sequence[Facts]) -> tuple[Verdict, ...]:
        """Ask the table about many cases at once.

        Raises:
            AdapterError: `adapter.counting_rule_invalid`, no row covers a case, or a verdict of another form.
        """
        try:
            answer = self.decision.evaluate({"facts": [asdict(one) for one in facts]})
            rows = _Verdicts.validate_python(answer["result"]["verdicts"])
        except (RuntimeError, KeyError, ValidationError) as exc:
            raise AdapterError(
                "adapter.counting_rule_invalid", f"{self.id} {self.version}: {_first_line(exc)}"
            ) from exc
        return tuple(Verdict(row.weight, row.reason) for row in rows)


def load_counting_rule(file: Path) -> CountingRule:
    """Read a rule's file and prove it on the examples beside it.

    Args:
        file: a JDM decision table, `<name>.json`, with `<name>.examples.json` beside it.

    Raises:
        AdapterError: `adapter.counting_rule_invalid`; the detail names the file and what is wrong.
    """
    examples_file = file.with_suffix(".examples.json")
    try:
        raw = file.read_bytes()
        described = _RuleFile.model_validate(parse_json(raw))
        examples = _Examples.validate_python(parse_json(examples_file.read_bytes()))
        decision = zen.ZenEngine().create_decision(raw.decode("utf-8"))
        decision.validate()
    except (OSError, ValueError, RuntimeError) as exc:
        raise AdapterError("adapter.counting_rule_invalid", f"{file.name}: {_first_line(exc)}") from exc
    tables = [node.content for node in described.nodes if node.content is not None]
    if len(tables) != 1:
        _refuse(file, f"holds {len(tables)} tables instead of one")
    rule = CountingRule(described.id, described.version, hashlib.sha256(raw).hexdigest(), decision)
    _check_cells(file, tables[0])
    _check_examples(file, tables[0], rule, examples)
    return rule


def _check_cells(file: Path, table: _Table) -> None:
    known = {field.name for field in fields(Facts)}
    for column in table.inputs:
        if column.field not in known:
            _refuse(file, f"asks for {column.field}, which is no fact")
    for number, row in enumerate(table.rules, start=1):
        cells = [(column, zen.compile_unary_expression) for column in table.inputs if row.get(column.id)]
        cells += [(column, zen.compile_expression) for column in table.outputs]
        for column, compiled in cells:
            try:
                compiled(row.get(column.id, ""))
            except RuntimeError as exc:
                raise AdapterError(
                    "adapter.counting_rule_invalid",
                    f"{file.name}: row {number}: the cell {column.id} cannot be read",
                ) from exc


def _check_examples(file: Path, table: _Table, rule: CountingRule, examples: Sequence[_Example]) -> None:
    untried = set(range(1, len(table.rules) + 1))
    verdicts = rule.judge([example.facts for example in examples])
    for number, (example, verdict) in enumerate(zip(examples, verdicts, strict=True), start=1):
        if verdict != Verdict(example.verdict.weight, example.verdict.reason):
            _refuse(file, f"example {number} should be {example.verdict.reason}, but is {verdict.reason}")
        untried.discard(_row_reached(rule, example.facts))
    if untried:
        _refuse(file, f"no example reaches row {min(untried)}")


def _row_reached(rule: CountingRule, facts: Facts) -> int:
    """Return which row decided, counted from 1, as the engine's trace tells."""
    trace = rule.decision.evaluate({"facts": [asdict(facts)]}, {"trace": True})["trace"]
    steps = [step["traceData"] for step in trace.values() if isinstance(step["traceData"], list)]
    return int(steps[0][0]["index"]) + 1


def _first_line(exc: Exception) -> str:
    """Say where a value has the wrong form, counted from 0; or the engine's word without its stack trace."""
    if isinstance(exc, ValidationError):
        first = exc.errors(include_input=False, include_url=False, include_context=False)[0]
        return f"{'/'.join(str(step) for step in first['loc'])}: {first['type']}"
    return str(exc).splitlines()[0]


def _refuse(file: Path, reason: str) -> None:
    raise AdapterError("adapter.counting_rule_invalid", f"{file.name}: {reason}")
