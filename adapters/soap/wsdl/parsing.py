# SPDX-License-Identifier: Apache-2.0
"""Read one file of a WSDL as XML: strictly, and where that fails, as far as it goes, saying what was wrong.

No document type is accepted, no entity is resolved, and nothing is loaded from anywhere.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field

from lxml import etree

from adapters.soap.wsdl.names import SOAP_11, SOAP_12, USUAL_PREFIXES
from adapters.sources import SourceFinding, found

_ENCODINGS = ("utf-8", "gb18030", "latin-1")
_UNDECLARED = re.compile(r"Namespace prefix (\S+) (?:on|for) ")
_DECLARATION = re.compile(r"<\?xml[^>]{0,300}?\?>", re.DOTALL)
_ENCODING = re.compile(r"""encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_ROOT_TAG = re.compile(r"<([A-Za-z_][^\s/>]*)")
_TARGET = re.compile(r"""targetNamespace\s*=\s*["']([^"'<&]{1,2000})["']""")
_HTML = re.compile(r"\s*(?:<!doctype\s+html|<html|<!--[^>]{0,2000}-->\s*<html)", re.IGNORECASE)
_DEEPEST = 200


@dataclass
class Parsed:
    """What could be read of a file; `root` is None where nothing could."""

    root: etree._Element | None
    findings: list[SourceFinding] = field(default_factory=list)


def parse_file(content: bytes, name: str) -> Parsed:
    """Parse a WSDL or a schema.

    Args:
        content: the file's bytes.
        name: what it is called in findings.
    """
    findings: list[SourceFinding] = []
    text = _decoded(content, name, findings)
    if _HTML.match(text):
        return Parsed(None, [*findings, found("soap.html", f"{name}:1")])
    start = text.find("<")
    if start < 0:
        return Parsed(None, [*findings, found("soap.not_xml", f"{name}:1", reason="it has no elements")])
    if text[:start].strip():
        findings.append(found("soap.leading_text", f"{name}:1"))
    # The text is decoded already, so a declaration of its encoding would only contradict.
    body = _DECLARATION.sub(lambda match: "\n" * match[0].count("\n"), text[start:], count=1)
    body = "\n" * text[:start].count("\n") + body
    if "<!DOCTYPE" in body:
        line = body[: body.index("<!DOCTYPE")].count("\n") + 1
        if "<!DOCTYPE" in re.sub(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>", "", body, flags=re.DOTALL):
            return Parsed(None, [*findings, found("soap.document_type", f"{name}:{line}")])
    root = _tree(body, name, findings)
    return Parsed(root, findings)


def _decoded(content: bytes, name: str, findings: list[SourceFinding]) -> str:
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    head = content[:400].decode("latin-1")
    declared = _ENCODING.search(head[: head.find("?>") + 2]) if "?>" in head else None
    wanted = declared[1] if declared else "utf-8"
    for encoding in (wanted, *_ENCODINGS):
        try:
            text = content.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
        if encoding != wanted:
            findings.append(found("soap.wrong_encoding", f"{name}:1", declared=wanted, used=encoding))
        return text
    raise AssertionError("latin-1 decodes everything")


def _tree(body: str, name: str, findings: list[SourceFinding]) -> etree._Element | None:
    # Twice: once to learn which prefixes are not declared, once with their declarations.
    for _ in range(2):
        parser = _parser()
        try:
            return _not_too_deep(etree.fromstring(body.encode(), parser), name, findings)
        except etree.XMLSyntaxError:
            missing = _undeclared(body)
            if not missing:
                break
            body = _with_declarations(body, missing, name, findings)
    return _recovered(body, name, findings)


def _parser(*, recover: bool = False) -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        recover=recover,
        encoding="utf-8",
    )


def _undeclared(body: str) -> dict[str, int]:
    """Return the prefixes that are used and not declared, each with the line of its first use."""
    parser = _parser(recover=True)
    etree.fromstring(body.encode(), parser)
    missing: dict[str, int] = {}
    for error in parser.error_log:
        match = _UNDECLARED.search(error.message)
        if match and re.fullmatch(r"[A-Za-z_][\w.-]*", match[1]):
            missing.setdefault(match[1], error.line)
    return missing


def _with_declarations(body: str, missing: dict[str, int], name: str, findings: list[SourceFinding]) -> str:
    declarations = ""
    for prefix, line in missing.items():
        space = _usual(prefix, body)
        findings.append(found("soap.prefix_undeclared", f"{name}:{line}", prefix=prefix, used=space))
        declarations += f' xmlns:{prefix}="{space}"'
    tag = _ROOT_TAG.search(body)
    return body if tag is None else f"{body[: tag.end()]}{declarations}{body[tag.end() :]}"


def _usual(prefix: str, body: str) -> str:
    if prefix == "soap" and f'"{SOAP_12}"' in body and f'"{SOAP_11}"' not in body:
        return SOAP_12
    if prefix in USUAL_PREFIXES:
        return USUAL_PREFIXES[prefix]
    target = _TARGET.search(body)
    return target[1] if target else f"urn:undeclared:{prefix}"


def _recovered(body: str, name: str, findings: list[SourceFinding]) -> etree._Element | None:
    parser = _parser(recover=True)
    root = etree.fromstring(body.encode(), parser)
    errors = [error for error in parser.error_log if not _UNDECLARED.search(error.message)]
    line, reason = (errors[0].line, errors[0].message) if errors else (1, "not well-formed")
    if root is None:
        findings.append(found("soap.not_xml", f"{name}:{line}", reason=reason))
        return None
    findings.append(found("soap.malformed", f"{name}:{line}", reason=reason))
    return _not_too_deep(root, name, findings)


def _not_too_deep(root: etree._Element, name: str, findings: list[SourceFinding]) -> etree._Element | None:
    """Refuse what is nested deeper than any interface: what reads it afterwards is recursive."""
    depth, node = 0, root
    for event, node in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > _DEEPEST:
            findings.append(found("soap.too_deep", f"{name}:{node.sourceline}", limit=_DEEPEST))
            return None
    return root
