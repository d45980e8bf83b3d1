# SPDX-License-Identifier: Apache-2.0
"""Invented people, companies and days: check digits hold, and nobody is meant.

Values of the reserved area belong to nobody a stand-in knows: so a question about a record that is not there
can be asked of every stand-in, and a contract test can ask it of a real system without naming a person.

Source: GB 11643-1999, GB 32100-2015 (check digits); GB/T 2260 (division codes 99xxxx are not assigned).
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from hub.identifiers import is_resident_id, is_uscc

if TYPE_CHECKING:
    from random import Random

AREAS = ("510108", "510104", "510105", "510107", "511622", "513021")
_NOWHERE = "990000"
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN_NAMES = (
    "建华",
    "秀兰",
    "志强",
    "晓荷",
    "桂芳",
    "立军",
    "春梅",
    "一鸣",
    "玉珍",
    "海涛",
    "雪",
    "明远",
    "丽娟",
    "平",
    "国庆",
    "思源",
)
_WORDS = ("晨曦", "长风", "锦江", "云杉", "青石", "望川", "和光", "百川")
_TRADES = ("纸品", "物流", "餐饮", "软件", "园林", "印务", "纺织", "商贸")
_STREETS = ("一环路东三段", "建设路", "府青路", "二仙桥东路", "双林路", "猛追湾街")
_CHECKS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_FIRST_BIRTH, _DAYS_OF_BIRTHS = date(1958, 1, 1), 47 * 365
_RECENT_DAYS = 6 * 365


def resident_id(chance: Random, *, is_nobody: bool = False) -> str:
    """Return a resident id number with its check character."""
    born = _FIRST_BIRTH + timedelta(days=chance.randrange(_DAYS_OF_BIRTHS))
    area = _NOWHERE if is_nobody else chance.choice(AREAS)
    stem = f"{area}{born:%Y%m%d}{chance.randrange(1000):03d}"
    return next(stem + check for check in "0123456789X" if is_resident_id(stem + check))


def uscc(chance: Random, *, is_nobody: bool = False) -> str:
    """Return the unified social credit code of a company, with its check character."""
    area = _NOWHERE if is_nobody else chance.choice(AREAS)
    stem = f"91{area}MA{chance.choice('6789')}{chance.randrange(1_000_000):06d}"
    return next(stem + check for check in _CHECKS if is_uscc(stem + check))


def is_nobody(value: str) -> bool:
    """Tell whether a number belongs to the reserved area."""
    return (is_resident_id(value) and value.startswith(_NOWHERE)) or (
        is_uscc(value) and value[2:8] == _NOWHERE
    )


def person_name(chance: Random) -> str:
    """Return a person's name."""
    return chance.choice(SURNAMES) + chance.choice(GIVEN_NAMES)


def company_name(chance: Random) -> str:
    """Return a company's name."""
    return f"成都市成华区{chance.choice(_WORDS)}{chance.choice(_TRADES)}有限公司"


def address(chance: Random) -> str:
    """Return an address."""
    return f"成都市成华区{chance.choice(_STREETS)}{chance.randrange(1, 300)}号"


def phone(chance: Random) -> str:
    """Return a mobile number of a block no operator uses."""
    return f"100{chance.randrange(10**8):08d}"


def day(chance: Random, until: date) -> date:
    """Return a day of the six years before a day."""
    return until - timedelta(days=chance.randrange(_RECENT_DAYS))
