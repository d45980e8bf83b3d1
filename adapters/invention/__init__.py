# SPDX-License-Identifier: Apache-2.0
"""Invented content: values that keep to a schema, about people and companies that do not exist.

values     a value for a JSON Schema, the same for the same seed, about what was asked
schemas    one schema out of several: references, compositions, conditions
patterns   texts for regular expressions
wording    texts of formats, and texts that look like what a field's name says
people     people and companies with valid numbers; the reserved area of those whom no system knows
"""

from adapters.invention.patterns import PatternNotUnderstoodError, text_matching
from adapters.invention.people import is_nobody
from adapters.invention.values import Asked, Inventor, NothingFitsError, asked
from adapters.invention.wording import meant_by, texts_of

__all__ = [
    "Asked",
    "Inventor",
    "NothingFitsError",
    "PatternNotUnderstoodError",
    "asked",
    "is_nobody",
    "meant_by",
    "text_matching",
    "texts_of",
]
