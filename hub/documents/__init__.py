# SPDX-License-Identifier: Apache-2.0
"""Certificates as PDF: typesetting, sealing, and verifying years later.

fonts         a font with Chinese characters
presentation  what the proof shows of its data
typesetting   PDF/A-3b with the data attached; the drawing of the seal
signer        our keys, time stamps and the seal's page, in the form pyHanko needs
sealing       PAdES B-LTA with the department's seal
reading       what a sealed PDF consists of
signatures    one signature, one time-stamp token
longterm      the standard's algorithm as pyHanko carries it out
verification  the numbered steps of a verification
"""

from hub.documents.fonts import ChineseFont, find_chinese_font
from hub.documents.reading import seal_signer
from hub.documents.sealing import DocumentSealer
from hub.documents.typesetting import (
    ATTACHMENT_NAME,
    SEAL_SQUARE,
    Square,
    proof_json,
    typeset,
    typeset_proof,
    typeset_seal,
)
from hub.documents.verification import verify_document

__all__ = [
    "ATTACHMENT_NAME",
    "SEAL_SQUARE",
    "ChineseFont",
    "DocumentSealer",
    "Square",
    "find_chinese_font",
    "proof_json",
    "seal_signer",
    "typeset",
    "typeset_proof",
    "typeset_seal",
    "verify_document",
]
