# SPDX-License-Identifier: Apache-2.0
"""Proof files: read as written, refused in any other form, and true only of the entry they name."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import LogError
from hub.tlog import (
    Checkpoint,
    Cosigner,
    NoteSigner,
    ProofFile,
    TrustPolicy,
    inclusion_spans,
    leaf_hash,
    prove,
    verify_proof,
)
from tests.hub.tlog.test_merkle import naive_root

LOG = NoteSigner("example.com/fancylog", Ed25519PrivateKey.from_private_bytes(bytes(32)))
WITNESS = Cosigner("witness.example/w1", Ed25519PrivateKey.from_private_bytes(bytes([1] * 32)))
POLICY = TrustPolicy.decode(f"log {LOG.verifier.encode()}\nwitness w {WITNESS.verifier.encode()}\nquorum w\n")
AT = 1_700_000_000
LEAVES = [b"entry %d" % number for number in range(40)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


def a_proof(index: int, size: int, extra: bytes | None = None, *, is_witnessed: bool = True) -> ProofFile:
    path = prove(
        inclusion_spans(index, size),
        lambda subtree: naive_root(
            HASHES[subtree.number << subtree.level : (subtree.number + 1) << subtree.level]
        ),
    )
    text = Checkpoint(LOG.name, size, naive_root(HASHES[:size])).to_text()
    note = LOG.sign(text) + (WITNESS.cosign(text, AT) if is_witnessed else "")
    return ProofFile(index, path, note, extra)


TEXT = a_proof(5, 13, b"more").encode()


def test_the_text_has_the_lines_of_the_specification() -> None:
    lines = TEXT.split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra bW9yZQ==", "index 5"]
    # The leaf's sibling comes first.
    assert base64.b64decode(lines[3]) == HASHES[4]
    assert lines[7:10] == ["", "example.com/fancylog", "13"]
    assert TEXT.endswith("\n")


@settings(max_examples=60)
@given(st.data())
def test_every_entry_of_every_tree_is_proven_and_no_other_is(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(LEAVES)))
    index = data.draw(st.integers(0, size - 1))
    proof = a_proof(index, size, data.draw(st.none() | st.binary(min_size=1, max_size=9)))
    read = ProofFile.decode(proof.encode())
    assert read == proof
    witnessed = verify_proof(read, LEAVES[index], POLICY)
    assert witnessed.checkpoint.size == size
    assert [at.timestamp() if at else None for at in witnessed.witnesses.values()] == [AT]
    other = data.draw(st.integers(0, len(LEAVES) - 1).filter(lambda number: number != index))
    with pytest.raises(LogError, match=r"log\.proof_invalid"):
        verify_proof(read, LEAVES[other], POLICY)


def test_the_only_entry_of_a_log_needs_no_hash() -> None:
    text = a_proof(0, 1).encode()
    assert text.startswith("c2sp.org/tlog-proof@v1\nindex 0\n\nexample.com/fancylog\n1\n")
    assert verify_proof(ProofFile.decode(text), LEAVES[0], POLICY).checkpoint.size == 1


def test_a_proof_whose_checkpoint_nobody_witnessed_does_not_do() -> None:
    proof = a_proof(5, 13, is_witnessed=False)
    with pytest.raises(LogError, match=r"log\.not_witnessed"):
        verify_proof(proof, LEAVES[5], POLICY)


def test_an_index_beyond_the_tree_is_refused() -> None:
    proof = a_proof(5, 13)
    for index in (13, 2**64 - 2):
        with pytest.raises(LogError, match=r"log\.proof_invalid"):
            verify_proof(ProofFile(index, proof.path, proof.checkpoint), LEAVES[5], POLICY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        TEXT.replace("@v1", "@v2"),
        "\n" + TEXT,
        " " + TEXT,
        "\ufeff" + TEXT,
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("extra bW9yZQ==", "extra "),
        TEXT.replace("extra bW9yZQ==", "extra"),
        TEXT.replace("extra bW9yZQ==", "extra bW9yZR=="),
        TEXT.replace("extra bW9yZQ==", "extra bW9yZQ"),
        TEXT.replace("extra bW9yZQ==", "extra  bW9yZQ=="),
        TEXT.replace("extra bW9yZQ==", "Extra bW9yZQ=="),
        TEXT.replace("extra bW9yZQ==", "extra bW9yZQ==\nextra bW9yZQ=="),
        TEXT.replace("extra bW9yZQ==\nindex 5", "index 5\nextra bW9yZQ=="),
        TEXT.replace("index 5\n", ""),
        TEXT.replace("index 5", "index 05"),
        TEXT.replace("index 5", "index +5"),
        TEXT.replace("index 5", "index -5"),
        TEXT.replace("index 5", "index"),
        TEXT.replace("index 5", "index "),
        TEXT.replace("index 5", "index 5 "),
        TEXT.replace("index 5", "index\t5"),
        TEXT.replace("index 5", "index \u0665"),
        TEXT.replace("index 5", "index 18446744073709551616"),
        TEXT.replace("index 5\n", "index 5\n\n"),
        TEXT.replace("index 5\n", "index 5\nbW9yZQ==\n"),
        TEXT.replace("index 5\n", "index 5\n" + "A" * 43 + "=\n" * 1 + " "),
        TEXT.replace("index 5\n", "index 5\n" + ("A" * 43 + "=\n") * 65),
        TEXT.replace("index 5\n", "index 5\n" + "A" * 42 + "B=\n"),
        TEXT.replace("\n\nexample", "\nexample"),
        TEXT[: TEXT.index("\n\n") + 2],
        TEXT[: TEXT.rindex("\n\n") + 2],
        TEXT[:-1],
        TEXT + "\n",
        TEXT.replace("\n13\n", "\n013\n"),
    ],
)
def test_a_text_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(LogError, match=r"log\.(proof|checkpoint)_invalid"):
        ProofFile.decode(text)


def test_a_path_with_one_hash_more_or_less_is_refused() -> None:
    proof = a_proof(5, 13)
    for path in (proof.path[:-1], (*proof.path, proof.path[0]), proof.path[::-1]):
        with pytest.raises(LogError, match=r"log\.proof_invalid"):
            verify_proof(ProofFile(5, path, proof.checkpoint), LEAVES[5], POLICY)


def test_what_is_extra_changes_nothing() -> None:
    proof = ProofFile.decode(TEXT.replace("extra bW9yZQ==", "extra bGVzcw=="))
    assert verify_proof(proof, LEAVES[5], POLICY).checkpoint.size == 13
