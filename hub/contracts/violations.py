# SPDX-License-Identifier: Apache-2.0
"""One way in which content breaks its contract, told without the content.

A violation says where (part and JSON pointer) and which rule (schema keyword and what the schema asks), and
never which value stood there: faults are logged, and the log holds no personal data. Names that the schema
does not know are not repeated either, since a sender may have put a person's name there.

Source: RFC 6901 (JSON pointer).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.errors import Language

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SHOWN = 5

_TEXTS: dict[str, tuple[str, str]] = {
    "part-missing": ("缺少该附件", "the part is missing"),
    "part-unexpected": ("契约中没有附件", "the message has a part the contract does not know"),
    "part-media-type": ("媒体类型应为{limit}", "the media type must be {limit}"),
    "part-size": ("不得超过{limit}字节", "at most {limit} bytes are allowed"),
    "json": ("不是合格的JSON: {limit}", "not acceptable JSON: {limit}"),
    "required": ("缺少字段{limit}", "the field {limit} is missing"),
    "additionalProperties": ("含有契约未规定的字段", "a field the contract does not know is present"),
    "type": ("数据类型应为{limit}", "the value must be of type {limit}"),
    "format": ("不是有效的{limit}", "not a valid {limit}"),
    "pattern": ("书写形式不符合规定", "not written in the required form"),
    "enum": ("应为{limit}之一", "must be one of {limit}"),
    "const": ("应为{limit}", "must be {limit}"),
    "minItems": ("至少应有{limit}项", "at least {limit} entries are needed"),
    "maxItems": ("至多{limit}项", "at most {limit} entries are allowed"),
    "uniqueItems": ("不得有重复项", "an entry is repeated"),
    "minLength": ("至少{limit}个字符", "at least {limit} characters are needed"),
    "maxLength": ("至多{limit}个字符", "at most {limit} characters are allowed"),
    "minimum": ("不得小于{limit}", "must not be less than {limit}"),
    "maximum": ("不得大于{limit}", "must not be greater than {limit}"),
}
_FORMATS: dict[str, tuple[str, str]] = {
    "uscc": ("统一社会信用代码", "unified social credit code"),
    "resident-id": ("公民身份号码", "resident id number"),
    "service-id": ("服务标识", "service id"),
    "message-id": ("报文标识", "message id"),
    "calendar-day": ("日期", "day"),
    "instant": ("时刻", "instant"),
}
_OTHER = ("不符合规则{keyword}", "the rule {keyword} is not kept")


@dataclass(frozen=True)
class Violation:
    """A broken rule and its place.

    Args:
        part: the part's file name, or empty where the message itself is wrong.
        pointer: RFC 6901, empty for the whole document.
        keyword: the JSON Schema keyword, or one of this module's own words for parts and JSON text.
        limit: what the contract asks, in the contract's words; never the value that was sent.
    """

    part: str
    pointer: str
    keyword: str
    limit: str = ""

    def __str__(self) -> str:
        place = f"{self.part}#{self.pointer}" if self.pointer else (self.part or "message")
        return f"{place}: {self.keyword}" + (f" {self.limit}" if self.limit else "")

    def describe(self, language: Language) -> str:
        """Say it to a person."""
        spoken = 0 if language is Language.ZH else 1
        text = _TEXTS.get(self.keyword, _OTHER)[spoken]
        limit = _FORMATS[self.limit][spoken] if self.limit in _FORMATS else self.limit
        place = " ".join(word for word in (self.part, self.pointer) if word)
        return (f"{place}: " if place else "") + text.format(limit=limit, keyword=self.keyword)


def pointer_of(path: Sequence[str | int]) -> str:
    """Write a path as an RFC 6901 pointer."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def summarise(violations: Sequence[Violation]) -> str:
    """Write the first violations in one line, for an error's detail."""
    shown = "; ".join(str(violation) for violation in violations[:MAX_SHOWN])
    return shown + ("; and more" if len(violations) > MAX_SHOWN else "")
