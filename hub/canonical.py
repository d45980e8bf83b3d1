# SPDX-License-Identifier: Apache-2.0
"""Canonical JSON for what the hub itself writes many times a second.

Source: RFC 8785.
"""

from __future__ import annotations

import json
from typing import Any

_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def encode_canonical(value: Any) -> bytes:
    """Write a value of texts, booleans, nulls, small integers, lists and objects with ASCII keys.

    For these the standard library's encoder, written in C, gives what RFC 8785 asks; the package rfc8785,
    which knows the rest, takes many times as long. A test holds the two together. Fractions must not come
    here: RFC 8785 writes them as ECMAScript does.
    """
    return _ENCODER.encode(value).encode("utf-8")
