# SPDX-License-Identifier: Apache-2.0
"""The language of a page: the one chosen before, else the one the browser prefers; and its words.

The templates are written in English; `translations/zh_CN.po` of their package has the Chinese of every text
in them, and is compiled when the site starts. A test holds the two together.

Source: GNU gettext (PO files); RFC 9110 section 12.5.4.
"""

from __future__ import annotations

import gettext
from importlib import resources
from io import BytesIO
from typing import TYPE_CHECKING

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from hub.errors import Language
from hub.problems import preferred_language

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

LANGUAGE_COOKIE = "heliograph-language"
_CATALOGUES = {Language.ZH: "zh_CN.po"}
_YEAR_SECONDS = 365 * 24 * 3600


def language_of(request: Request) -> Language:
    """Return the language a page is answered in."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in set(Language):
        return Language(chosen)
    return preferred_language(request.headers.get("accept-language", ""))


def remember_language(response: Response, language: Language, *, secure: bool, below: str) -> None:
    """Have the browser keep the language that was chosen, for the addresses below one."""
    response.set_cookie(
        LANGUAGE_COOKIE,
        language.value,
        max_age=_YEAR_SECONDS,
        path=below,
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def load_translations(language: Language, *packages: str) -> gettext.NullTranslations:
    """Return the texts of a language, the first package's first; English ones stand in the templates."""
    name = _CATALOGUES.get(language)
    if name is None:
        return gettext.NullTranslations()
    first, *others = (_compiled(package, name) for package in packages)
    for each in others:
        first.add_fallback(each)
    return first


def _compiled(package: str, name: str) -> gettext.NullTranslations:
    source = resources.files(package).joinpath("translations", name).read_bytes()
    compiled = BytesIO()
    write_mo(compiled, read_po(BytesIO(source), locale=name.removesuffix(".po")))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
