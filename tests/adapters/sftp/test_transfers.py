# SPDX-License-Identifier: Apache-2.0
"""Large files, many files and cut connections, against OpenSSH's own server.

`HELIOGRAPH_SFTP_BYTES=1073741824` runs the large one with 1 GiB; `make large` does.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from adapters.sftp.connecting import Stillness
from adapters.sftp.session import opened
from hub.demo.preparation import PROJECT
from hub.errors import AdapterError
from tests.adapters.bulk.gateway import write_data
from tests.adapters.sftp.openssh import needs_openssh, sshd
from tests.adapters.sftp.pickups import description, inbox_at
from tests.journeys.cutting import Relay, relaying

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = needs_openssh

SIZE = int(os.environ.get("HELIOGRAPH_SFTP_BYTES", str(96 * 1024 * 1024)))
MOST_KIB = 200_000_000 // 1024
CUTS = 10
SMALL_FILES = 2000
CUT_CODES = {"adapter.system_unreachable", "adapter.system_timeout"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    with sshd(tmp_path_factory.mktemp("sshd")) as environment:
        yield environment


def digest_of(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def test_a_large_file_goes_both_ways_in_little_memory(server: Mapping[str, str], tmp_path: Path) -> None:
    root = tmp_path / "exchange"
    (root / "inbox").mkdir(parents=True)
    digest = write_data(root / "inbox" / "big.bin", SIZE, 3)
    told = subprocess.run(
        [sys.executable, "-m", "tests.adapters.sftp.transfer", str(description(tmp_path, root)), "big.bin"],
        check=True,
        capture_output=True,
        cwd=PROJECT,
        env={**os.environ, **server},
    )
    said = json.loads(told.stdout)

    assert said["sha256"] == digest
    assert digest_of(root / "inbox" / "back.bin") == digest
    assert [path.name for path in (root / "inbox").iterdir() if path.name.startswith(".")] == []
    assert said["peak_kib"] < MOST_KIB, said


def test_a_connection_cut_ten_times_brings_a_file_here_whole_and_once(
    server: Mapping[str, str], tmp_path: Path
) -> None:
    luck = random.Random(11)  # noqa: S311 - the same cuts every time
    relay = Relay(int(server["SOCIAL_INSURANCE_PORT"]), luck, CUTS, 9_000)
    cut = {**server, "SOCIAL_INSURANCE_PORT": str(relay.port)}
    rows = "".join(f"标题{number},{'内' * 9000}\r\n" for number in range(600))
    content = ("标题,内容\r\n" + rows).encode("gb18030")
    with relaying(relay), inbox_at(tmp_path, cut) as inbox:
        inbox.put("a.csv", content)
        tries = 0
        codes: set[str] = set()
        while inbox.names("archive") != ["a.csv"] or relay.cuts_left:
            tries += 1
            assert tries < 60
            try:
                inbox.look()
            except AdapterError as error:
                codes.add(error.code)

        assert codes <= CUT_CODES
        assert relay.cuts == CUTS
        assert inbox.names("inbox") == []
        assert len(inbox.outbox.puts) == len(set(inbox.outbox.puts)) == 600
        assert {key.split("/")[1] for key in inbox.outbox.puts} == {hashlib.sha256(content).hexdigest()}


def test_a_connection_cut_ten_times_leaves_a_published_file_whole_and_nothing_else(
    server: Mapping[str, str], tmp_path: Path
) -> None:
    size = 40 * 1024 * 1024
    luck = random.Random(12)  # noqa: S311 - the same cuts every time
    relay = Relay(int(server["SOCIAL_INSURANCE_PORT"]), luck, CUTS, size // 8)
    cut = {**server, "SOCIAL_INSURANCE_PORT": str(relay.port)}
    digest = write_data(tmp_path / "out.bin", size, 4)
    with relaying(relay), inbox_at(tmp_path, cut) as inbox:
        is_there = False
        codes: set[str] = set()
        meanwhile: set[str] = set()
        for _ in range(40):
            try:
                with opened(inbox.login, Stillness(20)) as session:
                    session.publish_file(
                        f"{inbox.root}/reports", "out.bin", tmp_path / "out.bin", sha256=digest
                    )
                is_there = True
                break
            except AdapterError as error:
                codes.add(error.code)
                meanwhile.update(inbox.names("reports"))

        assert is_there
        assert codes <= CUT_CODES
        # Nobody ever saw it half-written: until it was whole it had one hidden name.
        assert len(meanwhile) == 1
        assert meanwhile.pop().startswith(".")
        assert relay.cuts >= 5
        # What was cut off was gone on with: far less passed than a new beginning each time would take.
        assert relay.passed < 2 * size
        assert inbox.names("reports") == ["out.bin"]
        assert digest_of(inbox.root / "reports" / "out.bin") == digest


def test_two_thousand_small_files_come_in_each_once(server: Mapping[str, str], tmp_path: Path) -> None:
    with inbox_at(tmp_path, server) as inbox:
        for number in range(SMALL_FILES):
            path = inbox.root / "inbox" / f"{number:04}.csv"
            path.write_bytes(f"标题,内容\r\n第{number}号,x\r\n".encode("gb18030"))
        inbox.look(2)

        titles = [question.data["title"] for question in inbox.outbox.questions.values()]
        assert sorted(titles) == sorted(f"第{number}号" for number in range(SMALL_FILES))
        assert len(inbox.outbox.puts) == SMALL_FILES
        assert inbox.names("inbox") == []
        assert len(inbox.names("archive")) == SMALL_FILES


def test_a_gateway_that_stops_leaves_off_and_goes_on_later(server: Mapping[str, str], tmp_path: Path) -> None:
    rows = "".join(f"标题{number},{'内' * 4000}\r\n" for number in range(1000))
    with inbox_at(tmp_path, server) as inbox:
        inbox.put("a.csv", ("标题,内容\r\n" + rows).encode("gb18030"))
        stopped = threading.Event()
        stopped.set()
        inbox.intake.look(stopped)
        assert inbox.outbox.puts == []
        inbox.look(2)

        assert len(inbox.outbox.puts) == 1000
        assert inbox.names("archive") == ["a.csv"]
