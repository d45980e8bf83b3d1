# SPDX-License-Identifier: Apache-2.0
"""Code lists: a legacy system's codes and the contract's values, in both directions, each for its time.

    code_lists:
      证件类型: {"1": civil, "2": military}                  always
      险种:                                                  in force from and to a day, both included
        - {code: "11", value: pension}
        - {code: "31", value: maternity, valid_to: "2019-12-31"}
        - {code: "31", value: medical, valid_from: "2020-01-01"}

A code of another time is not guessed at: it is an error, as a code the list lacks is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapters.ports import JsonValue

CodeValue: TypeAlias = "str | int | bool | None"
"""What a code stands for in the contract."""


def _day(text: object) -> object:
    """Take a day written as text too; YAML makes a date of one without quotes."""
    if isinstance(text, str):
        try:
            return date.fromisoformat(text)
        except ValueError as exc:
            raise ValueError("a day is written 2020-01-31") from exc
    return text


_Day = Annotated[date, BeforeValidator(_day)]


class DescribedCode(BaseModel):
    """One code as it is described.

    Attributes:
        valid_from: the first day; from ever without it.
        valid_to: the last day; for ever without it.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    code: StrictStr
    value: StrictStr | StrictInt | StrictBool | None
    valid_from: _Day | None = None
    valid_to: _Day | None = None


DescribedList: TypeAlias = (
    dict[StrictStr, StrictStr | StrictInt | StrictBool | None]
    | Annotated[tuple[DescribedCode, ...], Field(strict=False)]
)
"""A code list as descriptions have it."""


@dataclass(frozen=True)
class _Code:
    code: str
    value: CodeValue
    first: date
    last: date

    def is_valid(self, on: date) -> bool:
        return self.first <= on <= self.last


class CodeList:
    """One table between a legacy system's codes and the contract's values.

    Args:
        described: codes with their values, or with the days they are in force as well.

    Raises:
        ValueError: a code has two values on one day, or is in force on no day.
    """

    def __init__(self, described: Mapping[str, CodeValue] | Iterable[DescribedCode]) -> None:
        if isinstance(described, Mapping):
            codes = [_Code(code, value, date.min, date.max) for code, value in described.items()]
        else:
            codes = [
                _Code(each.code, each.value, each.valid_from or date.min, each.valid_to or date.max)
                for each in described
            ]
        self._by_code: dict[str, list[_Code]] = {}
        self._by_value: dict[str, list[_Code]] = {}
        for code in codes:
            if code.first > code.last:
                raise ValueError(f"the code {code.code!r} is in force on no day")
            same = self._by_code.setdefault(code.code, [])
            if any(_overlap(code, other) for other in same):
                raise ValueError(f"the code {code.code!r} has two values on one day")
            same.append(code)
            self._by_value.setdefault(_key(code.value), []).append(code)

    @property
    def is_dated(self) -> bool:
        """Whether the day decides anything."""
        return any(
            (code.first, code.last) != (date.min, date.max)
            for codes in self._by_code.values()
            for code in codes
        )

    def translate(self, code: JsonValue, on: date) -> CodeValue:
        """Return what a code stands for on a day.

        Raises:
            KeyError: the list has no such code on that day.
        """
        return next(each.value for each in self._valid(self._by_code, _key(code), on))

    def reverse(self, value: JsonValue, on: date) -> str:
        """Return the code that stands for a value on a day.

        Raises:
            KeyError: the list has no code for it on that day.
        """
        return next(each.code for each in self._valid(self._by_value, _key(value), on))

    def require_reversible(self) -> None:
        """Refuse a list in which a value has two codes on one day.

        Raises:
            ValueError: naming the first such codes.
        """
        for codes in self._by_value.values():
            for number, code in enumerate(codes):
                for other in codes[:number]:
                    if _overlap(code, other):
                        raise ValueError(f"the codes {other.code!r} and {code.code!r} have one value")

    def merges(self, code: JsonValue, on: date) -> bool:
        """Tell whether another code stands for the same value on that day, so that the two become one."""
        value = self.translate(code, on)
        return len([each for each in self._by_value[_key(value)] if each.is_valid(on)]) > 1

    @staticmethod
    def _valid(codes: Mapping[str, list[_Code]], key: str, on: date) -> list[_Code]:
        found = [each for each in codes.get(key, ()) if each.is_valid(on)]
        if not found:
            raise KeyError(key)
        return found


def _overlap(one: _Code, other: _Code) -> bool:
    return one.first <= other.last and other.first <= one.last


def _key(value: JsonValue) -> str:
    """Return a code or value as descriptions write it: `true` for a truth value, as YAML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)
