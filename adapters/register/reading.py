# SPDX-License-Identifier: Apache-2.0
"""Which places of a sample a mapping looks at, so that the rest can be reported as never read.

A plain path is followed exactly. Of an expression for the engine, every path in it counts as read with all
that lies below: rather a field too few in the report than one that is read after all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adapters.expressions import Expression
    from adapters.ports import JsonValue

Step: TypeAlias = "str | int"

_TOKENS = re.compile(r"""(?P<text>"[^"]*"|'[^']*'|`[^`]*`)|(?P<path>[^\W\d]\w*)""")
_STEP = re.compile(
    r"""\s*(?:\.\s*(?P<name>\w+)|\[\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<index>\d+))\s*\])"""
)


class Places:
    """A sample, and where in it each of its objects and arrays stands.

    Args:
        sample: a JSON value; it is copied, so that no object stands in two places.
    """

    def __init__(self, sample: JsonValue) -> None:
        self._pointers: dict[int, str] = {}
        self.leaves: set[str] = set()
        self.read: set[str] = set()
        self.sample = self._placed(sample, "")

    def pointer_of(self, value: JsonValue) -> str | None:
        """Return where an object or array of the sample stands; None for anything else."""
        return self._pointers.get(id(value)) if isinstance(value, dict | list) else None

    def note(self, source: Expression, scope: Mapping[str, JsonValue]) -> None:
        """Take note of what an expression looks at, with all that lies below."""
        for steps in paths_in(source):
            found = self._find(steps, scope)
            if found is not None:
                self._mark(*found)

    def note_elements(self, source: Expression, scope: Mapping[str, JsonValue]) -> None:
        """Take note of what an expression walks through: its objects are looked at one by one later."""
        if not source.path:
            self.note(source, scope)
            return
        found = self._find(source.path, scope)
        if found is None:
            return
        pointer, value = found
        if not isinstance(value, list):
            self._mark(pointer, value)
            return
        if not value:
            self.read.add(pointer)
        for index, element in enumerate(value):
            if not isinstance(element, dict | list):
                self.read.add(f"{pointer}/{index}")

    def place_of(self, source: Expression, scope: Mapping[str, JsonValue]) -> str | None:
        """Return where a plain path leads; None for anything else."""
        found = self._find(source.path, scope) if source.path else None
        return None if found is None else found[0]

    @property
    def unread(self) -> tuple[str, ...]:
        """The places that nothing looked at."""
        return tuple(sorted(self.leaves - self.read))

    def _placed(self, value: JsonValue, at: str) -> JsonValue:
        if isinstance(value, dict) and value:
            copy: JsonValue = {
                name: self._placed(each, f"{at}/{_escaped(name)}") for name, each in value.items()
            }
        elif isinstance(value, list | tuple) and value:
            copy = [self._placed(each, f"{at}/{index}") for index, each in enumerate(value)]
        else:
            self.leaves.add(at)
            copy = {} if isinstance(value, dict) else [] if isinstance(value, list | tuple) else value
        if isinstance(copy, dict | list):
            self._pointers[id(copy)] = at
        return copy

    def _find(self, steps: tuple[Step, ...], scope: Mapping[str, JsonValue]) -> tuple[str, JsonValue] | None:
        """Return where steps lead from a scope and what is there; None outside of the sample."""
        first, *others = steps
        value: JsonValue = scope.get(str(first))
        pointer = self.pointer_of(value)
        for step in others:
            inner: JsonValue = None
            if isinstance(value, dict) and isinstance(step, str):
                inner = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                inner = value[step]
            own = self.pointer_of(value)
            pointer = self.pointer_of(inner) or (None if own is None else f"{own}/{_escaped(step)}")
            value = inner
        return None if pointer is None else (pointer, value)

    def _mark(self, pointer: str, value: JsonValue) -> None:
        if isinstance(value, dict) and value:
            for name, each in value.items():
                self._mark(f"{pointer}/{_escaped(name)}", each)
        elif isinstance(value, list) and value:
            for index, each in enumerate(value):
                self._mark(f"{pointer}/{index}", each)
        else:
            self.read.add(pointer)


def paths_in(source: Expression) -> Iterator[tuple[Step, ...]]:
    """Yield the paths an expression mentions, function names included."""
    if source.path:
        yield source.path
        return
    text, at = source.source, 0
    while (token := _TOKENS.search(text, at)) is not None:
        at = token.end()
        if token["path"] is None:
            continue
        steps: list[Step] = [token["path"]]
        while (step := _STEP.match(text, at)) is not None:
            named = step["name"] or step["double"] or step["single"]
            steps.append(int(step["index"]) if step["index"] is not None else named or "")
            at = step.end()
        yield tuple(steps)


def _escaped(step: Step) -> str:
    """Write one step of a JSON pointer (RFC 6901 section 3)."""
    return str(step).replace("~", "~0").replace("/", "~1")
