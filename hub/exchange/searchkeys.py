# SPDX-License-Identifier: Apache-2.0
"""Business keys as they are stored: keyed hashes, from which nobody without the key learns a value.

A resident id number has so few possible values that a plain hash of it is read back in seconds. So each is
hashed with HMAC under a key that is not in the database, and every key name has a key of its own: the same
number as holder and as case gives two digests that cannot be connected.

Source: RFC 2104 (HMAC); NIST SP 800-108r1 section 4 (keys derived by a label).
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from hub.contracts import LONGEST_VALUE, BusinessKey, KeyKind
from hub.errors import ExchangeError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hub.contracts import Contract
    from hub.envelope import Header

CASE, ITEM = "case", "item"
"""Every message's purpose names its case and the item of business."""

FEWEST_KEY_BYTES = 32
_LABEL = b"heliograph search key 1\x00"


class StoredKey(NamedTuple):
    """A business key as the database has it."""

    name: str
    digest: bytes


def purpose_keys(header: Header) -> tuple[BusinessKey, ...]:
    """Return the keys that every request has, whatever its contract says."""
    purpose = header.purpose
    if purpose is None:
        return ()
    return (
        BusinessKey(CASE, KeyKind.IDENTIFIER, purpose.case),
        BusinessKey(ITEM, KeyKind.IDENTIFIER, purpose.item),
    )


class SearchKeys:
    """Turns business keys into what is stored and looked for.

    Args:
        secret: at least 32 bytes, random.
        contracts: say which keys there are and how each is compared.

    Raises:
        SettingsError: `settings.invalid`: the secret is too short.
    """

    def __init__(self, secret: bytes, contracts: Iterable[Contract]) -> None:
        if len(secret) < FEWEST_KEY_BYTES:
            raise SettingsError("settings.invalid", f"search_key has fewer than {FEWEST_KEY_BYTES} bytes")
        self.kinds: dict[str, KeyKind] = {CASE: KeyKind.IDENTIFIER, ITEM: KeyKind.IDENTIFIER}
        self.kinds |= {each.name: each.kind for contract in contracts for each in contract.promoted}
        self._secret = secret
        self._keys: dict[str, bytes] = {}

    def store(self, keys: Iterable[BusinessKey]) -> tuple[StoredKey, ...]:
        """Return what to store, each once; values that are empty or too long identify nothing."""
        stored: dict[StoredKey, None] = {}
        for key in keys:
            value = key.normalised()
            if 0 < len(value) <= LONGEST_VALUE:
                stored[StoredKey(key.name, self._digest(key.name, value))] = None
        return tuple(stored)

    def look_for(self, values: Mapping[str, str]) -> tuple[StoredKey, ...]:
        """Return what to look for, given values as people write them.

        Raises:
            ExchangeError: `exchange.search_invalid`: there is no key of this name, or nothing to look for.
        """
        wanted = []
        for name, value in values.items():
            kind = self.kinds.get(name)
            if kind is None:
                raise ExchangeError("exchange.search_invalid", f"keys are {', '.join(sorted(self.kinds))}")
            (found,) = self.store([BusinessKey(name, kind, value)]) or (None,)
            if found is None:
                raise ExchangeError("exchange.search_invalid", f"the value of {name} is empty or too long")
            wanted.append(found)
        return tuple(wanted)

    def _digest(self, name: str, value: str) -> bytes:
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = hmac.digest(self._secret, _LABEL + name.encode("ascii"), sha256)
        return hmac.digest(key, value.encode("utf-8"), sha256)
