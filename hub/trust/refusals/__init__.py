# SPDX-License-Identifier: Apache-2.0
"""Every reason for which a certificate is refused, once: what it is called, its clause, its words, its cure.

The rows stand in the TOML files beside this module, one file a subject. A row names the error code it leads
to; without a cure of its own it has that of the code. `{names}` in the words are the facts of the case.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from hub.errors import Finding, Language, TrustError, error_kinds
from hub.findings import tell
from hub.trust.description import issuer_of, subject_of
from hub.trust.words import spoken

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509


@dataclass(frozen=True)
class Reason:
    """One row: why something is refused.

    Attributes:
        id: stable name.
        code: of `errors.toml`.
        clause: standard and clause.
        words: a sentence without the certificate's name, in each language.
        cure: what to do, in each language.
    """

    id: str
    code: str
    clause: str
    words: dict[Language, str]
    cure: dict[Language, str]


@cache
def reasons() -> dict[str, Reason]:
    """Return every reason there is.

    Raises:
        ValueError: two rows have one name.
    """
    found: dict[str, Reason] = {}
    for file in sorted(resources.files(__name__).iterdir(), key=lambda each: each.name):
        if not file.name.endswith(".toml"):
            continue
        for name, row in tomllib.loads(file.read_text(encoding="utf-8")).items():
            if name in found:
                raise ValueError(f"the reason {name} stands twice")
            cure = error_kinds()[row["code"]].cure
            found[name] = Reason(
                id=name,
                code=row["code"],
                clause=row["clause"],
                words={Language.ZH: row["zh"], Language.EN: row["en"]},
                cure={
                    Language.ZH: row.get("cure_zh", cure[Language.ZH]),
                    Language.EN: row.get("cure_en", cure[Language.EN]),
                },
            )
    return found


def refusal(
    reason_id: str, certificate: x509.Certificate | None = None, at: datetime | None = None, **facts: str
) -> TrustError:
    """Make the error that refuses a certificate.

    Args:
        reason_id: a row of the tables.
        certificate: the one that fails the check.
        at: UTC; the instant the check was made for.
        facts: what the row's words name in braces; never personal data or secrets.
    """
    reason = reasons()[reason_id]
    finding = Finding(
        reason_id=reason.id,
        code=reason.code,
        clause=reason.clause,
        subject=subject_of(certificate) if certificate else "",
        issuer=issuer_of(certificate) if certificate else "",
        serial=f"{certificate.serial_number:x}" if certificate else "",
        at=at,
        reason={
            language: words.format(**{name: spoken(fact, language) for name, fact in facts.items()})
            for language, words in reason.words.items()
        },
        cure=reason.cure,
        facts={name: str(fact) for name, fact in facts.items()},
    )
    return TrustError(reason.code, tell(finding, Language.EN), finding)
