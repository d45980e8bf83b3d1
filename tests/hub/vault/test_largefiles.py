# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from hub.envelope import FilePayload, LargeEnvelope, Payload, read_container, seal_large
from hub.errors import HubError, VaultError
from hub.vault import PIECE_BYTES, ContainerState, KeyId
from tests.hub.envelope.signers import header_for, throwaway_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.hub.vault.conftest import OpenVault

MARCH = KeyId.parse("2026-03_P10Y_1")
MAY = datetime(2026, 5, 2, tzinfo=UTC)
LATER = datetime(2036, 4, 1, tzinfo=UTC)
SIZE = 3 * PIECE_BYTES + 4321


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(HubError) as refused:
        work()
    return refused.value.code


def a_large_one(folder: Path, size: int = SIZE) -> tuple[LargeEnvelope, bytes]:
    file = folder / "data.bin"
    file.write_bytes(random.Random(size).randbytes(size))  # noqa: S311 - the same bytes every time
    part = FilePayload.of("data.bin", "application/octet-stream", file)
    question = Payload("request.json", "application/json", b'{"holder":"large"}')
    header = header_for((question, part))  # type: ignore[arg-type]  # it only asks them to describe themselves
    envelope = seal_large(header, (question, part), throwaway_key())
    return envelope, b"".join(read_container(envelope, {"data.bin": file}))


def begin(opened: OpenVault, retention: str = "P10Y") -> str:
    return opened.writer.run(lambda connection: opened.vault.begin_large(connection, retention=retention))


def keep(opened: OpenVault, envelope: LargeEnvelope, raw: bytes, retention: str = "P10Y") -> LargeEnvelope:
    name = begin(opened, retention)
    with opened.vault.append_large(name) as file:
        file.write(raw)
    kept = envelope.kept_as(name)
    opened.keep(kept, retention=retention)
    return kept


def test_a_large_container_comes_back_whole_in_ranges_and_opened(opened: OpenVault, tmp_path: Path) -> None:
    envelope, raw = a_large_one(tmp_path)
    keep(opened, envelope, raw)
    for vault in (opened.vault, opened.again()):
        sha256 = envelope.container_sha256
        assert b"".join(vault.stream(sha256)) == raw
        assert vault.size(sha256) == len(raw)
        for start, stop in (
            (0, 1),
            (PIECE_BYTES - 1, PIECE_BYTES + 1),
            (17, len(raw)),
            (len(raw) - 1, len(raw)),
        ):
            assert b"".join(vault.stream(sha256, start, stop)) == raw[start:stop]
        found = vault.envelope(sha256)
        assert isinstance(found, LargeEnvelope)
        assert (found.raw, found.header) == (envelope.raw, envelope.header)
        with pytest.raises(VaultError, match="too_large"):
            vault.read(sha256)


def test_nothing_of_it_is_readable_on_the_disk_or_in_the_database(opened: OpenVault, tmp_path: Path) -> None:
    envelope, raw = a_large_one(tmp_path)
    kept = keep(opened, envelope, raw)
    assert opened.vault.files is not None
    content = opened.vault.files.path(kept.file).read_bytes()
    assert len(content) > len(raw)
    for position in range(0, len(raw) - 16, 97_001):
        assert raw[position : position + 16] not in content
    assert opened.vault.files.path(kept.file).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("seed", range(4))
def test_a_file_goes_on_at_any_byte_it_was_cut_off_at(opened: OpenVault, tmp_path: Path, seed: int) -> None:
    envelope, raw = a_large_one(tmp_path)
    name, chance, offset = begin(opened), random.Random(seed), 0  # noqa: S311 - the same cuts every time
    while offset < len(raw):
        some = raw[offset : offset + chance.choice((1, 77, 300_000, PIECE_BYTES, 2 * PIECE_BYTES + 5))]
        with opened.again().append_large(name) as file:
            assert file.offset == offset
            file.write(some)
        offset += len(some)
        assert opened.vault.files is not None
        assert opened.vault.files.size(name) == offset
    opened.keep(envelope.kept_as(name))
    assert b"".join(opened.vault.stream(envelope.container_sha256)) == raw


def test_a_piece_a_crash_tore_is_written_anew(opened: OpenVault, tmp_path: Path) -> None:
    _, raw = a_large_one(tmp_path)
    name = begin(opened)
    with opened.vault.append_large(name) as file:
        file.write(raw[: PIECE_BYTES + 500])
    assert opened.vault.files is not None
    with opened.vault.files.path(name).open("r+b") as torn:
        torn.truncate(torn.seek(0, os.SEEK_END) - 3)
    with opened.vault.append_large(name) as file:
        assert file.offset == PIECE_BYTES
        file.write(raw[PIECE_BYTES:])
    assert b"".join(opened.vault.read_large(name, 0, len(raw))) == raw


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[PIECE_BYTES // 2] ^= 1
    path.write_bytes(content)


def swap(path: Path) -> None:
    content, sealed = path.read_bytes(), PIECE_BYTES + 29
    path.write_bytes(content[sealed : 2 * sealed] + content[:sealed] + content[2 * sealed :])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: PIECE_BYTES + 29])


def lose(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("attack", [flip, swap, cut, lose])
def test_a_file_that_was_tampered_with_does_not_open(
    opened: OpenVault, tmp_path: Path, attack: Callable[[Path], None]
) -> None:
    envelope, raw = a_large_one(tmp_path)
    kept = keep(opened, envelope, raw)
    assert opened.vault.files is not None
    attack(opened.vault.files.path(kept.file))
    assert code_of(lambda: list(opened.vault.stream(envelope.container_sha256))) == "vault.damaged"


def test_the_file_of_another_container_is_noticed(opened: OpenVault, tmp_path: Path) -> None:
    first, raw = a_large_one(tmp_path)
    second, other = a_large_one(tmp_path, SIZE + 1)
    one, two = keep(opened, first, raw), keep(opened, second, other)
    files = opened.vault.files
    assert files is not None
    files.path(one.file).write_bytes(files.path(two.file).read_bytes())
    assert code_of(lambda: list(opened.vault.stream(first.container_sha256))) == "vault.damaged"


def test_destroying_the_key_erases_it_and_gives_the_room_back(opened: OpenVault, tmp_path: Path) -> None:
    envelope, raw = a_large_one(tmp_path)
    kept = keep(opened, envelope, raw)
    opened.clock.move_to(LATER)
    opened.eraser.erase(MARCH, reason="plan", by="operator")
    assert code_of(lambda: list(opened.vault.stream(envelope.container_sha256))) == "vault.erased"
    assert code_of(lambda: opened.vault.envelope(envelope.container_sha256)) == "vault.erased"
    assert opened.vault.files is not None
    assert not opened.vault.files.path(kept.file).exists()
    assert opened.vault.state(envelope.container_sha256) is ContainerState.ERASED


@pytest.mark.parametrize(
    ("attack", "code"), [(cut, "vault.archive_damaged"), (lose, "vault.archive_missing")]
)
def test_an_archived_file_that_is_cut_or_lost_is_noticed_without_its_key(
    opened: OpenVault, tmp_path: Path, attack: Callable[[Path], None], code: str
) -> None:
    keep(opened, *a_large_one(tmp_path))
    opened.clock.move_to(MAY)
    opened.archiver.archive_month("2026-03", str(tmp_path / "archives"))
    (archived,) = (tmp_path / "archives").glob("*/large/*.sealed")
    (file,) = opened.archiver.files()
    attack(archived)
    report = opened.archiver.verify_file(file, with_key=False)
    assert (report.problem or "").partition(":")[0] == code
    assert not report.opened


def test_it_moves_into_an_archive_and_reads_as_before(opened: OpenVault, tmp_path: Path) -> None:
    envelope, raw = a_large_one(tmp_path)
    kept = keep(opened, envelope, raw)
    opened.clock.move_to(MAY)
    assert opened.archiver.waiting(MAY) == (MARCH,)
    opened.archiver.archive_month("2026-03", str(tmp_path / "archives"))
    assert opened.archiver.waiting(MAY) == ()
    assert opened.vault.files is not None
    assert not opened.vault.files.path(kept.file).exists()
    assert b"".join(opened.vault.stream(envelope.container_sha256, 5, len(raw) - 5)) == raw[5:-5]
    assert opened.vault.state(envelope.container_sha256) is ContainerState.ARCHIVED
    (archived,) = (tmp_path / "archives").glob("*/large/*.sealed")
    (file,) = opened.archiver.files()
    assert opened.archiver.verify_file(file).problem is None
    flip(archived)
    assert (opened.archiver.verify_file(file).problem or "").startswith("vault.damaged")
    assert opened.archiver.verify_file(file, with_key=False).problem is None
    assert code_of(lambda: list(opened.vault.stream(envelope.container_sha256))) == "vault.damaged"


def test_a_copy_that_did_not_arrive_whole_takes_nothing_away(
    opened: OpenVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    envelope, raw = a_large_one(tmp_path)
    keep(opened, envelope, raw)
    opened.clock.move_to(MAY)
    place = type(opened.vault.places.open(str(tmp_path / "archives")))
    put = place.put

    def put_and_cut(self: object, path: str, file: Path) -> None:
        put(self, path, file)  # type: ignore[arg-type]  # the real one
        flip(tmp_path / "archives" / path)

    monkeypatch.setattr(place, "put", put_and_cut)
    assert (
        code_of(lambda: opened.archiver.archive_month("2026-03", str(tmp_path / "archives")))
        == "vault.damaged"
    )
    assert b"".join(opened.vault.stream(envelope.container_sha256)) == raw


def test_a_longer_retention_takes_over_with_the_second_file(opened: OpenVault, tmp_path: Path) -> None:
    envelope, raw = a_large_one(tmp_path)
    short = keep(opened, envelope, raw, "P30D")
    long = keep(opened, envelope, raw)
    assert opened.vault.sweep_large(frozenset(), -1e12, 0) == 1
    assert opened.vault.files is not None
    assert not opened.vault.files.path(short.file).exists()
    assert opened.vault.files.path(long.file).exists()
    assert b"".join(opened.vault.stream(envelope.container_sha256)) == raw


def test_only_files_nobody_needs_are_swept(opened: OpenVault, tmp_path: Path) -> None:
    envelope, raw = a_large_one(tmp_path)
    kept = keep(opened, envelope, raw)
    coming, abandoned = begin(opened), begin(opened)
    for name in (coming, abandoned):
        with opened.vault.append_large(name) as file:
            file.write(b"some")
    assert opened.vault.files is not None
    assert opened.vault.sweep_large(frozenset({coming}), 1e12, 0) == 0, "somebody may be about to use it"
    assert opened.vault.sweep_large(frozenset({coming}), -1e12, 0) == 1
    assert set(opened.vault.files.names()) == {kept.file, coming}


def test_a_full_disk_is_said_and_loses_nothing(
    opened: OpenVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, raw = a_large_one(tmp_path)
    name = begin(opened)
    with opened.vault.append_large(name) as file:
        file.write(raw[: 2 * PIECE_BYTES])
    real = os.pwrite

    def full(*_where: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def overfill() -> None:
        with opened.vault.append_large(name) as file:
            monkeypatch.setattr(os, "pwrite", full)
            file.write(raw[2 * PIECE_BYTES :])

    assert code_of(overfill) == "vault.storage_full"
    monkeypatch.setattr(os, "pwrite", real)
    with opened.vault.append_large(name) as file:
        assert file.offset == 2 * PIECE_BYTES
        file.write(raw[2 * PIECE_BYTES :])
    assert b"".join(opened.vault.read_large(name, 0, len(raw))) == raw


def test_what_would_not_find_room_is_refused_before_it_comes(opened: OpenVault) -> None:
    assert opened.vault.files is not None
    assert code_of(lambda: opened.vault.files.require_room(2**60)) == "vault.storage_full"  # type: ignore[union-attr]  # asserted
    opened.vault.files.require_room(1)
