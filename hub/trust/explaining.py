# SPDX-License-Identifier: Apache-2.0
"""Telling the outcomes of all checks of a path, sorted by certificate.

What could not be checked is told as failed, never as passed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hub.errors import Finding, Language
from hub.trust.checks import Check, Of
from hub.trust.description import full_name
from hub.trust.explanation import ExplainedCertificate, Explanation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from cryptography import x509

    from hub.errors import TrustError
    from hub.trust.checks import Outcome, Place
    from hub.trust.judgement import Judgement
    from hub.trust.model import Use

PATH = Check("path", Of.LEAF, lambda _: None)
REVOCATION = Check("revocation", Of.BELOW_ROOT, lambda _: None)
"""These two stand for what is not a check of one place: that a path was found, and the judgement."""


def tell(
    places: Sequence[Place], outcomes: Sequence[Outcome], judgements: Mapping[int, Judgement]
) -> Explanation:
    """Tell a path.

    Args:
        places: of the path, root first.
        outcomes: of every check, in the order in which they were made.
        judgements: about revocation, by the index of the certificate in the path.
    """
    question = places[0].question
    told = [_tell_one(place, outcomes, judgements.get(place.index)) for place in reversed(places)]
    return Explanation(question.use, question.at, tuple(told))


def tell_refusal(chain: Sequence[x509.Certificate], use: Use, at: datetime, error: TrustError) -> Explanation:
    """Tell why nothing could be checked, as when the certificate or the trust list cannot be used."""
    kind = error.kind
    finding = error.finding or Finding(
        reason_id="path",
        code=kind.code,
        clause="",
        subject=full_name(chain[0].subject) if chain else "",
        issuer=full_name(chain[0].issuer) if chain else "",
        serial=f"{chain[0].serial_number:x}" if chain else "",
        at=at,
        reason={**kind.message, Language.EN: error.detail or kind.message[Language.EN]},
        cure=kind.cure,
    )
    return Explanation(use, at, tuple(ExplainedCertificate(each, "leaf", (finding,)) for each in chain[:1]))


def _tell_one(place: Place, outcomes: Sequence[Outcome], judgement: Judgement | None) -> ExplainedCertificate:
    warnings = judgement.warnings if judgement else ()
    own = [each for each in outcomes if each.place.index == place.index]
    findings = [each.finding for each in own if not (each.check is REVOCATION and warnings)]
    # A state that was let pass is told as what it is, without refusing the path.
    findings += [replace(warning, code=None) for warning in warnings]
    return ExplainedCertificate(
        certificate=place.contents.certificate,
        role="leaf" if place.is_leaf else "anchor" if place.is_root else "issuer",
        findings=tuple(findings),
        approval=place.question.listed.row_of(place.contents.certificate),
        answers=judgement.answers if judgement else (),
    )
