# SPDX-License-Identifier: Apache-2.0
"""Templates: one Jinja environment a language, everything escaped, nothing undefined left out silently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from babel.dates import format_datetime
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hub.clock import CHINA, format_instant
from hub.errors import Language
from hub.findings import printable
from hub.pages.languages import load_translations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta

_LOCALES = {Language.ZH: "zh_CN", Language.EN: "en_GB"}
_PATTERNS = {
    Language.ZH: "y年M月d日 HH:mm:ss",
    Language.EN: "d MMM y, HH:mm:ss",
}
_SHARED = "hub.pages"
_MILLISECONDS = ".SSS"
_PERCENT = "0.#%"
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


class Templates:
    """Renders a site's templates.

    Args:
        package: whose folders `templates` and `translations` are the site's own; those all sites share are
            there besides.
        values: what every template may use, by name.
    """

    def __init__(self, package: str, values: Mapping[str, Any]) -> None:
        self._environments = {language: make_environment(language, package, values) for language in Language}

    def render(self, name: str, language: Language, values: Mapping[str, Any]) -> str:
        """Return a page."""
        return self._environments[language].get_template(name).render(values)


def make_environment(language: Language, package: str, values: Mapping[str, Any]) -> Environment:
    """Return what templates of a package are rendered with in one language."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(_SHARED)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    translations = load_translations(language, package, _SHARED)
    # The extension adds this method when it is loaded.
    install: Callable[..., None] = environment.install_gettext_callables  # type: ignore[attr-defined]
    install(translations.gettext, translations.ngettext, newstyle=True)
    environment.globals |= {"language": language.value, **values}
    environment.filters |= {
        "instant": lambda at: _instant(at, language),
        "exact_instant": lambda at: _instant(at, language, _MILLISECONDS),
        "spoken": lambda at, pattern: _spoken(at, pattern, language),
        "duration": lambda span: _duration(span, language),
        "about": lambda span: _duration(span, language, most_units=1),
        "percent": lambda share: format_percent(share, _PERCENT, locale=_LOCALES[language]),
        "number": lambda number: format_decimal(number, locale=_LOCALES[language]),
        "printable": printable,
        "printable_lines": _printable_lines,
        "in_language": lambda texts: texts[language],
        "title": lambda title: title.zh if language is Language.ZH else title.en,
    }
    return environment


def _instant(at: datetime, language: Language, fraction: str = "") -> Markup:
    """Write an instant for people, Beijing time, and for programs, UTC."""
    spoken = _spoken(at, _PATTERNS[language] + fraction, language)
    return Markup('<time datetime="{}">{}</time>').format(format_instant(at), spoken)


def _printable_lines(text: str) -> str:
    """Make what cannot be printed visible, and keep the lines of a text."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _spoken(at: datetime, pattern: str, language: Language) -> str:
    """Write an instant in Beijing time by a pattern of the Unicode CLDR."""
    spoken: str = format_datetime(at.astimezone(CHINA), pattern, tzinfo=CHINA, locale=_LOCALES[language])
    return spoken


def _duration(span: timedelta, language: Language, most_units: int = 2) -> str:
    """Write a span by its largest units; what is shorter than a second by milliseconds."""
    seconds = max(0.0, span.total_seconds())
    if seconds < 1:
        return _in_units(round(seconds * 1000), "millisecond", language)
    rest, said = int(seconds), list[str]()
    for name, size in _UNITS:
        count, rest = divmod(rest, size)
        if count or said:
            said.append(_in_units(count, name, language) if count else "")
        if len(said) == most_units:
            break
    return ("" if language is Language.ZH else " ").join(each for each in said if each)


def _in_units(count: int, name: str, language: Language) -> str:
    return format_unit(count, f"duration-{name}", "short", locale=_LOCALES[language])
