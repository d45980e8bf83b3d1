# SPDX-License-Identifier: Apache-2.0
"""The tree against the published reference tree and against the definition written out."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import LogError
from hub.tlog.merkle import (
    EMPTY_ROOT,
    Frontier,
    Span,
    Subtree,
    consistency_spans,
    inclusion_spans,
    leaf_hash,
    prove,
    root_of,
    verify_consistency,
    verify_inclusion,
)

if TYPE_CHECKING:
    from collections.abc import Callable

REFERENCE = Path(__file__).parents[4] / "shared/data/tlog/rfc6962_reference_tree.json"
LEAVES = [leaf_hash(bytes([number, 7])) for number in range(40)]


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def hash_of(subtree: Subtree) -> bytes:
    start = subtree.number << subtree.level
    return naive_root(LEAVES[start : start + (1 << subtree.level)])


def inclusion(index: int, size: int) -> tuple[bytes, ...]:
    return prove(inclusion_spans(index, size), hash_of)


def consistency(old: int, new: int) -> tuple[bytes, ...]:
    return prove(consistency_spans(old, new), hash_of)


def test_the_reference_tree_has_its_published_roots() -> None:
    if not REFERENCE.exists():
        pytest.skip("the shared reference data is not here")
    reference = json.loads(REFERENCE.read_text())
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in reference["leaves_hex"]]
    assert EMPTY_ROOT.hex() == reference["empty_root"]
    roots = [root_of(leaves[:size]).hex() for size in range(1, 9)]
    assert roots == reference["roots_hex_by_size_1_to_8"]


@pytest.mark.parametrize("size", range(41))
def test_the_root_is_that_of_the_definition(size: int) -> None:
    assert root_of(LEAVES[:size]) == naive_root(LEAVES[:size])


def test_the_subtrees_an_append_completes_are_those_of_the_definition() -> None:
    frontier = Frontier()
    seen = set()
    for leaf in LEAVES:
        frontier, completed = frontier.append(leaf)
        for subtree, value in completed:
            assert value == hash_of(subtree)
            seen.add(subtree)
        assert frontier.peaks == tuple(hash_of(each) for each in Span(0, frontier.size).subtrees())
    whole = {Subtree(level, n) for level in range(1, 6) for n in range(40) if (n + 1) << level <= 40}
    assert seen == whole


def test_every_subtree_has_its_own_position() -> None:
    subtrees = [Subtree(level, number) for level in range(8) for number in range(64)]
    assert len({subtree.position for subtree in subtrees}) == len(subtrees)
    assert Subtree(0, 5).position == 10


def test_every_inclusion_proof_of_every_small_tree_holds() -> None:
    for size in range(1, 41):
        root = naive_root(LEAVES[:size])
        for index in range(size):
            verify_inclusion(LEAVES[index], index, size, inclusion(index, size), root)


def test_every_consistency_proof_of_every_small_tree_holds() -> None:
    for new in range(41):
        for old in range(new + 1):
            roots = naive_root(LEAVES[:old]), naive_root(LEAVES[:new])
            verify_consistency(old, new, *roots, consistency(old, new))


def test_the_proofs_printed_in_the_standard_consist_of_the_hashes_it_names() -> None:
    # RFC 9162 section 2.1.5: the tree of seven leaves.
    a, b, c, d, _e, f, j = LEAVES[:7]
    del a, _e
    spans = {"h": Span(2, 4), "l": Span(4, 7), "g": Span(0, 2), "k": Span(0, 4), "i": Span(4, 6)}
    h, l, g, k, i = (naive_root(LEAVES[span.start : span.end]) for span in spans.values())  # noqa: E741 - the RFC's names
    assert inclusion(0, 7) == (b, h, l)
    assert inclusion(3, 7) == (c, g, l)
    assert inclusion(4, 7) == (f, j, k)
    assert inclusion(6, 7) == (i, k)
    assert consistency(3, 7) == (c, d, g, l)
    assert consistency(4, 7) == (l,)
    assert consistency(6, 7) == (i, j, k)


def holds(verify: Callable[[], None]) -> bool:
    try:
        verify()
    except LogError as error:
        if error.code != "log.proof_invalid":
            raise
        return False
    return True


def refuses_inclusion(leaf: bytes, index: int, size: int, proof: tuple[bytes, ...], root: bytes) -> bool:
    return not holds(lambda: verify_inclusion(leaf, index, size, proof, root))


def refuses_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: tuple[bytes, ...]
) -> bool:
    return not holds(lambda: verify_consistency(old, new, old_root, new_root, proof))


@given(st.data())
def test_an_inclusion_proof_that_was_touched_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 40))
    index = data.draw(st.integers(0, size - 1))
    proof, root = inclusion(index, size), naive_root(LEAVES[:size])
    position = data.draw(st.integers(0, len(proof)))
    stranger = data.draw(st.binary(min_size=32, max_size=32))
    assert refuses_inclusion(
        LEAVES[index], index, size, (*proof[:position], stranger, *proof[position:]), root
    )
    assert refuses_inclusion(LEAVES[index], index, size, proof, stranger)
    assert refuses_inclusion(stranger, index, size, proof, root)
    if position < len(proof):
        without = (*proof[:position], *proof[position + 1 :])
        changed = (*proof[:position], stranger, *proof[position + 1 :])
        assert refuses_inclusion(LEAVES[index], index, size, without, root)
        assert refuses_inclusion(LEAVES[index], index, size, changed, root)


@given(st.integers(1, 40), st.integers(-2, 41), st.data())
def test_a_proof_for_one_leaf_proves_no_other(size: int, claimed: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    refused = refuses_inclusion(
        LEAVES[index], claimed, size, inclusion(index, size), naive_root(LEAVES[:size])
    )
    assert refused is (claimed != index)


@given(st.data())
def test_a_consistency_proof_that_was_touched_is_refused(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, 40))
    old = data.draw(st.integers(1, new - 1))
    proof = consistency(old, new)
    roots = naive_root(LEAVES[:old]), naive_root(LEAVES[:new])
    position = data.draw(st.integers(0, len(proof)))
    stranger = data.draw(st.binary(min_size=32, max_size=32))
    assert refuses_consistency(old, new, *roots, (*proof[:position], stranger, *proof[position:]))
    assert refuses_consistency(old, new, stranger, roots[1], proof)
    assert refuses_consistency(old, new, roots[0], stranger, proof)
    assert refuses_consistency(old, new, *roots, ())
    if position < len(proof):
        assert refuses_consistency(old, new, *roots, (*proof[:position], *proof[position + 1 :]))


@pytest.mark.parametrize(
    ("old", "new", "old_root", "new_root", "proof"),
    [
        (0, 0, LEAVES[0], EMPTY_ROOT, ()),
        (0, 1, LEAVES[0], LEAVES[0], ()),
        (0, 1, EMPTY_ROOT, LEAVES[0], (LEAVES[0],)),
        (1, 1, LEAVES[0], LEAVES[1], ()),
        (2, 1, LEAVES[0], LEAVES[0], ()),
        (-1, 1, LEAVES[0], LEAVES[0], ()),
        (1, 2, LEAVES[0], naive_root(LEAVES[:2]), (LEAVES[1][:31],)),
    ],
)
def test_a_claim_that_needs_no_arithmetic_is_still_checked(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: tuple[bytes, ...]
) -> None:
    assert refuses_consistency(old, new, old_root, new_root, proof)


def test_a_hash_of_another_length_is_refused() -> None:
    root = naive_root(LEAVES[:2])
    assert refuses_inclusion(LEAVES[0], 0, 2, (LEAVES[1] + b"\0",), root)


def test_a_proof_of_what_is_not_there_cannot_be_asked_for() -> None:
    for index in (3, -1):
        with pytest.raises(LogError, match=r"log\.entry_unknown"):
            inclusion_spans(index, 3)
    with pytest.raises(LogError, match=r"log\.entry_unknown"):
        consistency_spans(4, 3)
