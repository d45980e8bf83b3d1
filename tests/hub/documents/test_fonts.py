# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.documents.fonts import find_chinese_font
from hub.errors import DocumentError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_font_of_the_locked_packages_is_found() -> None:
    font = find_chinese_font()
    assert font.family in font.fonts.families()


def test_without_a_chinese_font_nothing_is_typeset(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as refusal:
        find_chinese_font((tmp_path, tmp_path / "absent"))
    assert refusal.value.code == "document.font_missing"
