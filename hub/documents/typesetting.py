# SPDX-License-Identifier: Apache-2.0
"""Typesetting the disability-employment proof as PDF/A-3b with its data attached, and drawing the seal.

The template leaves a blank square for the seal on the last page, always at the same place (`SEAL_SQUARE`);
the seal is drawn as a page of its own, which the sealer lays into that square.

Source: ISO 19005-3 (PDF/A-3), ISO 32000-1 clause 7.11.4 and ISO 19005-3 clause 6.8 (associated files).
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib import resources
from typing import TYPE_CHECKING, Any

import rfc8785
import segno
import typst

from hub.clock import parse_instant
from hub.documents.fonts import find_chinese_font
from hub.documents.presentation import present
from hub.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

ATTACHMENT_NAME = "disability-employment-proof.json"
"""File name of the attached data."""

_POINTS_PER_MM = 72 / 25.4
_PAGE_WIDTH = 210 * _POINTS_PER_MM


@dataclass(frozen=True)
class Square:
    """A place on the last page of an A4 document, in points from its lower left corner."""

    left: float
    bottom: float
    side: float

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, bottom, right, top, in whole points."""
        left, bottom, side = round(self.left), round(self.bottom), round(self.side)
        return left, bottom, left + side, bottom + side


_SEAL_DRAWN = datetime(2025, 1, 1, tzinfo=UTC)
"""PDF/A asks for a date; a fixed one, so that the drawing has always the same bytes."""

SEAL_MILLIMETRES = 42
"""Diameter of a public body's round seal."""

_SEAL_RIGHT_MM = 24
_SEAL_BOTTOM_MM = 31

SEAL_SQUARE = Square(
    left=_PAGE_WIDTH - (_SEAL_RIGHT_MM + SEAL_MILLIMETRES) * _POINTS_PER_MM,
    bottom=_SEAL_BOTTOM_MM * _POINTS_PER_MM,
    side=SEAL_MILLIMETRES * _POINTS_PER_MM,
)
"""Where every proof leaves room for its seal."""


def proof_json(data: Mapping[str, Any]) -> bytes:
    """Return a proof's data as canonical JSON: what is attached, and what `response.json` should hold.

    Raises:
        DocumentError: `document.typesetting_failed` when the data is not JSON.

    Source: RFC 8785.
    """
    try:
        return rfc8785.dumps(dict(data))
    except rfc8785.CanonicalizationError as exc:
        raise DocumentError("document.typesetting_failed", "the data cannot be written as JSON") from exc


def typeset_proof(
    data: Mapping[str, Any], *, notice: str | None = None, verification_url: str | None = None
) -> bytes:
    """Typeset a proof; not sealed yet.

    Args:
        data: content that keeps to disability-employment-proof/v1. It is attached as canonical JSON.
        notice: a line printed at the head and across the pages, such as that this is a demonstration.
        verification_url: where the public can check proofs; the QR code then holds this address with the
            proof's number and digest. Without it the code holds number and digest alone.

    Returns:
        PDF/A-3b; the same data gives the same bytes.

    Raises:
        DocumentError: `document.font_missing`; `document.typesetting_failed` when a member is missing or the
            font lacks a character.
    """
    attached = proof_json(data)
    digest = sha256(attached).hexdigest()
    try:
        shown = present(data)
        # PDF dates have no fractions of a second.
        moment = parse_instant(data["issued_at"]).replace(microsecond=0)
    except (KeyError, TypeError, ValueError, ArithmeticError, IndexError) as exc:
        detail = f"the data does not keep to the contract ({type(exc).__name__})"
        raise DocumentError("document.typesetting_failed", detail) from exc
    inputs = {
        "proof": json.dumps(
            {
                **shown,
                "sha256": digest,
                "notice": notice,
                "attachment": ATTACHMENT_NAME,
                "seal": {"right": _SEAL_RIGHT_MM, "bottom": _SEAL_BOTTOM_MM, "side": SEAL_MILLIMETRES},
            }
        ),
        "data": attached.decode("utf-8"),
        "code": _qr_code(data["proof_number"], digest, verification_url),
    }
    return _compile("proof.typ", inputs, moment, "a-3b")


def typeset_seal(issuer: str, code: str, *, notice: str | None = None) -> bytes:
    """Draw the round red seal of a public body as a page of exactly its size.

    The drawing only tells people who sealed; what proves it is the signature.

    Args:
        issuer: the body's name in Chinese, set along the rim.
        code: its unified social credit code, set below.
        notice: a line under the star, such as that this is a demonstration.

    Raises:
        DocumentError: `document.font_missing`, `document.typesetting_failed`.
    """
    seal = {"issuer": issuer, "code": code, "notice": notice, "side": SEAL_MILLIMETRES}
    return _compile("seal.typ", {"seal": json.dumps(seal)}, _SEAL_DRAWN, "a-2b")


def _qr_code(number: str, digest: str, verification_url: str | None) -> str:
    """Write number and digest as a QR code in SVG."""
    text = f"{number}#sha256={digest}"
    if verification_url:
        text = f"{verification_url.rstrip('/')}/{text}"
    svg = io.BytesIO()
    segno.make_qr(text, error="m").save(
        svg, kind="svg", border=0, xmldecl=False, svgclass=None, lineclass=None
    )
    return svg.getvalue().decode("utf-8")


def _compile(
    template: str, inputs: Mapping[str, str], moment: datetime, standard: typst.PDFStandard
) -> bytes:
    return typeset(resources.files("hub.documents").joinpath(template).read_bytes(), inputs, moment, standard)


def typeset(
    template: bytes, inputs: Mapping[str, str], moment: datetime, standard: typst.PDFStandard
) -> bytes:
    """Set a template in a font with Chinese characters, whose family it is told as `font`.

    Args:
        template: in Typst's language; it includes nothing else.
        inputs: what it reads as `sys.inputs`.
        moment: UTC, whole seconds; the date of the document.
        standard: of PDF/A.

    Raises:
        DocumentError: `document.font_missing`, `document.typesetting_failed`.
    """
    font = find_chinese_font()
    try:
        compiler = typst.Compiler(font_paths=font.fonts, sys_inputs={**inputs, "font": font.family})
        content = compiler.compile(template, format="pdf", pdf_standards=[standard], timestamp=moment)
    except typst.TypstError as exc:
        # The typesetter's message can quote the text it could not set, which may be a person's name.
        raise DocumentError("document.typesetting_failed", "the template refused the data") from exc
    if not isinstance(content, bytes):
        raise DocumentError("document.typesetting_failed", "the template gave no document")
    return content
