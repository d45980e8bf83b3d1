# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from hub.custody import Secret, generate_wrapping_key, open_wrapping_key
from hub.custody.wrapping import FileWrappingKey
from hub.errors import VaultError
from hub.vault import KeyFolder, KeyId
from tests.vaults import a_key_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.softhsm import SoftHsm

NOW = datetime(2026, 3, 15, 8, tzinfo=UTC)
KEY_ID = KeyId.parse("2026-03_P10Y_1")
OTHER = KeyId.parse("2026-03_P5Y_1")
PASSPHRASE = Secret("a test", "49152 for tests")


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(VaultError) as refused:
        work()
    return refused.value.code


def test_a_key_is_read_back_after_a_new_start(tmp_path: Path) -> None:
    folder = a_key_folder(tmp_path / "keys")
    blob = folder.create(KEY_ID, NOW).seal("draft:1", b"text")
    assert folder.read(KEY_ID).open("draft:1", blob) == b"text"
    assert folder.create(KEY_ID, NOW).open("draft:1", blob) == b"text"
    assert folder.key_ids() == (KEY_ID,)


def test_a_key_file_shows_no_key_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    folder = a_key_folder(tmp_path / "keys")
    folder.create(KEY_ID, NOW)
    file = tmp_path / "keys" / f"{KEY_ID}.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert len(bytes.fromhex(json.loads(file.read_bytes())["wrapped"])) == 72
    file.chmod(0o604)
    assert code_of(lambda: folder.read(KEY_ID)) == "vault.keys_exposed"
    file.chmod(0o600)
    (tmp_path / "keys").chmod(0o705)
    assert code_of(folder.prepare) == "vault.keys_exposed"


def test_a_key_file_that_was_changed_renamed_or_belongs_to_another_master_does_not_open(
    tmp_path: Path,
) -> None:
    folder = a_key_folder(tmp_path / "keys")
    folder.create(KEY_ID, NOW)
    file = tmp_path / "keys" / f"{KEY_ID}.key"
    shutil.copy(file, file.with_name(f"{OTHER}.key"))
    assert code_of(lambda: folder.read(OTHER)) == "vault.damaged"
    stranger = KeyFolder(folder.path, [FileWrappingKey(os.urandom(32))])
    assert code_of(lambda: stranger.read(KEY_ID)) == "vault.damaged"
    fields = json.loads(file.read_bytes())
    wrapped = bytearray.fromhex(fields["wrapped"])
    wrapped[30] ^= 1
    several: list[object] = [
        fields | {"wrapped": wrapped.hex()},
        fields | {"wrapped": "zz"},
        {"format": "x"},
        [],
    ]
    for changed in several:
        file.write_text(json.dumps(changed), encoding="utf-8")
        assert code_of(lambda: folder.read(KEY_ID)) == "vault.damaged"
    file.unlink()
    assert code_of(lambda: folder.read(KEY_ID)) == "vault.key_missing"


def _make(path: Path, master: bytes, start: object, found: object) -> None:
    folder = KeyFolder(path, [FileWrappingKey(master)])
    start.wait()  # type: ignore[attr-defined]
    for month in range(1, 13):
        key = folder.create(KeyId(f"2026-{month:02}", "P10Y"), NOW)
        found.put((month, key.seal("draft:1", b"text")))  # type: ignore[attr-defined]


def test_of_several_processes_that_make_the_same_key_exactly_one_wins(tmp_path: Path) -> None:
    master = os.urandom(32)
    folder = KeyFolder(tmp_path / "keys", [FileWrappingKey(master)])
    folder.prepare()
    context = multiprocessing.get_context("fork")
    start, found = context.Event(), context.Queue()
    processes = [context.Process(target=_make, args=(folder.path, master, start, found)) for _ in range(4)]
    for process in processes:
        process.start()
    start.set()
    blobs = [found.get(timeout=30) for _ in range(48)]
    for process in processes:
        process.join(timeout=30)
        assert process.exitcode == 0
    for month, blob in blobs:
        assert folder.read(KeyId(f"2026-{month:02}", "P10Y")).open("draft:1", blob) == b"text"
    assert len(list(folder.path.iterdir())) == 12


def test_a_destroyed_key_is_gone_its_record_stays_and_its_name_is_never_used_again(tmp_path: Path) -> None:
    folder = a_key_folder(tmp_path / "keys")
    folder.create(KEY_ID, NOW)
    file = tmp_path / "keys" / f"{KEY_ID}.key"
    before = file.read_bytes()
    # What a crash between making and naming the file leaves: the same file under a name with a dot.
    os.link(file, file.with_name(f".{KEY_ID}.key.0123456789abcdef"))
    os.link(file, tmp_path / "linked")
    folder.destroy(KEY_ID, b"why")
    folder.destroy(KEY_ID, b"again")
    assert [each.name for each in folder.path.iterdir()] == [f"{KEY_ID}.erased"]
    assert folder.erasure(KEY_ID) == b"why"
    assert (tmp_path / "linked").read_bytes() != before, "it was overwritten where it lay"
    assert code_of(lambda: folder.read(KEY_ID)) == "vault.key_missing"
    assert code_of(lambda: folder.create(KEY_ID, NOW)) == "vault.erased"
    assert folder.key_ids() == ()


def test_a_new_master_key_takes_over_file_by_file_and_the_old_one_opens_nothing_more(tmp_path: Path) -> None:
    old, new = FileWrappingKey(os.urandom(32)), FileWrappingKey(os.urandom(32))
    before = KeyFolder(tmp_path / "keys", [old])
    before.prepare()
    blobs = {key_id: before.create(key_id, NOW).seal("draft:1", b"text") for key_id in (KEY_ID, OTHER)}
    both = KeyFolder(tmp_path / "keys", [new, old])
    assert both.rewrap(KEY_ID)
    # The hub that runs meanwhile has both and opens either.
    assert all(both.read(key_id).open("draft:1", blob) == b"text" for key_id, blob in blobs.items())
    assert [both.rewrap(key_id) for key_id in (KEY_ID, OTHER)] == [False, True]
    after = KeyFolder(tmp_path / "keys", [new])
    assert all(after.read(key_id).open("draft:1", blob) == b"text" for key_id, blob in blobs.items())
    assert code_of(lambda: before.read(KEY_ID)) == "vault.damaged"
    assert code_of(lambda: before.rewrap(KEY_ID)) == "vault.damaged"


def test_the_master_key_may_be_in_a_token(tmp_path: Path, softhsm: SoftHsm) -> None:
    place = softhsm.place(softhsm.shared_token(), "vault-master")
    folder = KeyFolder(tmp_path / "keys", [generate_wrapping_key(place, softhsm.pin)])
    folder.prepare()
    blob = folder.create(KEY_ID, NOW).seal("draft:1", b"text")
    again = KeyFolder(tmp_path / "keys", [open_wrapping_key(place, softhsm.pin)])
    assert again.read(KEY_ID).open("draft:1", blob) == b"text"
    # From the token to a file, by rewrapping.
    moved = KeyFolder(folder.path, [generate_wrapping_key(tmp_path / "m.pem", PASSPHRASE), *folder.masters])
    assert moved.rewrap(KEY_ID)
    assert KeyFolder(folder.path, moved.masters[:1]).read(KEY_ID).open("draft:1", blob) == b"text"
