# SPDX-License-Identifier: Apache-2.0
"""Every text in both languages, and templates that hide nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from jinja2 import UndefinedError

from hub.errors import Language
from hub.portal.languages import load_translations
from hub.portal.templating import Templates, _environment
from tests.catalogue import CATALOGUE, PORTAL, chinese, renewed, texts_of_templates

if TYPE_CHECKING:
    from babel.messages.catalog import Message

_FIELD = re.compile(r"%\([a-z_]+\)s")
TEXTS = [message for message in texts_of_templates() if message.id]


def forms(message: Message) -> list[str]:
    return [message.id] if isinstance(message.id, str) else list(message.id)


def test_the_catalogue_has_the_texts_of_the_templates_and_no_others() -> None:
    assert CATALOGUE.read_bytes() == renewed(), "run `python -m tests.catalogue` and translate what is new"


@pytest.mark.parametrize("message", TEXTS, ids=[forms(each)[0][:60] for each in TEXTS])
def test_every_text_has_chinese_with_the_same_fields(message: Message) -> None:
    known = chinese().get(forms(message)[0])
    assert known is not None
    translated = [known.string] if isinstance(known.string, str) else list(known.string or ())
    assert len(translated) == 1, "Chinese has one form for all numbers"
    assert translated[0].strip()
    assert set(_FIELD.findall(translated[0])) == set(_FIELD.findall(forms(message)[-1]))


def test_plain_words_of_templates_are_marked_for_translation() -> None:
    for template in sorted((PORTAL / "templates").glob("*.html")):
        source = template.read_text(encoding="utf-8")
        source = re.sub(r"<code>[^<]*</code>", "", source)
        bare = re.sub(r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}|<[^>]*>", " ", source, flags=re.DOTALL)
        words = set(re.findall(r"[^\W\d_]{2,}", bare))
        # A unit's symbol is the same in every language.
        assert words <= {"Heliograph", "SHA", "doctype", "html", "ms"}, (template.name, words)


def test_chinese_and_english_differ() -> None:
    assert load_translations(Language.ZH).gettext("The log") == "日志"
    assert load_translations(Language.EN).gettext("The log") == "The log"


def test_an_instant_is_beijing_time_for_people_and_utc_for_programs() -> None:
    at = datetime(2026, 3, 2, 23, 5, 9, 120_000, tzinfo=UTC)
    written = {language: str(_environment(language, {}).filters["instant"](at)) for language in Language}
    assert written == {
        Language.ZH: '<time datetime="2026-03-02T23:05:09.120Z">2026年3月3日 07:05:09</time>',
        Language.EN: '<time datetime="2026-03-02T23:05:09.120Z">3 Mar 2026, 07:05:09</time>',
    }


def test_a_template_that_lacks_a_value_fails_instead_of_leaving_a_gap() -> None:
    with pytest.raises(UndefinedError):
        Templates({}).render("problem.html", Language.EN, {"path": "/"})


def test_every_value_is_escaped() -> None:
    environment = _environment(Language.EN, {})
    assert environment.from_string("{{ x }}{{ x | printable }}").render(x="<b>\u202e\x07") == (
        "&lt;b&gt;\u202e\x07&lt;b&gt;\\u202e\\x07"
    )


def test_no_template_switches_escaping_off() -> None:
    for template in (PORTAL / "templates").glob("*.html"):
        source = template.read_text(encoding="utf-8")
        assert "safe" not in re.findall(r"\|\s*(\w+)", source)
        assert "autoescape" not in source
