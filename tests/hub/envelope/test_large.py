# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hub.canonical import encode_canonical
from hub.envelope import (
    FilePayload,
    Hole,
    Intake,
    LargeEnvelope,
    Limits,
    Member,
    Payload,
    open_announcement,
    open_envelope,
    payload_offsets,
    read_container,
    read_zip,
    seal_envelope,
    seal_large,
    verify_signature,
    write_zip,
)
from hub.envelope.zipform import MOST_BYTES, write_zip_around
from hub.errors import EnvelopeError
from tests.hub.envelope.signers import REQUEST, header_for, throwaway_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUESTION = Payload("request.json", "application/json", b'{"text":"large"}')


def announced(folder: Path, *contents: bytes) -> tuple[LargeEnvelope, dict[str, Path], bytes]:
    """Seal one large message, and the very same one in memory."""
    key = throwaway_key()
    files, whole = {}, [QUESTION]
    parts: list[Payload | FilePayload] = [QUESTION]
    for number, content in enumerate(contents):
        name = f"part-{number}.bin"
        files[name] = folder / name
        files[name].write_bytes(content)
        parts.append(FilePayload.of(name, "application/octet-stream", files[name]))
        whole.append(Payload(name, "application/octet-stream", content))
    header = header_for(whole)
    large = seal_large(header, parts, key)
    return large, files, seal_envelope(header, whole, key).raw


def changed(raw: bytes, change: Callable[[list[Member]], None]) -> bytes:
    members = list(read_zip(raw, Limits(members=99)))
    change(members)
    return write_zip(members)


def refusal(raw: bytes, **limits: int) -> str:
    with pytest.raises(EnvelopeError) as refused:
        open_announcement(raw, **limits)  # type: ignore[arg-type]  # one number
    return refused.value.code


def test_an_announced_container_is_an_ordinary_one_byte_for_byte(tmp_path: Path) -> None:
    large, files, _ = announced(tmp_path, os.urandom(3000), b"", os.urandom(10))
    raw = b"".join(read_container(large, files))
    opened = open_envelope(raw)
    assert (opened.container_sha256, len(raw)) == (large.container_sha256, large.size)
    assert verify_signature(opened).algorithm == verify_signature(large).algorithm
    assert opened.as_in_reply_to() == large.as_in_reply_to()


def test_what_announces_a_container_says_all_of_it_but_the_large_payloads(tmp_path: Path) -> None:
    large, files, _ = announced(tmp_path, os.urandom(300_000))
    assert len(large.raw) < 10_000
    opened = open_announcement(large.raw)
    assert opened == large
    assert opened.payloads == {QUESTION.name: QUESTION.content}
    assert b"".join(read_container(opened, files)) == b"".join(read_container(large, files))


@pytest.mark.parametrize("seed", range(10))
def test_a_container_is_taken_in_pieces_of_any_size(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same pieces every time
    large, files, _ = announced(tmp_path, *(chance.randbytes(chance.randrange(3000)) for _ in range(3)))
    raw = b"".join(read_container(large, files))
    intake, offset = Intake(large), 0
    while offset < len(raw):
        length = chance.randint(1, chance.choice((3, 900, len(raw))))
        intake.take(raw[offset : offset + length])
        offset = min(offset + length, len(raw))
        assert intake.offset == offset
    intake.finish()


def test_a_container_is_read_from_any_byte_on(tmp_path: Path) -> None:
    large, files, _ = announced(tmp_path, os.urandom(200), b"x")
    raw = b"".join(read_container(large, files))
    for start in range(len(raw) + 2):
        assert b"".join(read_container(large, files, start)) == raw[start:]
    for name, offset in payload_offsets(large).items():
        content = files[name].read_bytes()
        assert raw[offset : offset + len(content)] == content


def test_no_byte_of_a_container_can_be_another_than_announced(tmp_path: Path) -> None:
    large, files, _ = announced(tmp_path, b"0123456789" * 5)
    raw = b"".join(read_container(large, files))
    for position in range(len(raw)):
        intake = Intake(large)
        flipped = bytearray(raw)
        flipped[position] ^= 1
        with pytest.raises(EnvelopeError):
            intake.take(bytes(flipped))


def test_a_container_that_ends_too_early_or_too_late_is_refused(tmp_path: Path) -> None:
    large, files, _ = announced(tmp_path, b"0123456789")
    raw = b"".join(read_container(large, files))
    early = Intake(large)
    early.take(raw[:-1])
    with pytest.raises(EnvelopeError, match="payload_mismatch"):
        early.finish()
    with pytest.raises(EnvelopeError, match="too_large"):
        Intake(large).take(raw + b"x")


def test_an_announcement_of_another_digest_or_checksum_is_noticed_by_the_container(tmp_path: Path) -> None:
    large, files, _ = announced(tmp_path, b"0123456789")
    raw = b"".join(read_container(large, files))
    lying = Intake(replace(large, stated_sha256="0" * 64))
    lying.take(raw)
    with pytest.raises(EnvelopeError, match="announcement_invalid"):
        lying.finish()
    hole = large.holes[0]
    wrong = replace(large, holes=(hole._replace(crc32=hole.crc32 ^ 1),))
    with pytest.raises(EnvelopeError):
        Intake(wrong).take(b"".join(read_container(wrong, files)))


def set_last(content: bytes) -> Callable[[list[Member]], None]:
    return lambda members: members.__setitem__(-1, Member(members[-1].name, content))


def drop(number: int) -> Callable[[list[Member]], None]:
    return lambda members: members.__delitem__(number)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (drop(-1), "envelope.announcement_invalid"),
        (drop(2), "envelope.member_missing"),
        (drop(1), "envelope.member_missing"),
        (drop(-2), "envelope.member_missing"),
        (set_last(b"{}"), "envelope.announcement_invalid"),
        (set_last(b"[]"), "envelope.announcement_invalid"),
        (set_last(b"null"), "envelope.announcement_invalid"),
        (set_last(b"\xff"), "envelope.announcement_invalid"),
        (set_last(b"[" * 100_000), "envelope.announcement_invalid"),
        (set_last(b'{"absent":[],"container_sha256":"' + b"0" * 64 + b'"}'), "envelope.member_missing"),
        (
            lambda members: members.insert(3, Member("payload/part-0.bin", b"0123456789")),
            "envelope.member_unexpected",
        ),
        (
            lambda members: members.insert(3, Member("payload/other.bin", b"")),
            "envelope.member_unexpected",
        ),
        (
            lambda members: members.__setitem__(2, Member(members[2].name, b"{}")),
            "envelope.payload_mismatch",
        ),
        (
            lambda members: members.__setitem__(-3, Member(members[-3].name, b"")),
            "envelope.manifest_not_canonical",
        ),
    ],
)
def test_an_announcement_of_another_form_is_refused(
    tmp_path: Path, change: Callable[[list[Member]], None], code: str
) -> None:
    large, _, _ = announced(tmp_path, b"0123456789")
    assert refusal(changed(large.raw, change)) == code


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.update(more=1),
        lambda fields: fields["absent"][0].update(crc32="ABCDEF01"),
        lambda fields: fields["absent"][0].update(crc32=7),
        lambda fields: fields["absent"][0].update(more="x"),
        lambda fields: fields["absent"].append(fields["absent"][0]),
        lambda fields: fields["absent"].append({"crc32": "00000000", "name": "other.bin"}),
        lambda fields: fields["absent"].reverse(),
        lambda fields: fields.update(container_sha256="0" * 63),
        lambda fields: fields.update(container_sha256=0),
        lambda fields: fields.update(absent=None),
    ],
)
def test_what_is_announced_has_one_form(tmp_path: Path, change: Callable[[dict[str, object]], None]) -> None:
    large, _, _ = announced(tmp_path, b"0123456789", b"more")
    fields = json.loads(read_zip(large.raw, Limits(members=99))[-1].content)
    change(fields)
    assert refusal(changed(large.raw, set_last(encode_canonical(fields)))) == "envelope.announcement_invalid"


def test_a_container_larger_than_allowed_is_refused_before_it_comes(tmp_path: Path) -> None:
    large, _, _ = announced(tmp_path, b"x" * 5000)
    assert refusal(large.raw, most_bytes=large.size - 1) == "envelope.too_large"
    assert open_announcement(large.raw, most_bytes=large.size).size == large.size


def test_the_form_ends_where_a_zip_without_zip64_does() -> None:
    members = (Member("a", b"x"), Hole("b", MOST_BYTES - 300, 0))
    pieces = write_zip_around(members)
    size = sum(piece.size if isinstance(piece, Hole) else len(piece) for piece in pieces)
    room = MOST_BYTES - size
    write_zip_around((members[0], Hole("b", MOST_BYTES - 300 + room, 0)))
    for more in (room + 1, 2**53):
        with pytest.raises(EnvelopeError, match="too_large"):
            write_zip_around((members[0], Hole("b", MOST_BYTES - 300 + more, 0)))


def test_a_header_about_other_files_is_not_signed(tmp_path: Path) -> None:
    large, files, _ = announced(tmp_path, b"0123456789")
    files["part-0.bin"].write_bytes(b"changed")
    part = FilePayload.of("part-0.bin", "application/octet-stream", files["part-0.bin"])
    with pytest.raises(EnvelopeError, match="payload_mismatch"):
        seal_large(large.header, (QUESTION, part), throwaway_key())


def test_a_message_without_large_payloads_is_not_announced() -> None:
    envelope = seal_envelope(header_for((REQUEST,)), (REQUEST,), throwaway_key())
    assert refusal(envelope.raw) == "envelope.announcement_invalid"
