# SPDX-License-Identifier: Apache-2.0
"""A real Chromium, Debian's own, with the Chinese font of the locked package."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import Browser, sync_playwright

from hub.documents.fonts import font_folders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def running_chromium(folder: Path) -> Iterator[Browser]:
    """Run the browser; `folder` keeps what it and its fonts need.

    As long as it runs, nothing else in this thread can run an event loop.

    Raises:
        FileNotFoundError: there is none on the PATH.
    """
    program = shutil.which("chromium")
    if program is None:
        raise FileNotFoundError("chromium")
    fonts = folder / "fonts.conf"
    listed = "".join(f"<dir>{each}</dir>" for each in (*font_folders(), "/usr/share/fonts"))
    fonts.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">'
        f"<fontconfig>{listed}<cachedir>{folder}/font-cache</cachedir></fontconfig>",
        encoding="utf-8",
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=list(_FLAGS),
            env={"FONTCONFIG_FILE": str(fonts), "HOME": str(folder)},
        )
        yield browser
        browser.close()
