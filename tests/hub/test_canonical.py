# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as some

from hub.canonical import encode_canonical

_KEYS = some.text(some.characters(max_codepoint=127), max_size=12)
_TEXTS = some.text(some.characters(exclude_categories=["Cs"]), max_size=40)
_LEAVES = some.none() | some.booleans() | _TEXTS | some.integers(-(2**53) + 1, 2**53 - 1)
_VALUES = some.recursive(
    _LEAVES, lambda inner: some.lists(inner, max_size=4) | some.dictionaries(_KEYS, inner, max_size=4)
)


@given(_VALUES)
def test_it_writes_what_the_rfc8785_package_writes(value: object) -> None:
    assert encode_canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]  # any JSON value


def test_a_lone_surrogate_has_no_canonical_form() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode_canonical({"text": "\ud800"})
