# SPDX-License-Identifier: Apache-2.0
"""Business keys are stored as keyed hashes that nobody reads back, and found however they are written."""

from __future__ import annotations

import hmac
from hashlib import sha256
from pathlib import Path

import pytest

from hub.contracts import BusinessKey, KeyKind, load_contracts
from hub.errors import ExchangeError, SettingsError
from hub.exchange import SearchKeys

SECRET = b"thirty-two bytes for tests, no fewer"
CONTRACTS = Path(__file__).parents[3] / "contracts"


@pytest.fixture(scope="module")
def keys() -> SearchKeys:
    return SearchKeys(SECRET, load_contracts(CONTRACTS).values())


def test_the_contracts_promote_what_people_search_by(keys: SearchKeys) -> None:
    assert set(keys.kinds) == {"case", "item", "certificate", "employer", "holder", "vat_number"}


def test_a_digest_is_an_hmac_under_the_keys_own_key(keys: SearchKeys) -> None:
    (stored,) = keys.look_for({"holder": "510108198503120235"})
    own = hmac.new(SECRET, b"heliograph search key 1\0holder", sha256).digest()
    assert stored.digest == hmac.new(own, b"510108198503120235", sha256).digest()


def test_one_number_under_two_names_gives_two_digests(keys: SearchKeys) -> None:
    one, other = keys.look_for({"holder": "510108198503120235", "case": "510108198503120235"})
    assert one.digest != other.digest


@pytest.mark.parametrize(
    "written", ["51018119710522711x", " 510181 1971 0522 711X ", "５１０１８１１９７１０５２２７１１Ｘ"]
)
def test_a_number_is_found_however_it_is_written(keys: SearchKeys, written: str) -> None:
    assert keys.look_for({"holder": written}) == keys.look_for({"holder": "51018119710522711X"})


def test_equal_keys_are_stored_once_and_empty_ones_not_at_all(keys: SearchKeys) -> None:
    given = [BusinessKey("case", KeyKind.IDENTIFIER, value) for value in ("a1", "A 1", " ", "x" * 201)]
    assert len(keys.store(given)) == 1


def test_a_key_nobody_promotes_cannot_be_looked_for(keys: SearchKeys) -> None:
    with pytest.raises(ExchangeError, match=r"exchange\.search_invalid.*holder"):
        keys.look_for({"colour": "red"})


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"settings\.invalid"):
        SearchKeys(b"x" * 31, ())
