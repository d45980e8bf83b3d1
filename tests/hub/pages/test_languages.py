# SPDX-License-Identifier: Apache-2.0
"""Every text in both languages, and templates that hide nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from jinja2 import UndefinedError

from hub.errors import Language
from hub.pages import Templates, load_translations
from hub.pages.templating import make_environment
from tests.catalogue import SITES

if TYPE_CHECKING:
    from babel.messages.catalog import Message

    from tests.catalogue import SiteTexts

_FIELD = re.compile(r"%\([a-z_]+\)s")
TEXTS = [(site, message) for site in SITES for message in site.wanted() if message.id]
every_site = pytest.mark.parametrize("site", SITES, ids=[site.package for site in SITES])


def forms(message: Message) -> list[str]:
    return [message.id] if isinstance(message.id, str) else list(message.id)


@every_site
def test_the_catalogue_has_the_texts_of_the_templates_and_no_others(site: SiteTexts) -> None:
    assert site.file.read_bytes() == site.renewed(), (
        "run `python -m tests.catalogue` and translate what is new"
    )


@pytest.mark.parametrize(
    ("site", "message"), TEXTS, ids=[f"{site.package}-{forms(each)[0][:60]}" for site, each in TEXTS]
)
def test_every_text_has_chinese_with_the_same_fields(site: SiteTexts, message: Message) -> None:
    known = site.chinese().get(forms(message)[0])
    assert known is not None
    translated = [known.string] if isinstance(known.string, str) else list(known.string or ())
    assert len(translated) == 1, "Chinese has one form for all numbers"
    assert translated[0].strip()
    assert set(_FIELD.findall(translated[0])) == set(_FIELD.findall(forms(message)[-1]))


@every_site
def test_plain_words_of_templates_are_marked_for_translation(site: SiteTexts) -> None:
    for template in sorted(site.templates.glob("*.html")):
        source = template.read_text(encoding="utf-8")
        source = re.sub(r"<code>[^<]*</code>", "", source)
        bare = re.sub(r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}|<[^>]*>", " ", source, flags=re.DOTALL)
        words = set(re.findall(r"[^\W\d_]{2,}", bare))
        # Symbols of units and names of protocols are the same in every language.
        assert words <= {"Heliograph", "SHA", "SOAP", "REST", "SFTP", "doctype", "html", "ms"}, (
            template.name,
            words,
        )


def test_chinese_and_english_differ() -> None:
    for language, log, out in ((Language.ZH, "日志", "退出登录"), (Language.EN, "The log", "Sign out")):
        words = load_translations(language, "hub.portal", "hub.pages")
        assert (words.gettext("The log"), words.gettext("Sign out")) == (log, out)


def test_an_instant_is_beijing_time_for_people_and_utc_for_programs() -> None:
    at = datetime(2026, 3, 2, 23, 5, 9, 120_000, tzinfo=UTC)
    written = {
        language: str(make_environment(language, "hub.pages", {}).filters["instant"](at))
        for language in Language
    }
    assert written == {
        Language.ZH: '<time datetime="2026-03-02T23:05:09.120Z">2026年3月3日 07:05:09</time>',
        Language.EN: '<time datetime="2026-03-02T23:05:09.120Z">3 Mar 2026, 07:05:09</time>',
    }


def test_a_template_that_lacks_a_value_fails_instead_of_leaving_a_gap() -> None:
    with pytest.raises(UndefinedError):
        Templates("hub.portal", {}).render("problem.html", Language.EN, {"path": "/"})


def test_every_value_is_escaped() -> None:
    environment = make_environment(Language.EN, "hub.pages", {})
    assert environment.from_string("{{ x }}{{ x | printable }}").render(x="<b>\u202e\x07") == (
        "&lt;b&gt;\u202e\x07&lt;b&gt;\\u202e\\x07"
    )


@every_site
def test_no_template_switches_escaping_off(site: SiteTexts) -> None:
    for template in site.templates.glob("*.html"):
        source = template.read_text(encoding="utf-8")
        assert "safe" not in re.findall(r"\|\s*(\w+)", source)
        assert "autoescape" not in source
