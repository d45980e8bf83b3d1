# SPDX-License-Identifier: Apache-2.0
"""Writes the Chinese catalogues' new texts, untranslated: `python -m tests.catalogue`.

Every text of a site's templates is a key of its catalogue; what no template has any more is dropped, the rest
keeps its Chinese.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

_PROJECT = Path(__file__).parents[1]
_METHODS = [("**.html", "jinja2.ext:babel_extract")]
_OPTIONS = {"**.html": {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}}


@dataclass(frozen=True)
class SiteTexts:
    """The templates of a package and the Chinese of their texts."""

    package: str

    @property
    def templates(self) -> Path:
        """Their folder."""
        return _PROJECT / self.package.replace(".", "/") / "templates"

    @property
    def file(self) -> Path:
        """The catalogue."""
        return self.templates.parent / "translations" / "zh_CN.po"

    def wanted(self) -> Catalog:
        """Return every text that a template asks for, in the order of the templates."""
        template = Catalog()
        found = extract_from_dir(self.templates, _METHODS, _OPTIONS)
        for name, _line, message, _comments, _context in sorted(found, key=lambda each: each[:2]):
            template.add(message, locations=[(name, 0)])
        return template

    def chinese(self) -> Catalog:
        """Return the catalogue as it is."""
        return read_po(BytesIO(self.file.read_bytes() if self.file.exists() else b""), locale="zh_CN")

    def renewed(self) -> bytes:
        """Return the catalogue as it has to be for the templates there are."""
        known = self.chinese()
        catalogue = Catalog(locale="zh_CN")
        for message in self.wanted():
            if message.id:
                old = known.get(message.id if isinstance(message.id, str) else message.id[0])
                catalogue.add(message.id, old.string if old else None, locations=message.locations)
        out = BytesIO()
        write_po(out, catalogue, width=110, omit_header=True, include_lineno=False)
        return b"# SPDX-License-Identifier: Apache-2.0\n" + _HEADER + out.getvalue()


SITES = (SiteTexts("hub.pages"), SiteTexts("hub.portal"), SiteTexts("adapters.wizard"))

_HEADER = b"""msgid ""
msgstr ""
"Language: zh_CN\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"

"""

if __name__ == "__main__":
    for site in SITES:
        site.file.write_bytes(site.renewed())
