# SPDX-License-Identifier: Apache-2.0
"""A finding about a certificate, in words for people and as data for programs.

The same finding travels in problem documents, faults, reports and log lines; its form stands here once.

Source: docs/protocols/envelope.md section 8.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hub.clock import CHINA, format_instant, parse_instant
from hub.errors import Finding, Language

if TYPE_CHECKING:
    from hub.errors import HubError

MOST_CHARACTERS = 1000
"""Of any one text of a finding that travels."""

_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_Instant = Annotated[
    datetime, BeforeValidator(lambda value: parse_instant(value) if isinstance(value, str) else value)
]
_Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]
_Texts = Annotated[dict[str, _Text], Field(min_length=len(Language), max_length=len(Language))]


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    reason_id: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,80}$")]
    code: Annotated[str, Field(pattern=r"^[a-z]{1,20}\.[a-z0-9_]{1,60}$")] | None
    clause: _Text
    subject: _Text
    issuer: _Text
    serial: Annotated[str, Field(pattern=r"^-?[0-9a-f]{0,64}$")]
    at: _Instant | None
    reason: _Texts
    cure: _Texts


def spoken_instant(instant: datetime, language: Language) -> str:
    """Write an instant for people: UTC in English, Beijing time in Chinese, each saying which it is."""
    if language is Language.EN:
        return format_instant(instant)
    local = instant.astimezone(CHINA)
    return f"{local.year}年{local.month}月{local.day}日{local:%H:%M:%S}（北京时间）"


def with_spoken_instants(text: str, language: Language) -> str:
    """Write every instant in a text as its readers do."""
    return _INSTANT.sub(lambda match: _spoken_or_as_it_was(match[0], language), text)


def tell(finding: Finding, language: Language) -> str:
    """Say in one paragraph what was found, on which certificate, for when, and by which clause; not the cure.

    Control characters, which a hostile certificate may bring along, are shown as escapes.
    """
    reason = with_spoken_instants(finding.reason[language], language)
    if language is Language.ZH:
        parts = [reason.removesuffix("。")]
        if finding.subject:
            parts.append(f"证书：{finding.subject}（签发者：{finding.issuer}，序列号：{finding.serial}）")
        if finding.at:
            parts.append(f"核验时点：{spoken_instant(finding.at, language)}")
        return printable(f"{'；'.join(parts)}。依据：{finding.clause}")
    parts = [reason.removesuffix(".")]
    if finding.subject:
        parts.append(f"certificate {finding.subject!r} (issuer {finding.issuer!r}, serial {finding.serial})")
    if finding.at:
        parts.append(f"checked for {format_instant(finding.at)}")
    return printable(f"{'; '.join(parts)} [{finding.clause}]")


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as a JSON object, with reason and cure in every language."""
    return {
        **_parts(finding),
        "reason": {language.value: finding.reason[language][:MOST_CHARACTERS] for language in Language},
        "cure": {language.value: finding.cure[language][:MOST_CHARACTERS] for language in Language},
    }


def finding_in(finding: Finding, language: Language) -> dict[str, Any]:
    """Return a finding as a JSON object for people who read one language."""
    reason = with_spoken_instants(finding.reason[language], language)
    return {**_parts(finding), "reason": reason, "cure": finding.cure[language]}


def read_finding(fields: object) -> Finding:
    """Read what `finding_to_json` wrote, strictly: every field and language, and no other.

    Raises:
        ValueError: it has another form.
    """
    try:
        read = _Fields.model_validate(fields)
        return Finding(
            reason_id=read.reason_id,
            code=read.code,
            clause=read.clause,
            subject=read.subject,
            issuer=read.issuer,
            serial=read.serial,
            at=read.at,
            reason={language: read.reason[language.value] for language in Language},
            cure={language: read.cure[language.value] for language in Language},
        )
    except (ValidationError, KeyError) as exc:
        raise ValueError("not a finding about a certificate") from exc


def logged(error: HubError) -> dict[str, str]:
    """Return what a log line adds about a refused certificate; nothing where none was refused."""
    finding = error.finding
    if finding is None:
        return {}
    told = {
        "reason": finding.reason_id,
        "clause": finding.clause,
        "certificate": finding.subject,
        "issuer": finding.issuer,
        "serial": finding.serial,
        "checked_for": format_instant(finding.at) if finding.at else "",
        "cure": finding.cure[Language.EN],
    }
    return {name: printable(value) for name, value in told.items() if value}


def printable(text: str) -> str:
    """Show control characters as escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def _parts(finding: Finding) -> dict[str, Any]:
    return {
        "reason_id": finding.reason_id,
        "code": finding.code,
        "clause": finding.clause,
        "subject": finding.subject[:MOST_CHARACTERS],
        "issuer": finding.issuer[:MOST_CHARACTERS],
        "serial": finding.serial,
        "at": format_instant(finding.at) if finding.at else None,
    }


def _spoken_or_as_it_was(text: str, language: Language) -> str:
    try:
        return spoken_instant(parse_instant(text), language)
    except ValueError:  # It only looks like an instant, such as one of month 13.
        return text
