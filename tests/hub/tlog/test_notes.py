# SPDX-License-Identifier: Apache-2.0
"""Signed notes and checkpoints against the published vectors, and against what must be refused."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hub.errors import LogError
from hub.tlog import Checkpoint, NoteSigner, VerifierKey, open_checkpoint, open_note

VECTORS = Path(__file__).parents[4] / "shared/data/tlog/signed_note_vectors.json"
# The example of C2SP signed-note.
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
ORIGIN = "hub.chenghua.example/log"


@pytest.fixture
def signer() -> NoteSigner:
    return NoteSigner(ORIGIN, Ed25519PrivateKey.generate())


def refusal(note: str, *verifiers: VerifierKey) -> str:
    with pytest.raises(LogError) as caught:
        open_note(note, verifiers)
    assert caught.value.code == "log.checkpoint_invalid"
    return caught.value.detail


def test_the_example_of_the_specification_holds() -> None:
    key = VerifierKey.decode(EXAMPLE_KEY)
    assert key.encode() == EXAMPLE_KEY
    assert open_note(EXAMPLE_NOTE, [key]) == "This is an example message.\n"


def test_the_published_notes_hold_and_are_signed_the_same_by_us() -> None:
    if not VECTORS.exists():
        pytest.skip("the shared vectors are not here")
    for vector in json.loads(VECTORS.read_text())["signed_notes"]:
        key = VerifierKey.decode(vector["vkey"])
        text = open_note(vector["note"], [key])
        seed = base64.b64decode(vector["skey_published_example"].split("+", 4)[4])[1:]
        assert NoteSigner(key.name, Ed25519PrivateKey.from_private_bytes(seed)).sign(text) == vector["note"]


def test_the_published_checkpoint_texts_are_read_or_refused_as_they_say() -> None:
    if not VECTORS.exists():
        pytest.skip("the shared vectors are not here")
    for vector in json.loads(VECTORS.read_text())["checkpoints"]:
        if vector["valid"]:
            assert Checkpoint.from_text(vector["text"]).to_text() == vector["text"]
        else:
            with pytest.raises(LogError, match=r"log\.checkpoint_invalid"):
                Checkpoint.from_text(vector["text"])


@pytest.mark.parametrize("size", ["", "01", "-1", "1 ", "\u0661", "9" * 20])
def test_a_size_that_is_not_a_plain_number_is_refused(size: str) -> None:
    with pytest.raises(LogError, match="size"):
        Checkpoint.from_text(f"Log\n{size or ' '}\nYmFuYW5hcw==\n")


def test_a_text_with_empty_lines_is_signed_and_read_back(signer: NoteSigner) -> None:
    text = "one\n\n二\n"
    assert open_note(signer.sign(text), [signer.verifier]) == text


def test_flipping_any_bit_of_a_note_makes_it_refused(signer: NoteSigner) -> None:
    raw = signer.sign("a statement\n").encode()
    for position in range(len(raw)):
        touched = bytearray(raw)
        touched[position] ^= 1
        refusal(touched.decode(errors="replace"), signer.verifier)


def test_a_signature_has_one_spelling_only() -> None:
    # The last character before the padding carries two bits that do not count.
    respelled = EXAMPLE_NOTE.replace("yaQM=", "yaQN=")
    assert "base64" in refusal(respelled, VerifierKey.decode(EXAMPLE_KEY))


def test_a_signature_of_a_stranger_is_ignored_beside_a_known_one(signer: NoteSigner) -> None:
    stranger = NoteSigner("witness.example", Ed25519PrivateKey.generate())
    text = "a statement\n"
    other = stranger.sign(text).removeprefix(f"{text}\n")
    assert open_note(signer.sign(text) + other, [signer.verifier]) == text
    assert "no known key" in refusal(stranger.sign(text), signer.verifier)


def test_a_wrong_signature_of_a_known_key_spoils_the_note(signer: NoteSigner) -> None:
    other = NoteSigner("other.example", Ed25519PrivateKey.generate())
    text = "a statement\n"
    wrong = other.sign("another statement\n").removeprefix("another statement\n\n")
    assert "does not hold" in refusal(signer.sign(text) + wrong, signer.verifier, other.verifier)


def test_a_key_of_the_same_name_is_another_key(signer: NoteSigner) -> None:
    impostor = NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
    assert "no known key" in refusal(impostor.sign("a statement\n"), signer.verifier)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        EXAMPLE_NOTE[:-1],
        EXAMPLE_NOTE.replace("—", "-"),
        EXAMPLE_NOTE.replace("\n\n", "\n"),
        EXAMPLE_NOTE.replace("message", "mess\tage"),
        EXAMPLE_NOTE.replace("\n", "\r\n"),
        EXAMPLE_NOTE + "\n",
        "a\n\n— example.com/foo Uw2Q\n",
        "a\n\n— example.com/foo Uw2QOkn8srV1=\n",
        EXAMPLE_NOTE + "— example.com/foo Uw2QOkn8\n" * 100,
    ],
)
def test_a_note_of_another_shape_is_refused(note: str) -> None:
    refusal(note, VerifierKey.decode(EXAMPLE_KEY))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/foo",
        EXAMPLE_KEY.replace("530d903a", "530d903b"),
        EXAMPLE_KEY.replace("+Aek", "+Bek"),
        EXAMPLE_KEY[:-4],
        EXAMPLE_KEY.replace("foo", "f oo"),
        EXAMPLE_KEY.replace("example.com/foo", ""),
    ],
)
def test_a_verifier_key_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(LogError, match=r"log\.checkpoint_invalid"):
        VerifierKey.decode(text)


@pytest.mark.parametrize("text", ["no newline", "tab\t\n", "return\r\n"])
def test_a_text_that_cannot_be_a_note_is_not_signed(signer: NoteSigner, text: str) -> None:
    with pytest.raises(ValueError, match="newline"):
        signer.sign(text)


def test_a_checkpoint_of_another_log_is_refused(signer: NoteSigner) -> None:
    note = signer.sign(Checkpoint("another.example/log", 1, sha256(b"").digest()).to_text())
    with pytest.raises(LogError, match="another log"):
        open_checkpoint(note, [signer.verifier], origin=ORIGIN)


def test_a_checkpoint_with_a_short_root_is_refused(signer: NoteSigner) -> None:
    note = signer.sign(Checkpoint(ORIGIN, 1, b"bananas").to_text())
    with pytest.raises(LogError, match="32 bytes"):
        open_checkpoint(note, [signer.verifier], origin=ORIGIN)


def test_the_private_key_is_not_shown(signer: NoteSigner) -> None:
    assert "Ed25519" not in repr(signer)
