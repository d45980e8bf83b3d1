# SPDX-License-Identifier: Apache-2.0
"""A fact that is said in words of its own, in both languages."""

from __future__ import annotations

from typing import Self


class Bilingual(str):
    """English words that know the Chinese ones.

    Args:
        en: part of a sentence, in English.
        zh: the same in Chinese.
    """

    __slots__ = ("zh",)

    zh: str

    def __new__(cls, en: str, zh: str) -> Self:
        """Make the English words and keep the Chinese ones beside them."""
        made = super().__new__(cls, en)
        made.zh = zh
        return made
