# SPDX-License-Identifier: Apache-2.0
"""Emptying an inbox at OpenSSH's own server."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from adapters.sftp.connecting import Stillness
from adapters.sftp.session import opened
from hub.clock import FixedClock
from hub.errors import AdapterError
from tests.adapters.sftp.openssh import needs_openssh, new_key, sshd
from tests.adapters.sftp.pickups import inbox_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = needs_openssh

TABLE = "标题,内容\r\n停水通知,明日停水\r\n放假通知,国庆放假\r\n".encode("gb18030")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    with sshd(tmp_path_factory.mktemp("sshd")) as environment:
        yield environment


def test_each_row_of_a_file_becomes_a_message_and_is_acknowledged(
    server: Mapping[str, str], tmp_path: Path
) -> None:
    with inbox_at(tmp_path, server) as inbox:
        inbox.put("通知 一.csv", TABLE)
        inbox.look(2)

        assert [question.data for question in inbox.outbox.questions.values()] == [
            {"title": "停水通知", "text": "明日停水"},
            {"title": "放假通知", "text": "国庆放假"},
        ]
        assert inbox.names("inbox") == []
        assert inbox.names("archive") == ["通知 一.csv"]
        assert inbox.names("reports") == []
        inbox.outbox.settle_all()
        time.sleep(0.1)
        inbox.look()

        [name] = inbox.names("reports")
        acknowledged = json.loads((inbox.root / "reports" / name).read_text(encoding="utf-8"))
        assert (name, acknowledged["state"]) == ("通知 一.csv.ack.json", "processed")
        assert acknowledged["sha256"] == hashlib.sha256(TABLE).hexdigest()
        assert (acknowledged["rows"], acknowledged["processed"], acknowledged["refused"]) == (2, 2, 0)
        assert sorted(inbox.outbox.acknowledged) == sorted(inbox.outbox.questions)
    assert not list((tmp_path / "intake").glob("*.file"))


def test_one_bad_row_does_not_hold_up_the_others(server: Mapping[str, str], tmp_path: Path) -> None:
    with inbox_at(tmp_path, server) as inbox:
        inbox.put("a.csv", TABLE + "只有一列\r\n,没有标题\r\n".encode("gb18030") + b"\xff\xff,x\r\n")
        inbox.look(2)
        inbox.outbox.settle_all()
        time.sleep(0.1)
        inbox.look()

        assert len(inbox.outbox.questions) == 2
        rejected = (inbox.root / "reports" / "a.csv.reject.csv").read_text(encoding="utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(rejected)))
        assert [(row["row"], row["line"], row["code"]) for row in rows] == [
            ("3", "4", "adapter.row_unreadable"),
            ("4", "5", "adapter.mapping_failed"),
            ("5", "6", "adapter.row_unreadable"),
        ]
        assert rows[0]["content"] == "只有一列"
        assert rows[0]["reason_zh"]
        assert "没有标题" not in rows[1]["detail"]
        acknowledged = json.loads((inbox.root / "reports" / "a.csv.ack.json").read_bytes())
        assert (acknowledged["state"], acknowledged["refused"]) == ("partly-refused", 3)


def test_a_row_the_contract_refuses_is_told_with_its_code(server: Mapping[str, str], tmp_path: Path) -> None:
    with inbox_at(tmp_path, server) as inbox:
        inbox.put("a.csv", f"标题,内容\r\n{'长' * 201},x\r\n好,x\r\n".encode("gb18030"))
        inbox.look(2)
        inbox.outbox.settle_all()
        time.sleep(0.1)
        inbox.look()

        rejected = (inbox.root / "reports" / "a.csv.reject.csv").read_text(encoding="utf-8-sig")
        assert "contract.request_invalid" in rejected
        assert len(inbox.outbox.questions) == 1


def test_answers_are_written_back_in_the_systems_words(server: Mapping[str, str], tmp_path: Path) -> None:
    response = {"object": {"行号": {"from": "file.row", "type": "integer"}, "结果": "answer.result"}}
    with inbox_at(tmp_path, server, response=response, connection__answers={"encoding": "gb18030"}) as inbox:
        inbox.put("a.csv", TABLE)
        inbox.look(2)
        inbox.outbox.settle_all({"result": "收到"})
        time.sleep(0.1)
        inbox.look()

        written = (inbox.root / "reports" / "a.csv.answers.csv").read_bytes()
        assert written == "row,行号,结果\r\n1,1,收到\r\n2,2,收到\r\n".encode("gb18030")


def test_the_same_content_again_is_put_aside_and_sends_nothing(
    server: Mapping[str, str], tmp_path: Path
) -> None:
    with inbox_at(tmp_path, server) as inbox:
        inbox.put("a.csv", TABLE)
        inbox.look(2)
        inbox.put("b.csv", TABLE)
        inbox.put("a.csv", TABLE)
        inbox.look(2)

        assert len(inbox.outbox.puts) == 2
        assert inbox.names("archive") == ["a.csv", "a.csv.duplicate", "b.csv.duplicate"]
        told = json.loads((inbox.root / "reports" / "b.csv.duplicate.ack.json").read_bytes())
        assert told["state"] == "duplicate"


def test_a_gateway_that_dies_in_between_sends_nothing_twice_and_loses_nothing(
    server: Mapping[str, str], tmp_path: Path
) -> None:
    with inbox_at(tmp_path, server) as inbox:
        inbox.put("a.csv", TABLE)
        inbox.look()
        assert inbox.names("inbox") == ["a.csv"]
        keys = set(inbox.outbox.puts)
    with inbox_at(tmp_path, server) as again:
        again.outbox.results.update(inbox.outbox.results)
        again.look(2)
        assert set(again.outbox.puts) <= keys
        assert again.names("inbox") == []
        assert again.names("archive") == ["a.csv"]


def test_a_file_that_is_still_written_is_left_until_it_is_finished(
    server: Mapping[str, str], tmp_path: Path
) -> None:
    with inbox_at(tmp_path, server, connection__finished={"by": "stable", "calm_seconds": 1.5}) as inbox:
        path = inbox.root / "inbox" / "a.csv"
        for length in (20, 30, len(TABLE)):
            path.write_bytes(TABLE[:length])
            inbox.look()
            assert inbox.outbox.puts == []
        time.sleep(1.6)
        inbox.look()

        assert len(inbox.outbox.puts) == 2


def test_a_file_that_grows_while_it_is_read_is_not_taken(server: Mapping[str, str], tmp_path: Path) -> None:
    with inbox_at(tmp_path, server) as inbox:
        path = inbox.put("a.csv", TABLE)
        with opened(inbox.login, Stillness(10)) as session:
            [(_, seen)] = session.list_folder(f"{inbox.root}/inbox")
            path.write_bytes(TABLE + TABLE)
            with pytest.raises(AdapterError) as caught:
                session.fetch(str(path), tmp_path / "part", seen, lambda: False)

        assert caught.value.code == "adapter.file_unfinished"
        assert not (tmp_path / "part").exists()


def test_names_that_writers_use_meanwhile_are_never_taken(server: Mapping[str, str], tmp_path: Path) -> None:
    with inbox_at(tmp_path, server, connection__pattern="*") as inbox:
        for name in (".a.csv", "a.csv.part", "a.csv.tmp", "~a.csv", "a.csv.sha256"):
            (inbox.root / "inbox" / name).write_bytes(TABLE)
        inbox.look(2)

        assert inbox.outbox.puts == []
        assert len(inbox.names("inbox")) == 5


def test_a_file_waits_for_the_one_that_says_it_is_done(server: Mapping[str, str], tmp_path: Path) -> None:
    with inbox_at(tmp_path, server, connection__finished={"by": "done-file", "calm_seconds": 0}) as inbox:
        inbox.put("a.csv", TABLE)
        inbox.look(2)
        assert inbox.outbox.puts == []
        inbox.put("a.csv.done", b'{"rows": 2}')
        inbox.look(2)

        assert len(inbox.outbox.puts) == 2
        assert inbox.names("archive") == ["a.csv", "a.csv.done"]


def test_a_file_with_another_count_than_stated_is_damaged(server: Mapping[str, str], tmp_path: Path) -> None:
    with inbox_at(tmp_path, server, connection__finished={"by": "done-file", "calm_seconds": 0}) as inbox:
        inbox.put("a.csv", TABLE)
        inbox.put("a.csv.done", b"3")
        inbox.look()
        assert inbox.names("inbox") == ["a.csv", "a.csv.done"]
        time.sleep(0.25)
        inbox.look()

        assert inbox.outbox.puts == []
        assert inbox.names("errors") == ["a.csv", "a.csv.done", "a.csv.reject.json"]
        told = json.loads((inbox.root / "errors" / "a.csv.reject.json").read_bytes())
        assert told["code"] == "adapter.file_damaged"
        assert told["detail"] == "a.csv: it has 2 rows, not 3"


def test_a_manifest_names_what_may_be_taken(server: Mapping[str, str], tmp_path: Path) -> None:
    other = TABLE + "第三,行\r\n".encode("gb18030")
    with inbox_at(tmp_path, server, connection__finished={"by": "manifest", "calm_seconds": 0}) as inbox:
        inbox.put("a.csv", TABLE)
        inbox.put("b.csv", other)
        inbox.look(2)
        assert inbox.outbox.puts == []
        lines = [f"{hashlib.sha256(each).hexdigest()}  {name}\n" for each, name in ((TABLE, "a.csv"),)]
        inbox.put("0.manifest", "".join(lines)[:-20].encode())
        inbox.look(2)
        assert inbox.outbox.puts == []
        inbox.put("0.manifest", "".join(lines).encode())
        inbox.look(3)

        assert len(inbox.outbox.puts) == 2
        assert inbox.names("inbox") == ["b.csv"]
        assert inbox.names("archive") == ["0.manifest", "a.csv"]


def test_a_file_other_than_its_digest_goes_where_people_look_for_it(
    server: Mapping[str, str], tmp_path: Path
) -> None:
    with inbox_at(tmp_path, server) as inbox:
        inbox.put("a.csv.sha256", f"{'0' * 64}  a.csv\n".encode())
        inbox.put("a.csv", TABLE)
        inbox.put("b.csv", TABLE)
        inbox.look()
        time.sleep(0.25)
        inbox.look(2)

        assert inbox.names("errors") == ["a.csv", "a.csv.reject.json", "a.csv.sha256"]
        assert inbox.names("archive") == ["b.csv"]


def test_a_file_of_another_form_goes_where_people_look_for_it(
    server: Mapping[str, str], tmp_path: Path
) -> None:
    with inbox_at(tmp_path, server) as inbox:
        inbox.put("a.csv", b"")
        inbox.put("b.csv", "标题,标题\r\n".encode("gb18030"))
        inbox.look(2)

        assert inbox.names("errors") == ["a.csv", "a.csv.reject.json", "b.csv", "b.csv.reject.json"]


def test_a_required_digest_is_waited_for(server: Mapping[str, str], tmp_path: Path) -> None:
    with inbox_at(tmp_path, server, connection__sidecar="required") as inbox:
        inbox.put("a.csv", TABLE)
        inbox.look(2)
        assert inbox.outbox.puts == []
        inbox.put("a.csv.sha256", hashlib.sha256(TABLE).hexdigest().upper().encode())
        inbox.look(2)
        assert len(inbox.outbox.puts) == 2


def test_a_folder_that_vanished_is_named_and_taken_up_when_it_is_back(
    server: Mapping[str, str], tmp_path: Path
) -> None:
    with inbox_at(tmp_path, server) as inbox:
        (inbox.root / "inbox").rename(inbox.root / "away")
        with pytest.raises(AdapterError) as caught:
            inbox.look()
        assert caught.value.code == "adapter.folder_missing"
        assert caught.value.detail == f"{inbox.root}/inbox is not there"
        (inbox.root / "away").rename(inbox.root / "inbox")
        inbox.put("a.csv", TABLE)
        inbox.look()
        assert len(inbox.outbox.puts) == 2


def test_a_vanished_archive_loses_nothing_and_sends_nothing_twice(
    server: Mapping[str, str], tmp_path: Path
) -> None:
    with inbox_at(tmp_path, server) as inbox:
        (inbox.root / "archive").rmdir()
        inbox.put("a.csv", TABLE)
        inbox.look()
        for _ in range(2):
            with pytest.raises(AdapterError, match="archive is not there"):
                inbox.look()
        assert inbox.names("inbox") == ["a.csv"]
        (inbox.root / "archive").mkdir()
        inbox.look()
        assert inbox.names("archive") == ["a.csv"]
        assert len(inbox.outbox.puts) == 2


def test_another_host_key_is_refused(server: Mapping[str, str], tmp_path: Path) -> None:
    changed = {**server, "SOCIAL_INSURANCE_HOST_KEY": new_key(tmp_path / "else", "ed25519")}
    with inbox_at(tmp_path, changed) as inbox:
        inbox.put("a.csv", TABLE)
        with pytest.raises(AdapterError) as caught:
            inbox.look()

        assert caught.value.code == "adapter.host_key_mismatch"
        assert inbox.names("inbox") == ["a.csv"]


def test_a_server_an_hour_off_is_reported_and_files_are_taken_all_the_same(
    server: Mapping[str, str], tmp_path: Path
) -> None:
    behind = FixedClock(datetime.now(UTC) - timedelta(hours=1))
    stable = {"by": "stable", "calm_seconds": 0.2}
    with (
        capture_logs() as logs,
        inbox_at(tmp_path, server, clock=behind, connection__finished=stable) as inbox,
    ):
        for number in range(2):
            path = inbox.put(f"{number}.csv", TABLE + f"{number},x\r\n".encode())
            ahead = time.time() + 3600
            os.utime(path, (ahead, ahead))
            inbox.look()
            time.sleep(0.25)
            inbox.look(2)
            inbox.outbox.settle_all()
            time.sleep(0.1)
            inbox.look()

        assert inbox.names("reports") == ["0.csv.ack.json", "1.csv.ack.json"]
    [told] = [each for each in logs if each["event"] == "intake.clock_off"]
    assert told["code"] == "adapter.clock_off"
    assert abs(int(told["detail"].split()[5]) - 3600) < 60


def test_a_file_nobody_finishes_is_reported_once(server: Mapping[str, str], tmp_path: Path) -> None:
    done = {"by": "done-file", "calm_seconds": 0}
    with (
        capture_logs() as logs,
        inbox_at(tmp_path, server, connection__finished=done, connection__unfinished_seconds=0.2) as inbox,
    ):
        inbox.put("a.csv", TABLE)
        inbox.look()
        time.sleep(0.25)
        inbox.look(2)

        told = [each for each in logs if each["event"] == "intake.file_unfinished"]
        assert [(each["code"], each["detail"]) for each in told] == [
            ("adapter.file_unfinished", f"{inbox.root}/inbox/a.csv")
        ]


def test_a_long_name_is_kept_and_its_reports_have_a_shorter_one(
    server: Mapping[str, str], tmp_path: Path
) -> None:
    name = "长" * 80 + ".csv"
    with inbox_at(tmp_path, server) as inbox:
        inbox.put("b.csv", b"")
        (inbox.root / "inbox" / name).write_bytes(TABLE)
        inbox.look(2)
        inbox.outbox.settle_all()
        time.sleep(0.1)
        inbox.look()

        assert inbox.names("archive") == [name]
        [report] = inbox.names("reports")
        assert report.startswith("长" * 60)
        assert json.loads((inbox.root / "reports" / report).read_bytes())["file"] == name


def test_what_cannot_be_told_does_not_hold_up_what_comes(server: Mapping[str, str], tmp_path: Path) -> None:
    with inbox_at(tmp_path, server) as inbox:
        inbox.put("a.csv", TABLE)
        inbox.look(2)
        inbox.outbox.settle_all()
        (inbox.root / "reports").rmdir()
        inbox.put("b.csv", TABLE + TABLE)
        time.sleep(0.1)
        with pytest.raises(AdapterError, match="reports is not there"):
            inbox.look()
        assert len(inbox.outbox.puts) == 7
        (inbox.root / "reports").mkdir()
        time.sleep(0.3)
        inbox.look()
        assert inbox.names("reports") == ["a.csv.ack.json"]


def test_a_full_disk_is_told_with_the_file_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    with (
        sshd(folder, before=["prlimit", "--fsize=20000"]) as environment,
        inbox_at(tmp_path, environment) as inbox,
    ):
        rows = "".join(f"标题{number},\r\n" for number in range(2000))
        inbox.put("a.csv", ("标题,内容\r\n" + rows).encode("gb18030"))
        inbox.look(2)
        inbox.outbox.settle_all()
        time.sleep(0.1)
        with pytest.raises(AdapterError) as caught:
            inbox.look()

        assert caught.value.code == "adapter.file_not_written"
        assert f"{inbox.root}/reports/a.csv.reject.csv: failure; its disk has" in caught.value.detail
        assert list((inbox.root / "reports").iterdir()) == []
