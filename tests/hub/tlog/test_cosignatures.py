# SPDX-License-Identifier: Apache-2.0
"""Cosignatures of both kinds: what is signed, byte for byte, and what must not verify."""

from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA65PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import LogError
from hub.tlog import (
    EMPTY_ROOT,
    Checkpoint,
    Cosigner,
    Note,
    NoteSigner,
    SignatureType,
    SubtreeStatement,
    VerifierKey,
    instant_of,
    open_note,
    timestamp_of,
)

ROOT = sha256(b"a root").digest()
CHECKPOINT = Checkpoint("example.com/behind-the-sofa", 20852163, ROOT)
AT = 1_679_315_147
LOG = NoteSigner(CHECKPOINT.origin, Ed25519PrivateKey.generate())
ED25519 = Cosigner("witness.example/w1", Ed25519PrivateKey.generate())
ML_DSA = Cosigner("witness.example/w2", MLDSA44PrivateKey.generate())
BOTH = pytest.mark.parametrize("cosigner", [ED25519, ML_DSA], ids=["ed25519", "ml-dsa-44"])


def cosigned(cosigner: Cosigner, checkpoint: Checkpoint = CHECKPOINT, at: int = AT) -> str:
    return LOG.sign(checkpoint.to_text()) + cosigner.cosign(checkpoint.to_text(), at)


def raw_signature(line: str) -> bytes:
    return base64.b64decode(line.rstrip("\n").rsplit(" ", 1)[1])


def test_an_ed25519_cosignature_covers_the_header_the_time_and_the_whole_text() -> None:
    text = Checkpoint("a log", 3, ROOT, ("one", "two")).to_text()
    raw = raw_signature(ED25519.cosign(text, AT))
    message = b"cosignature/v1\ntime 1679315147\n" + text.encode()
    ED25519.private_key.public_key().verify(raw[12:], message)
    assert raw[4:12] == struct.pack(">Q", AT)
    public = ED25519.private_key.public_key().public_bytes_raw()
    assert raw[:4] == sha256(b"witness.example/w1\n\x04" + public).digest()[:4]


def test_an_ml_dsa_cosignature_covers_the_structure_of_the_specification() -> None:
    raw = raw_signature(ML_DSA.cosign(CHECKPOINT.to_text(), AT))
    name, origin = b"witness.example/w2", b"example.com/behind-the-sofa"
    message = b"subtree/v1\n\0" + bytes([len(name)]) + name + struct.pack(">Q", AT)
    message += bytes([len(origin)]) + origin + struct.pack(">QQ", 0, 20852163) + ROOT
    ML_DSA.private_key.public_key().verify(raw[12:], message)
    assert len(raw) == 4 + 8 + 2420
    public = ML_DSA.private_key.public_key().public_bytes_raw()
    assert raw[:4] == sha256(name + b"\n\x06" + public).digest()[:4]


@BOTH
def test_a_cosignature_is_verified_beside_the_logs_signature(cosigner: Cosigner) -> None:
    note = cosigned(cosigner)
    assert open_note(note, [cosigner.verifier]) == CHECKPOINT.to_text()
    log, witness = Note.decode(note).verify([LOG.verifier, cosigner.verifier])
    assert (log.key, log.timestamp) == (LOG.verifier, None)
    assert (witness.key, witness.timestamp) == (cosigner.verifier, AT)
    assert note.endswith(witness.line)


@BOTH
def test_a_cosigners_key_is_read_back(cosigner: Cosigner) -> None:
    text = cosigner.verifier.encode()
    assert VerifierKey.decode(text) == cosigner.verifier
    assert VerifierKey.decode(text).encode() == text


@BOTH
@pytest.mark.parametrize(
    "other",
    [
        Checkpoint("example.com/another-sofa", 20852163, ROOT),
        Checkpoint(CHECKPOINT.origin, 20852164, ROOT),
        Checkpoint(CHECKPOINT.origin, 20852163, sha256(b"another root").digest()),
    ],
)
def test_a_cosignature_holds_for_no_other_checkpoint(cosigner: Cosigner, other: Checkpoint) -> None:
    note = LOG.sign(other.to_text()) + cosigner.cosign(CHECKPOINT.to_text(), AT)
    with pytest.raises(LogError, match="does not hold"):
        open_note(note, [LOG.verifier, cosigner.verifier])
    # Who does not know the witness is not concerned.
    assert open_note(note, [LOG.verifier]) == other.to_text()


@BOTH
@pytest.mark.parametrize("position", [4, 11, 12, -1])
def test_flipping_a_bit_of_the_time_or_the_signature_is_noticed(cosigner: Cosigner, position: int) -> None:
    raw = bytearray(raw_signature(cosigner.cosign(CHECKPOINT.to_text(), AT)))
    raw[position] ^= 1
    line = f"— {cosigner.name} {base64.b64encode(raw).decode()}\n"
    with pytest.raises(LogError, match="does not hold"):
        open_note(LOG.sign(CHECKPOINT.to_text()) + line, [LOG.verifier, cosigner.verifier])


@BOTH
@pytest.mark.parametrize("length", [1, 8, 9])
def test_a_cosignature_cut_short_does_not_hold(cosigner: Cosigner, length: int) -> None:
    raw = raw_signature(cosigner.cosign(CHECKPOINT.to_text(), AT))[: 4 + length]
    line = f"— {cosigner.name} {base64.b64encode(raw).decode()}\n"
    with pytest.raises(LogError, match="does not hold"):
        open_note(LOG.sign(CHECKPOINT.to_text()) + line, [LOG.verifier, cosigner.verifier])


def test_an_ed25519_cosignature_covers_extension_lines_and_an_ml_dsa_one_does_not() -> None:
    plain, extended = CHECKPOINT, Checkpoint(CHECKPOINT.origin, CHECKPOINT.size, ROOT, ("more",))
    for cosigner, is_covered in ((ED25519, True), (ML_DSA, False)):
        note = LOG.sign(extended.to_text()) + cosigner.cosign(plain.to_text(), AT)
        if is_covered:
            with pytest.raises(LogError, match="does not hold"):
                open_note(note, [cosigner.verifier])
        else:
            assert open_note(note, [cosigner.verifier]) == extended.to_text()


def test_a_time_no_cosignature_may_state_is_refused() -> None:
    for at in (2**63 - 1, 2**63):
        text = CHECKPOINT.to_text()
        message = f"cosignature/v1\ntime {at}\n{text}".encode()
        signature = ED25519.private_key.sign(message)
        raw = ED25519.verifier.key_id + struct.pack(">Q", at) + signature
        note = LOG.sign(text) + f"— {ED25519.name} {base64.b64encode(raw).decode()}\n"
        if at < 2**63:
            (holding,) = Note.decode(note).verify([ED25519.verifier])
            assert holding.timestamp == at
        else:
            with pytest.raises(LogError, match="does not hold"):
                open_note(note, [ED25519.verifier])


def test_an_ml_dsa_log_may_state_no_time() -> None:
    log = Cosigner(CHECKPOINT.origin, MLDSA44PrivateKey.generate())
    text = CHECKPOINT.to_text()
    (holding,) = Note.decode(f"{text}\n{log.cosign(text, 0)}").verify([log.verifier])
    assert holding.timestamp is None


def test_a_text_that_is_no_checkpoint_is_not_cosigned_and_no_cosignature_holds_for_it() -> None:
    for cosigner in (ED25519, ML_DSA):
        with pytest.raises(LogError, match=r"log\.checkpoint_invalid"):
            cosigner.cosign("a statement\n", AT)
    message = f"cosignature/v1\ntime {AT}\na statement\n".encode()
    raw = ED25519.verifier.key_id + struct.pack(">Q", AT) + ED25519.private_key.sign(message)
    note = f"a statement\n\n— {ED25519.name} {base64.b64encode(raw).decode()}\n"
    with pytest.raises(LogError, match="does not hold"):
        open_note(note, [ED25519.verifier])


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("", 1, ROOT),
        Checkpoint("o" * 256, 1, ROOT),
        Checkpoint("é" * 128, 1, ROOT),
        Checkpoint("a log", 1, b"bananas"),
        Checkpoint("a log", 0, ROOT),
        Checkpoint("a log", 2**64, ROOT),
    ],
)
def test_what_a_subtree_message_cannot_hold_is_not_stated(checkpoint: Checkpoint) -> None:
    with pytest.raises(ValueError, match=r"byte|bounds|root"):
        SubtreeStatement.of(checkpoint, "witness.example", AT)


def test_only_a_tree_from_the_first_entry_on_is_cosigned_with_a_time() -> None:
    fields = {"cosigner": "w", "origin": "a log", "end": 13, "root": ROOT}
    assert SubtreeStatement(start=8, timestamp=0, **fields).message()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="entry 0"):
        SubtreeStatement(start=8, timestamp=AT, **fields)  # type: ignore[arg-type]
    assert SubtreeStatement(cosigner="w", timestamp=0, origin="o", start=0, end=0, root=EMPTY_ROOT).message()


@pytest.mark.parametrize("size", [2**63 - 1, 2**63, 2**64 - 1])
@BOTH
def test_the_largest_trees_are_cosigned(cosigner: Cosigner, size: int) -> None:
    checkpoint = Checkpoint(CHECKPOINT.origin, size, ROOT)
    assert open_note(cosigned(cosigner, checkpoint), [cosigner.verifier]) == checkpoint.to_text()


def test_a_key_that_signs_one_way_does_not_verify_another() -> None:
    key = Ed25519PrivateKey.generate()
    signing = VerifierKey("one.example", key.public_key())
    cosigning = VerifierKey("one.example", key.public_key(), SignatureType.ED25519_COSIGNATURE)
    assert signing.key_id != cosigning.key_id
    line = Cosigner("one.example", key).cosign(CHECKPOINT.to_text(), AT)
    with pytest.raises(LogError, match="no known key"):
        open_note(f"{CHECKPOINT.to_text()}\n{line}", [signing])


def test_a_key_of_another_kind_is_refused() -> None:
    for key in (MLDSA65PrivateKey.generate(), MLDSA44PrivateKey.generate()):
        with pytest.raises(ValueError, match="another kind"):
            VerifierKey("one.example", key.public_key())  # type: ignore[arg-type]
    ed25519 = Ed25519PrivateKey.generate().public_key()
    with pytest.raises(ValueError, match="another kind"):
        VerifierKey("one.example", ed25519, SignatureType.ML_DSA_44)


@pytest.mark.parametrize("kind", [0x00, 0x02, 0x03, 0x05, 0xFF])
def test_a_verifier_key_of_an_unknown_type_is_refused(kind: int) -> None:
    raw = bytes([kind]) + ED25519.private_key.public_key().public_bytes_raw()
    key_id = sha256(b"one.example\n" + raw).hexdigest()[:8]
    with pytest.raises(LogError, match=r"log\.checkpoint_invalid"):
        VerifierKey.decode(f"one.example+{key_id}+{base64.b64encode(raw).decode()}")


def test_sixteen_post_quantum_cosignatures_fit_below_a_note() -> None:
    cosigners = [Cosigner(f"w{number}.example", MLDSA44PrivateKey.generate()) for number in range(16)]
    text = CHECKPOINT.to_text()
    note = LOG.sign(text) + "".join(each.cosign(text, AT) for each in cosigners)
    assert len(Note.decode(note).verify([each.verifier for each in cosigners])) == 16


def test_a_private_key_is_not_shown() -> None:
    assert "private" not in repr(ED25519)


@given(st.integers(0, 2**63 - 1))
def test_every_time_a_cosignature_may_state_has_an_instant(timestamp: int) -> None:
    instant = instant_of(timestamp)
    assert instant.tzinfo is UTC
    assert timestamp_of(instant) == timestamp or instant == datetime.max.replace(tzinfo=UTC)
