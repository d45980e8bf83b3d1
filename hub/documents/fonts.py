# SPDX-License-Identifier: Apache-2.0
"""Finding a font with Chinese characters.

The font of the locked package comes first, so that a document looks the same on every machine; Debian's
`fonts-noto-cjk` has the same drawings. Typst takes the weights out of the variable font by itself, so no
static instances are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import typst

from hub.errors import DocumentError

_PACKAGE = "justmytype_intl_cjk"
_IN_PACKAGE = "fonts/ofl/notosanssc"
_DEBIAN = Path("/usr/share/fonts/opentype/noto")
_FAMILIES = ("Noto Sans SC", "Noto Sans CJK SC")


@dataclass(frozen=True)
class ChineseFont:
    """A font family the typesetter has loaded.

    Attributes:
        family: its name.
        fonts: the typesetter's own handle; nothing of the system's fonts is in it.
    """

    family: str
    fonts: typst.Fonts


def font_folders() -> tuple[Path, ...]:
    """Return the folders where a font is looked for, the preferred one first."""
    packaged = find_spec(_PACKAGE) is not None
    return (*([Path(str(resources.files(_PACKAGE) / _IN_PACKAGE))] if packaged else []), _DEBIAN)


@cache
def find_chinese_font(folders: tuple[Path, ...] | None = None) -> ChineseFont:
    """Load the first font family with simplified Chinese characters; about 30 ms, then remembered.

    Args:
        folders: where to look; `font_folders()` when left out.

    Raises:
        DocumentError: `document.font_missing`.
    """
    looked_in = font_folders() if folders is None else folders
    for folder in looked_in:
        if not folder.is_dir():
            continue
        fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[folder])
        for family in _FAMILIES:
            if family in fonts.families():
                return ChineseFont(family, fonts)
    raise DocumentError("document.font_missing", f"looked in {len(looked_in)} folders")
