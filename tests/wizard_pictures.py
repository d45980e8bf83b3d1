# SPDX-License-Identifier: Apache-2.0
"""Takes the pictures of docs/register-an-adapter.md: `python -m tests.wizard_pictures WSDL [FOLDER]`.

It takes the page's steps in Chromium, with the VIES WSDL and a stand-in of VIES. A folder gets every page, in
both languages, on a desk and on a phone.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.adapters.wizard.consoles import running_console, running_vat_register
from tests.adapters.wizard.walking import sign_in, walk_to_answer, walk_to_end, walk_to_tests
from tests.chromium import running_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES = Path(__file__).parents[1] / "docs" / "images"
_SHOWN = {"source", "operation", "answer", "tests", "versions"}
_DESK, _PHONE = (1000, 900), (375, 800)


def main(wsdl: Path, folder: Path | None) -> None:
    """Take the pictures."""
    with tempfile.TemporaryDirectory() as work, running_chromium(Path(work)) as browser:
        _walk(browser, Path(work) / "page", wsdl, IMAGES, "en", _DESK, prefix="register-", only=_SHOWN)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for language in ("zh-CN", "en"):
                for size in (_DESK, _PHONE):
                    place = Path(work) / f"{language}-{size[0]}"
                    _walk(browser, place, wsdl, folder, language, size, prefix=f"{language}-{size[0]}-")


def _walk(  # noqa: PLR0917 - what a walk is made of
    browser: Browser,
    place: Path,
    wsdl: Path,
    folder: Path,
    language: str,
    size: tuple[int, int],
    *,
    prefix: str,
    only: set[str] | None = None,
) -> None:
    with running_vat_register() as register, running_console(place) as console:
        context = browser.new_context(locale=language, viewport={"width": size[0], "height": size[1]})
        page = context.new_page()

        def seen(name: str) -> None:
            if only is None or name in only:
                page.screenshot(path=folder / f"{prefix}{name}.png", full_page=True)

        sign_in(page, console)
        walk_to_answer(page, console, wsdl, register.url, seen)
        walk_to_tests(page, seen)
        walk_to_end(page, seen)
        context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
