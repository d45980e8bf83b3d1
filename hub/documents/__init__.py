# SPDX-License-Identifier: Apache-2.0
"""Certificates as PDF: typesetting, sealing, and verifying years later.

fonts         a font with Chinese characters
presentation  what the proof shows of its data
typesetting   PDF/A-3b with the data attached; the drawing of the seal
"""

from hub.documents.typesetting import (
    ATTACHMENT_NAME,
    SEAL_SQUARE,
    Square,
    proof_json,
    typeset_proof,
    typeset_seal,
)

__all__ = ["ATTACHMENT_NAME", "SEAL_SQUARE", "Square", "proof_json", "typeset_proof", "typeset_seal"]
