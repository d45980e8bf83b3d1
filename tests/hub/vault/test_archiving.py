# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from hub.errors import HubError, VaultError
from hub.vault import ArchivePlaces, ContainerState, KeyId
from hub.vault import archiving as archiving_module
from hub.vault.places import ArchivePlace
from tests.hub.vault.conftest import an_envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from hub.envelope import Envelope
    from hub.vault import Archiver
    from hub.vault.archivestore import ArchiveRow
    from tests.hub.vault.conftest import OpenVault, Records
    from tests.s3 import S3Server

MARCH = KeyId.parse("2026-03_P10Y_1")
MAY = datetime(2026, 5, 2, tzinfo=UTC)
LATER = datetime(2036, 4, 1, tzinfo=UTC)


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(HubError) as refused:
        work()
    return refused.value.code


def in_database(opened: OpenVault) -> int:
    with opened.engine.connect() as connection:
        query = text("SELECT count(*) FROM containers WHERE content IS NOT NULL")
        return int(connection.execute(query).scalar_one())


@pytest.fixture
def kept(opened: OpenVault) -> list[Envelope]:
    """Keep twenty containers in March, five of them for thirty days; it is May now."""
    envelopes = [an_envelope(f"张伟 {number}") for number in range(20)]
    opened.keep(*envelopes[:15])
    opened.keep(*envelopes[15:], retention="P30D")
    opened.clock.move_to(MAY)
    return envelopes


@pytest.fixture
def archiver(opened: OpenVault, kept: list[Envelope]) -> Archiver:
    """Write archives of some five containers."""
    return replace(opened.archiver, part_bytes=5 * len(kept[0].raw))


def archived(archiver: Archiver, place: Path | str) -> Sequence[ArchiveRow]:
    return archiver.archive_month("2026-03", str(place))


def test_a_month_moves_into_archives_and_reads_as_before(
    opened: OpenVault, kept: list[Envelope], archiver: Archiver, tmp_path: Path
) -> None:
    rows = archived(archiver, tmp_path / "archives")
    assert [(str(row.key_id), row.part) for row in rows] == [
        ("2026-03_P10Y_1", 1),
        ("2026-03_P10Y_1", 2),
        ("2026-03_P10Y_1", 3),
        ("2026-03_P30D_1", 1),
    ]
    assert sum(row.containers for row in rows) == 20
    assert in_database(opened) == 0
    for envelope in kept:
        assert opened.again().read(envelope.container_sha256) == envelope.raw
        assert opened.vault.state(envelope.container_sha256) is ContainerState.ARCHIVED
    assert [archiver.verify(row).problem for row in archiver.rows()] == [None] * 4
    assert archiver.waiting(MAY) == ()
    assert list((tmp_path / "archiving").iterdir()) == [], "nothing is left beside the database"


def test_public_tools_check_an_archive_and_find_nothing_in_plain(
    kept: list[Envelope], archiver: Archiver, tmp_path: Path
) -> None:
    records: Records = archiver.evidence  # type: ignore[assignment]
    records.records[kept[0].container_sha256] = b"an evidence record"
    rows = archived(archiver, tmp_path / "archives")
    for row in rows:
        file = tmp_path / "archives" / row.path
        said = subprocess.run(["sha256sum", str(file)], check=True, capture_output=True, text=True).stdout
        assert file.name == f"{row.part:04}-{said.split()[0]}.zip"
        assert "张伟".encode() not in file.read_bytes()
        assert b"META-INF" not in file.read_bytes()
        folder = tmp_path / f"out-{row.sha256}"
        shutil.unpack_archive(file, folder)
        manifest = json.loads((folder / "archive.json").read_bytes())
        assert manifest["key"] == str(row.key_id)
        for each in manifest["containers"]:
            sealed = (folder / "containers" / f"{each['sha256']}.sealed").read_bytes()
            assert hashlib.sha256(sealed).hexdigest() == each["sealed_sha256"]
            assert file.read_bytes()[each["position"] :].startswith(sealed)
    [record] = tmp_path.glob("out-*/evidence/*.ers")
    assert record.read_bytes() == b"an evidence record"


def test_a_month_that_is_not_over_stays(opened: OpenVault, archiver: Archiver, tmp_path: Path) -> None:
    opened.clock.move_to(datetime(2026, 4, 1, 12, tzinfo=UTC))
    assert code_of(lambda: archived(archiver, tmp_path / "archives")) == "vault.key_in_use"
    assert in_database(opened) == 20


def test_destroying_the_key_erases_the_archives_too(
    opened: OpenVault, kept: list[Envelope], archiver: Archiver, tmp_path: Path
) -> None:
    archived(archiver, tmp_path / "archives")
    opened.clock.move_to(LATER)
    opened.eraser.erase(MARCH, reason="plan", by="operator")
    assert code_of(lambda: opened.vault.read(kept[0].container_sha256)) == "vault.erased"
    # What is left still verifies as what was archived, and opens no more.
    reports = [archiver.verify(row) for row in archiver.rows()]
    assert [(report.problem, report.opened) for report in reports] == [(None, False)] * 3 + [(None, True)]


def flip(file: Path, _other: Path) -> None:
    content = bytearray(file.read_bytes())
    content[200] ^= 1
    file.write_bytes(content)


def cut(file: Path, _other: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def swap(file: Path, other: Path) -> None:
    shutil.copy(other, file)


def lose(file: Path, _other: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (flip, "vault.archive_damaged"),
        (cut, "vault.archive_damaged"),
        (swap, "vault.archive_damaged"),
        (lose, "vault.archive_missing"),
    ],
)
def test_a_tampered_archive_is_named_and_the_others_are_not(
    archiver: Archiver, tmp_path: Path, tamper: Callable[[Path, Path], None], code: str
) -> None:
    rows = archived(archiver, tmp_path / "archives")
    tamper(tmp_path / "archives" / rows[1].path, tmp_path / "archives" / rows[0].path)
    for with_key in (True, False):
        problems = [archiver.verify(row, with_key=with_key).problem for row in archiver.rows()]
        assert [each is None for each in problems] == [True, False, True, True]
        assert str(problems[1]).startswith(code)


def rebuilt(file: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write an archive anew with other members, under the name its new digest gives."""
    import zipfile

    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    made = file.with_name("made.zip")
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    return made.rename(file.with_name(f"{file.name[:4]}-{digest}.zip"))


def drop_a_container(members: dict[str, bytes]) -> None:
    del members[min(members)]


def add_a_container(members: dict[str, bytes]) -> None:
    members["containers/" + "0" * 64 + ".sealed"] = b"x"


def change_a_container(members: dict[str, bytes]) -> None:
    name = min(members)
    members[name] = members[name][:-1] + bytes([members[name][-1] ^ 1])


def leave_a_container_out_of_the_manifest(members: dict[str, bytes]) -> None:
    manifest = json.loads(members["archive.json"])
    dropped = manifest["containers"].pop()
    del members[f"containers/{dropped['sha256']}.sealed"]
    members["archive.json"] = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()


def say_another_key(members: dict[str, bytes]) -> None:
    members["archive.json"] = members["archive.json"].replace(b"2026-03_P10Y_1", b"2026-03_P10Y_2")


def sign_by_nobody(members: dict[str, bytes]) -> None:
    members["archive.note"] = members["archive.note"].split("\n— ".encode())[0] + b"\n"


@pytest.mark.parametrize(
    "change",
    [
        drop_a_container,
        add_a_container,
        change_a_container,
        leave_a_container_out_of_the_manifest,
        say_another_key,
        sign_by_nobody,
        lambda members: members.pop("archive.json"),
        lambda members: members.pop("archive.note"),
    ],
)
def test_an_archive_made_anew_by_a_stranger_does_not_verify_under_any_name(
    archiver: Archiver, tmp_path: Path, change: Callable[[dict[str, bytes]], None]
) -> None:
    rows = archived(archiver, tmp_path / "archives")
    made = rebuilt(tmp_path / "archives" / rows[0].path, change)
    for with_key in (True, False):
        report = archiver.verify_elsewhere(str(made), with_key=with_key)
        assert str(report.problem).startswith("vault.archive_damaged")
    untouched = rebuilt(tmp_path / "archives" / rows[1].path, lambda _members: None)
    assert archiver.verify_elsewhere(str(untouched)).problem is None


def test_an_archive_of_another_part_or_key_in_its_place_is_noticed_by_the_database(
    opened: OpenVault, archiver: Archiver, tmp_path: Path
) -> None:
    rows = archived(archiver, tmp_path / "archives")
    # The name says its own digest, the signature holds; only the database knows which one belongs here.
    swap_rows = text("UPDATE vault_archives SET path = :path WHERE number = :number")
    opened.writer.run(
        lambda connection: connection.execute(swap_rows, {"path": rows[1].path, "number": rows[0].number})
    )
    assert str(archiver.verify(archiver.rows()[0]).problem).startswith("vault.archive_damaged")


def test_reading_takes_a_range_and_a_changed_range_does_not_open(
    opened: OpenVault, kept: list[Envelope], archiver: Archiver, tmp_path: Path
) -> None:
    rows = archived(archiver, tmp_path / "archives")
    sha256 = kept[0].container_sha256
    with opened.engine.connect() as connection:
        query = text("SELECT archive, position FROM containers WHERE sha256 = :wanted")
        number, position = connection.execute(query, {"wanted": sha256}).one()
    file = tmp_path / "archives" / next(row.path for row in rows if row.number == number)
    whole = file.read_bytes()
    content = bytearray(whole)
    content[position + 40] ^= 1
    file.write_bytes(content)
    assert code_of(lambda: opened.vault.read(sha256)) == "vault.damaged"
    file.write_bytes(whole[: position + 10])
    assert code_of(lambda: opened.vault.read(sha256)) in {"vault.damaged", "vault.archive_unreachable"}
    file.unlink()
    assert code_of(lambda: opened.vault.read(sha256)) == "vault.archive_missing"


def test_a_run_that_was_cut_off_while_rows_moved_is_taken_up(
    opened: OpenVault,
    kept: list[Envelope],
    archiver: Archiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archiving_module, "MOST_ROWS_AT_A_TIME", 2)
    moved: list[int] = []

    def stop_soon(rows: int) -> None:
        moved.append(rows)
        if len(moved) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        archiver.archive_month("2026-03", str(tmp_path / "archives"), told=stop_soon)
    assert in_database(opened) == 16
    assert all(opened.vault.read(each.container_sha256) == each.raw for each in kept)
    rows = archived(archiver, tmp_path / "archives")
    assert in_database(opened) == 0
    assert [row.part for row in archiver.rows()] == [1, 2, 3, 1]
    assert len(rows) == 3, "the first one was there already"
    assert all(opened.vault.read(each.container_sha256) == each.raw for each in kept)
    assert [archiver.verify(row).problem for row in archiver.rows()] == [None] * 4


def test_an_archive_that_was_written_and_never_entered_is_taken_over_and_rubbish_is_left_alone(
    opened: OpenVault, kept: list[Envelope], archiver: Archiver, tmp_path: Path
) -> None:
    first = archived(archiver, tmp_path / "archives")
    # As after a crash before anything was entered: the database of before, the files of after.
    restored = text(
        "UPDATE containers SET archive = NULL, position = NULL, content = :content WHERE sha256 = :sha256"
    )
    key = opened.vault.key(MARCH)
    short = opened.vault.key(KeyId.parse("2026-03_P30D_1"))
    for number, envelope in enumerate(kept):
        sealed = (key if number < 15 else short).seal(f"container:{envelope.container_sha256}", envelope.raw)
        values = {"content": sealed, "sha256": envelope.container_sha256}
        opened.writer.run(lambda connection, values=values: connection.execute(restored, values))  # type: ignore[misc]
    opened.writer.run(lambda connection: connection.execute(text("DELETE FROM vault_archives")))
    rubbish = tmp_path / "archives" / str(MARCH) / f"0009-{'0' * 64}.zip"
    rubbish.write_bytes(b"half an upload")
    assert archived(archiver, tmp_path / "archives") == ()
    assert sorted(row.path for row in archiver.rows()) == sorted(row.path for row in first)
    assert in_database(opened) == 0
    assert all(opened.vault.read(each.container_sha256) == each.raw for each in kept)
    assert rubbish.exists()


def test_nothing_leaves_the_database_for_an_archive_that_cannot_be_proven(
    opened: OpenVault, archiver: Archiver, tmp_path: Path
) -> None:
    class Careless(ArchivePlace):
        """A disk that loses a byte."""

        def read(self, path: str) -> bytes:
            return super().read(path)[:-1]

    url = str(tmp_path / "archives")
    place = archiver.vault.places.open(url)
    careless = Careless(url, place._store)  # noqa: SLF001 (the same folder)
    archiver.vault.places._opened[url] = careless  # noqa: SLF001 (no real disk fails on demand)
    assert code_of(lambda: archived(archiver, tmp_path / "archives")) == "vault.archive_damaged"
    assert in_database(opened) == 20
    assert archiver.rows() == ()


def test_one_process_archives_at_a_time(archiver: Archiver, tmp_path: Path) -> None:
    with archiver._alone():  # noqa: SLF001 (what another process holds)
        assert code_of(lambda: archived(archiver, tmp_path / "archives")) == "vault.archiving"


def test_messages_go_on_while_a_month_is_archived_and_wait_for_one_portion_at_most(
    opened: OpenVault, archiver: Archiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving_module, "MOST_ROWS_AT_A_TIME", 2)
    portions: list[int] = []
    waited: list[int] = []
    pending: list[Future[None]] = []

    def told(moved: int) -> None:
        portions.append(moved)
        envelope, begun = an_envelope(f"fresh {len(portions)}"), len(portions)
        future = opened.writer.submit(lambda connection: opened.vault.keep(connection, envelope))
        future.add_done_callback(lambda _done: waited.append(len(portions) - begun))
        pending.append(future)

    run = threading.Thread(
        target=lambda: archiver.archive_month("2026-03", str(tmp_path / "archives"), told=told)
    )
    run.start()
    run.join(timeout=60)
    for future in pending:
        future.result(timeout=10)
    assert sum(portions) == 20
    assert max(portions) <= 2
    assert max(waited) <= 1


def test_a_longer_retention_takes_a_container_out_of_its_archive(
    opened: OpenVault, kept: list[Envelope], archiver: Archiver, tmp_path: Path
) -> None:
    archived(archiver, tmp_path / "archives")
    opened.keep(kept[0], retention="permanent")
    assert opened.vault.state(kept[0].container_sha256) is ContainerState.KEPT
    opened.clock.move_to(LATER)
    opened.eraser.erase(MARCH, reason="plan", by="operator")
    assert opened.vault.read(kept[0].container_sha256) == kept[0].raw


def test_archives_go_to_an_object_store_and_come_back_in_ranges(
    opened: OpenVault, kept: list[Envelope], archiver: Archiver, s3: S3Server, tmp_path: Path
) -> None:
    vault = opened.again()
    vault.places = ArchivePlaces(s3.access())
    archiver = replace(archiver, vault=vault)
    rows = archived(archiver, "s3://archives/hub")
    assert in_database(opened) == 0
    assert all(vault.read(each.container_sha256) == each.raw for each in kept)
    assert [archiver.verify(row).problem for row in archiver.rows()] == [None] * 4
    assert archiver.verify_elsewhere(f"s3://archives/hub/{rows[0].path}").problem is None
    # The store's copy is changed by somebody who may write there.
    place = vault.places.open("s3://archives/hub")
    changed = tmp_path / "changed.zip"
    changed.write_bytes(place.read(rows[0].path)[:-1])
    place.put(rows[0].path, changed)
    assert str(archiver.verify(rows[0]).problem).startswith("vault.archive_damaged")


def test_a_wrong_key_for_the_object_store_is_refused_and_shown_nowhere(
    opened: OpenVault, archiver: Archiver, s3: S3Server, capfd: pytest.CaptureFixture[str]
) -> None:
    vault = opened.again()
    vault.places = ArchivePlaces(s3.access("a wrong secret 91c2"))
    with pytest.raises(VaultError) as refused:
        archived(replace(archiver, vault=vault), "s3://archives/other")
    assert refused.value.code == "vault.archive_unreachable"
    shown = [str(refused.value), repr(vault.places), repr(vault.places.open("s3://archives/other"))]
    shown += [*capfd.readouterr(), repr(refused.value.__cause__), repr(refused.value.__context__)]
    assert not [each for each in shown if "91c2" in each]
    assert in_database(opened) == 20


@pytest.mark.parametrize(
    "url",
    [
        "s3://user:secret@archives/hub",
        "s3:///hub",
        "https://archives.example/hub",
        "s3://archives/hub?key=secret",
        "file://elsewhere/archives",
    ],
)
def test_what_is_no_place_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(VaultError) as refused:
        ArchivePlaces().open(url)
    assert refused.value.code == "vault.archive_place_invalid"
    assert "secret" not in str(refused.value)
