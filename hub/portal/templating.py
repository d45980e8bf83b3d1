# SPDX-License-Identifier: Apache-2.0
"""Templates: one Jinja environment a language, everything escaped, nothing undefined left out silently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from babel.dates import format_datetime
from babel.numbers import format_decimal
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hub.clock import CHINA, format_instant
from hub.errors import Language
from hub.findings import printable
from hub.portal.languages import load_translations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

_LOCALES = {Language.ZH: "zh_CN", Language.EN: "en_GB"}
_PATTERNS = {
    Language.ZH: "y年M月d日 HH:mm:ss",
    Language.EN: "d MMM y, HH:mm:ss",
}
_MILLISECONDS = ".SSS"


class Templates:
    """Renders the portal's templates.

    Args:
        values: what every template may use, by name.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._environments = {language: _environment(language, values) for language in Language}

    def render(self, name: str, language: Language, values: Mapping[str, Any]) -> str:
        """Return a page."""
        return self._environments[language].get_template(name).render(values)


def _environment(language: Language, values: Mapping[str, Any]) -> Environment:
    environment = Environment(
        loader=PackageLoader("hub.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    translations = load_translations(language)
    # The extension adds this method when it is loaded.
    install: Callable[..., None] = environment.install_gettext_callables  # type: ignore[attr-defined]
    install(translations.gettext, translations.ngettext, newstyle=True)
    environment.globals |= {"language": language.value, **values}
    environment.filters |= {
        "instant": lambda at: _instant(at, language),
        "exact_instant": lambda at: _instant(at, language, _MILLISECONDS),
        "number": lambda number: format_decimal(number, locale=_LOCALES[language]),
        "printable": printable,
        "in_language": lambda texts: texts[language],
        "title": lambda title: title.zh if language is Language.ZH else title.en,
    }
    return environment


def _instant(at: datetime, language: Language, fraction: str = "") -> Markup:
    """Write an instant for people, Beijing time, and for programs, UTC."""
    pattern = _PATTERNS[language] + fraction
    spoken = format_datetime(at.astimezone(CHINA), pattern, tzinfo=CHINA, locale=_LOCALES[language])
    return Markup('<time datetime="{}">{}</time>').format(format_instant(at), spoken)
