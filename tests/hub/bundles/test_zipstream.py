# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tracemalloc
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from hub.bundles.zipstream import ZipStream
from hub.verifier.bundlezip import BundleZip

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 2, 9, 15, 4, tzinfo=UTC)


def written(files: dict[str, bytes]) -> tuple[bytes, ZipStream]:
    stream = ZipStream(NOW)
    content = b"".join([stream.add(name, content) for name, content in files.items()])
    return content + stream.finish(), stream


def test_every_member_reads_back_with_its_date_and_digest() -> None:
    files = {"a/b.txt": b"text" * 1000, "a/c.pdf": os.urandom(5000), "empty.json": b"", "bundle.json": b"{}"}
    content, stream = written(files)
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert file.testzip() is None
        assert {name: file.read(name) for name in file.namelist()} == files
        assert {info.date_time for info in file.infolist()} == {(2026, 3, 2, 9, 15, 4)}
    assert {name: (said.sha256, said.size) for name, said in stream.digests.items()} == {
        name: (hashlib.sha256(each).hexdigest(), len(each)) for name, each in files.items()
    }


def test_headers_state_sizes_so_that_readers_from_the_front_need_nothing_else() -> None:
    content, _ = written({"a.txt": b"x" * 100, "b.txt": b"y"})
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        for info in file.infolist():
            assert not info.flag_bits & 0x0008, "a data descriptor"
            header = content[info.header_offset : info.header_offset + 30]
            assert int.from_bytes(header[18:22], "little") == info.compress_size > 0


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_other_peoples_tools_find_nothing_wrong(tmp_path: Path) -> None:
    content, _ = written({f"messages/{number}/entry.json": b"{}" * number for number in range(300)})
    (tmp_path / "bundle.zip").write_bytes(content)
    said = subprocess.run(["unzip", "-tq", tmp_path / "bundle.zip"], capture_output=True, check=True)
    assert b"No errors detected" in said.stdout


def test_a_name_is_written_once() -> None:
    stream = ZipStream(NOW)
    stream.add("a", b"1")
    with pytest.raises(ValueError, match="already"):
        stream.add("a", b"2")


@pytest.mark.parametrize("left_out", [1, 22, 200])
def test_what_was_cut_off_is_no_zip_file(left_out: int) -> None:
    content, _ = written({"a.txt": b"1" * 100, "bundle.json": b"{}"})
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(content[:-left_out]))


def test_what_was_given_away_is_not_held() -> None:
    stream = ZipStream(NOW)
    given, content = 0, os.urandom(1_000_000)
    tracemalloc.start()
    try:
        for number in range(30):
            given += len(stream.add(f"{number}.asice", content))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    given += len(stream.finish())
    assert given > 30_000_000
    assert peak < 10_000_000


def test_more_members_than_the_old_format_can_count_are_written_all_the_same() -> None:
    stream = ZipStream(NOW)
    file = io.BytesIO()
    for number in range(65_600):
        file.write(stream.add(str(number), b""))
    file.write(stream.finish())
    with zipfile.ZipFile(file) as read:
        assert len(read.namelist()) == 65_600
    assert len(BundleZip(file).names) == 65_600
