# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from adapters.arriving import Arriving
from adapters.largedesk import KEPT_SECONDS, LargeDesk, Place
from hub.envelope import FilePayload, LargeEnvelope, Payload, read_container, seal_large
from hub.errors import EnvelopeError, ExchangeError
from tests.hub.envelope.signers import header_for, throwaway_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

QUESTION = Payload("request.json", "application/json", b'{"text":"large"}')


def a_large_one(folder: Path, *sizes: int) -> tuple[LargeEnvelope, bytes, dict[str, Path]]:
    folder.mkdir()
    luck = random.Random(1)  # noqa: S311 - the same bytes every time
    files = {}
    parts: list[Payload | FilePayload] = [QUESTION]
    for number, size in enumerate(sizes):
        name = f"part-{number}.bin"
        files[name] = folder / name
        files[name].write_bytes(luck.randbytes(size))
        parts.append(FilePayload.of(name, "application/octet-stream", files[name]))
    header = header_for(parts)  # type: ignore[arg-type]  # it only asks them to describe themselves
    envelope = seal_large(header, parts, throwaway_key())
    return envelope, b"".join(read_container(envelope, files)), files


@pytest.mark.parametrize("seed", range(5))
def test_a_container_goes_on_at_any_byte_after_a_new_start(tmp_path: Path, seed: int) -> None:
    envelope, raw, files = a_large_one(tmp_path / "from", 5000, 0, 7, 9000)
    luck, offset = random.Random(seed), 0  # noqa: S311 - the same cuts every time
    while offset < len(raw):
        arriving = Arriving(envelope, tmp_path / "to")
        arriving.open()
        assert arriving.offset >= min(offset, len(raw))
        offset = arriving.offset
        if offset < len(raw):
            arriving.take(raw[offset : offset + luck.choice((1, 100, 4000))])
        offset = arriving.offset
        arriving.close()
    arriving = Arriving(envelope, tmp_path / "to")
    arriving.open()
    arriving.finish()
    arriving.close()
    for name, file in files.items():
        there = arriving.files[name]
        assert (there.read_bytes() if there.exists() else b"") == file.read_bytes()
        assert not there.exists() or there.stat().st_mode & 0o077 == 0


def test_bytes_that_were_not_announced_begin_it_anew(tmp_path: Path) -> None:
    envelope, raw, _ = a_large_one(tmp_path / "from", 5000)
    arriving = Arriving(envelope, tmp_path / "to")
    arriving.open()
    wrong = bytearray(raw)
    wrong[len(raw) // 2] ^= 1
    with pytest.raises(EnvelopeError):
        arriving.take(bytes(wrong)[arriving.offset :])
    assert arriving.offset == 0
    arriving.take(raw)
    arriving.finish()
    arriving.close()


def test_a_file_somebody_changed_is_not_taken_for_what_came(tmp_path: Path) -> None:
    envelope, raw, _ = a_large_one(tmp_path / "from", 5000)
    first = Arriving(envelope, tmp_path / "to")
    first.open()
    first.take(raw[first.offset :])
    first.close()
    content = bytearray(first.files["part-0.bin"].read_bytes())
    content[7] ^= 1
    first.files["part-0.bin"].write_bytes(content)
    again = Arriving(envelope, tmp_path / "to")
    again.open()
    assert again.offset < len(raw) - 5000
    again.close()


def test_a_message_is_answered_once_it_is_there_and_its_files_go(tmp_path: Path) -> None:
    envelope, raw, files = a_large_one(tmp_path / "from", 3000)
    desk, seen = LargeDesk(tmp_path / "desk"), {}

    def answer(there: Mapping[str, Path]) -> bytes:
        seen.update({name: file.read_bytes() for name, file in there.items()})
        return b"answered"

    sha256 = envelope.container_sha256
    offset, size = desk.admit(Place(envelope, answer)), desk.offset(sha256)[1]
    assert size == len(raw)
    with pytest.raises(EnvelopeError):
        desk.complete(sha256)
    with desk.receiving(sha256, offset) as arriving:
        arriving.take(raw[offset:])
    assert desk.complete(sha256) == b"answered"
    assert seen == {"part-0.bin": files["part-0.bin"].read_bytes()}
    assert not list((tmp_path / "desk").glob("in/*"))
    with pytest.raises(ExchangeError, match="upload_unknown"):
        desk.offset(sha256)
    desk.close()


def test_an_answer_is_handed_out_for_its_ticket_from_any_byte(tmp_path: Path) -> None:
    envelope, raw, files = a_large_one(tmp_path / "from", 3000)
    desk = LargeDesk(tmp_path / "desk")
    for name, file in files.items():
        desk.take_over("0" * 64, name, file)
    ticket = desk.offer(envelope, "0" * 64)
    assert desk.offer(envelope, "0" * 64) == ticket, "a second attempt goes on with the first one's"
    size, pieces = desk.container(envelope.container_sha256, ticket, 1234)
    assert (size, b"".join(pieces)) == (len(raw), raw[1234:])
    for sha256, shown in (
        (envelope.container_sha256, ""),
        (envelope.container_sha256, "é"),
        ("1" * 64, ticket),
    ):
        with pytest.raises(ExchangeError, match="upload_unknown"):
            desk.container(sha256, shown, 0)


def test_what_nobody_touched_for_long_is_removed(tmp_path: Path) -> None:
    envelope, raw, _ = a_large_one(tmp_path / "from", 3000)
    desk = LargeDesk(tmp_path / "desk")
    desk.admit(Place(envelope, lambda _files: b""))
    with desk.receiving(envelope.container_sha256, desk.offset(envelope.container_sha256)[0]) as arriving:
        arriving.take(raw[arriving.offset : arriving.offset + 2000])
    desk.sweep()
    assert list((tmp_path / "desk").glob("in/*"))
    (folder,) = (tmp_path / "desk").glob("in/*")
    for each in (*folder.glob("*"), folder):
        old = each.stat().st_mtime - KEPT_SECONDS - 60
        os.utime(each, (old, old))
    desk.sweep()
    assert not list((tmp_path / "desk").glob("in/*"))
    with pytest.raises(ExchangeError, match="upload_unknown"):
        desk.offset(envelope.container_sha256)
    desk.close()
