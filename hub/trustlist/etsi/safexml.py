# SPDX-License-Identifier: Apache-2.0
"""XML from strangers, parsed without what makes XML dangerous.

A document type declaration is refused whatever is in it: with it go external entities, expansion bombs and
attributes that nobody wrote.

Source: TS 119 612 annex B.2 (no DTD is needed); OWASP XML External Entity Prevention.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from hub.trust import Bilingual, refusal

if TYPE_CHECKING:
    from lxml.etree import _Element

MOST_BYTES = 32 * 1024 * 1024
"""The largest national lists have about 5 MB."""


def hardened_parser() -> etree.XMLParser:
    """Return a parser that resolves, loads and expands nothing."""
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
    )


def parse_safely(raw: bytes) -> _Element:
    """Parse a document.

    Raises:
        TrustError: `trust.trust_list_invalid`, it is too large, no XML, or has a document type declaration.
    """
    if len(raw) > MOST_BYTES:
        raise refusal(
            "tsl_unreadable",
            problem=Bilingual(f"it has more than {MOST_BYTES} bytes", f"超过{MOST_BYTES}字节"),
        )
    try:
        root = etree.fromstring(raw, parser=hardened_parser())
    except etree.XMLSyntaxError as exc:
        raise refusal(
            "tsl_unreadable", problem=Bilingual("it is not well-formed XML", "不是格式良好的XML")
        ) from exc
    if root.getroottree().docinfo.internalDTD is not None:
        raise refusal(
            "tsl_unreadable", problem=Bilingual("it has a document type declaration", "含有文档类型声明")
        )
    return root
