# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from adapters.configuration import load_intakes
from adapters.intakes import IntakeParts
from adapters.queuestore import Queued, QueuedState
from hub.clock import FixedClock
from hub.errors import AdapterError, ContractError, HubError
from hub.identifiers import MessageId, SubsystemId, new_message_id
from tests.adapters.running import TODAY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from adapters.hubclient import HubClient, Question
    from adapters.intakes import Intake
    from tests.adapters.tables.departments import DepartmentDatabase

NEVER = threading.Event()


class PowerCutError(Exception):
    """The machine stops here."""


@dataclass
class RecordingQueue:
    """The gateway's queue as an intake sees it: durable, and each key once."""

    messages: dict[str, Queued] = field(default_factory=dict)
    data: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    acknowledged: list[str] = field(default_factory=list)
    unfit: str | None = None
    cut_at: int | None = None
    error: HubError | None = None

    def put(self, key: str, question: Question, *, origin: str, sender: SubsystemId) -> MessageId:
        assert (origin, sender) == ("changes", "13510108MB1A00003J/register")
        if key not in self.messages:
            if self.error is not None:
                raise self.error
            if question.data["name"] == self.unfit:
                raise ContractError("contract.request_invalid", "/name: is not as agreed")
            if self.cut_at is not None and len(self.messages) >= self.cut_at:
                raise PowerCutError
            number = new_message_id(TODAY)
            self.messages[key] = Queued(
                key=key,
                origin=origin,
                message_id=number,
                state=QueuedState.WAITING,
                code=None,
                detail="",
                answer=None,
            )
            self.data[key] = question.data
        return self.messages[key].message_id

    def state_of(self, key: str) -> Queued | None:
        return self.messages.get(key)

    def acknowledge(self, key: str) -> None:
        self.acknowledged.append(key)

    def end(self, name: str, state: QueuedState, **what: Any) -> Queued:
        """Let the last message about somebody end."""
        from dataclasses import replace

        [*_, key] = [key for key, data in self.data.items() if data["name"] == name]
        self.messages[key] = replace(self.messages[key], state=state, **what)
        return self.messages[key]

    @property
    def names(self) -> list[str]:
        return [data["name"] for data in self.data.values()]


FLAG: dict[str, Any] = {"flag": {"column": "is_sync"}}
RESULT: dict[str, Any] = {
    "result": {
        "table": "jgb",
        "message_id": "xxbh",
        "state": "zt",
        "code": "dm",
        "detail": "sm",
        "at": "sj",
        "key": {"lsh": "lsh"},
    }
}
MARK: dict[str, Any] = {"watermark": {"column": "gxsj"}}


def make_outbox(department: DepartmentDatabase, rows: int = 3) -> None:
    instant = "TIMESTAMP" if department.engine == "postgresql" else "DATETIME"
    department.run(
        "CREATE TABLE fsb (lsh INTEGER PRIMARY KEY, xm VARCHAR(20), gxsj "
        f"{instant}, is_sync VARCHAR(2) DEFAULT '0' NOT NULL, wgbh VARCHAR(40))",
        f"CREATE TABLE jgb (xxbh VARCHAR(80) PRIMARY KEY, lsh INTEGER, zt VARCHAR(20), dm VARCHAR(60), "
        f"sm VARCHAR(12), sj {instant}, jg VARCHAR(20))",
    )
    for number in range(1, rows + 1):
        add_row(department, number)


def add_row(department: DepartmentDatabase, number: int, *, at: str = "2026-09-01 08:00:00") -> None:
    department.run(
        "INSERT INTO fsb (lsh, xm, gxsj) VALUES (:number, :name, :at)",
        number=number,
        name=f"P{number}",
        at=at,
    )


def flags(department: DepartmentDatabase) -> list[str]:
    return [flag for (flag,) in department.run("SELECT is_sync FROM fsb ORDER BY lsh")]


def describe(department: DepartmentDatabase, folder: Path, **connection: Any) -> Path:
    described = {
        "id": "changes",
        "kind": "table",
        "service": "13510108MB1A00003J/register/disability-certificate",
        "contract": "disability-certificate/v1",
        "subsystem": "13510108MB1A00003J/register",
        "purpose": {"item": "1", "case": "2", "legal_basis": "3", "official": "4", "post": "5"},
        "connection": {**department.connection, "table": "fsb", **connection},
        "request": {"object": {"name": "row.xm", "number": {"from": "row.lsh", "type": "integer"}}},
        "response": {"object": {"jg": "answer.result"}},
    }
    path = folder / "intakes.yaml"
    path.write_text(yaml.safe_dump({"intakes": [described]}, allow_unicode=True), encoding="utf-8")
    return path


@contextmanager
def intake_of(
    department: DepartmentDatabase,
    folder: Path,
    queue: RecordingQueue,
    *,
    gateway: str = "gateway",
    now: datetime = TODAY,
    **connection: Any,
) -> Iterator[Intake]:
    path = describe(department, folder, **connection)
    [configured] = load_intakes(path, clock=FixedClock(now), environment=department.environment)
    parts = IntakeParts(
        outgoing=queue, client=cast("HubClient", None), contracts={}, folder=folder / gateway / "changes"
    )
    intake = configured.build(configured.entry, parts)
    try:
        yield intake
    finally:
        intake.close()


def test_rows_with_a_flag_are_sent_in_order_and_marked(
    department: DepartmentDatabase, tmp_path: Path
) -> None:
    make_outbox(department)
    queue = RecordingQueue()
    with intake_of(department, tmp_path, queue, **FLAG, **RESULT, batch_rows=2) as intake:
        intake.look(NEVER)
        assert (queue.names, flags(department)) == (["P1", "P2", "P3"], ["2", "2", "2"])
        queue.end("P1", QueuedState.PROCESSED, answer={"result": "entered"})
        queue.end(
            "P2", QueuedState.REFUSED, code="exchange.not_authorised", detail="longer than the column is"
        )
        intake.look(NEVER)
        intake.look(NEVER)

    assert flags(department) == ["1", "9", "2"]
    assert len(queue.names) == 3
    assert department.run("SELECT lsh, zt, dm, sm, jg FROM jgb ORDER BY lsh") == [
        (1, "processed", None, None, "entered"),
        (2, "refused", "exchange.not_authorised", "longer than ", None),
    ]
    assert len(queue.acknowledged) == 2


def test_one_row_that_does_not_fit_keeps_none_of_the_others(
    department: DepartmentDatabase, tmp_path: Path
) -> None:
    make_outbox(department)
    department.run("UPDATE fsb SET xm = NULL WHERE lsh = 1")
    queue = RecordingQueue(unfit="P2")
    with intake_of(department, tmp_path, queue, **FLAG, **RESULT) as intake:
        intake.look(NEVER)
        assert (queue.names, flags(department)) == (["P3"], ["9", "9", "2"])
        # Corrected rows are sent as any other.
        department.run("UPDATE fsb SET xm = 'P1', is_sync = '0' WHERE lsh = 1")
        intake.look(NEVER)

    assert queue.names == ["P3", "P1"]
    assert [row[:2] for row in department.run("SELECT lsh, dm FROM jgb ORDER BY lsh")] == [
        (1, "adapter.mapping_failed"),
        (2, "contract.request_invalid"),
    ]


@pytest.mark.parametrize("cut_at", [0, 1, 2])
def test_a_power_cut_between_two_steps_loses_nothing_and_repeats_nothing(
    department: DepartmentDatabase, tmp_path: Path, cut_at: int
) -> None:
    make_outbox(department)
    queue = RecordingQueue(cut_at=cut_at)
    with intake_of(department, tmp_path, queue, **FLAG) as intake, pytest.raises(PowerCutError):
        intake.look(NEVER)
    queue.cut_at = None
    with intake_of(department, tmp_path, queue, **FLAG) as intake:
        intake.look(NEVER)
        for name in ("P1", "P2", "P3"):
            queue.end(name, QueuedState.PROCESSED)
        intake.look(NEVER)

    assert (sorted(queue.names), flags(department)) == (["P1", "P2", "P3"], ["1", "1", "1"])


def test_a_queue_that_is_full_is_waited_for(department: DepartmentDatabase, tmp_path: Path) -> None:
    make_outbox(department)
    queue = RecordingQueue(error=AdapterError("adapter.queue_full", "100000 wait"))
    with intake_of(department, tmp_path, queue, **FLAG) as intake:
        with pytest.raises(AdapterError):
            intake.look(NEVER)
        assert flags(department) == ["2", "2", "2"]
        queue.error = None
        intake.look(NEVER)

    assert queue.names == ["P1", "P2", "P3"]


def test_a_row_that_waits_again_is_sent_again_only_when_it_changed_or_was_refused(
    department: DepartmentDatabase, tmp_path: Path
) -> None:
    make_outbox(department)
    queue = RecordingQueue()
    with intake_of(department, tmp_path, queue, **FLAG) as intake:
        intake.look(NEVER)
        queue.end("P1", QueuedState.PROCESSED)
        queue.end("P2", QueuedState.REFUSED, code="exchange.not_authorised")
        queue.end("P3", QueuedState.PROCESSED)
        intake.look(NEVER)
        department.run("UPDATE fsb SET is_sync = '0'")
        department.run("UPDATE fsb SET gxsj = '2026-09-02 08:00:00' WHERE lsh = 3")
        intake.look(NEVER)
        assert queue.names == ["P1", "P2", "P3", "P2", "P3"]
        intake.look(NEVER)
        assert flags(department) == ["1", "2", "2"]
        queue.end("P2", QueuedState.PROCESSED)
        intake.look(NEVER)

    assert flags(department) == ["1", "1", "2"]


def test_two_gateways_at_one_table_share_its_rows(department: DepartmentDatabase, tmp_path: Path) -> None:
    make_outbox(department, rows=40)
    queues = [RecordingQueue(), RecordingQueue()]
    settings: dict[str, Any] = {"flag": {"column": "is_sync", "taken_by": "wgbh"}, "batch_rows": 3}
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with intake_of(department, tmp_path / str(number), queues[number], **settings) as intake:
                for _ in range(4):
                    intake.look(NEVER)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    for number in range(2):
        (tmp_path / str(number)).mkdir()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not [error for error in failures if not (isinstance(error, HubError) and error.is_retryable)]
    names = queues[0].names + queues[1].names
    assert len(names) == len(set(names))
    assert len(names) == len([flag for flag in flags(department) if flag == "2"])


def test_a_watermark_leaves_the_table_alone_and_sends_each_row_once(
    department: DepartmentDatabase, tmp_path: Path
) -> None:
    make_outbox(department, rows=5)
    before = department.run("SELECT * FROM fsb ORDER BY lsh")
    queue = RecordingQueue()
    for _ in range(2):
        with intake_of(department, tmp_path, queue, **MARK, batch_rows=2) as intake:
            intake.look(NEVER)
            intake.look(NEVER)
    assert queue.names == ["P1", "P2", "P3", "P4", "P5"]
    assert department.run("SELECT * FROM fsb ORDER BY lsh") == before
    with intake_of(department, tmp_path, queue, **MARK, batch_rows=2) as intake:
        add_row(department, 6, at="2026-09-01 09:00:00")
        # It was numbered before the last one, and committed after it.
        add_row(department, 7, at="2026-09-01 08:57:00")
        department.run("UPDATE fsb SET gxsj = '2026-09-01 08:59:00' WHERE lsh = 2")
        intake.look(NEVER)
        add_row(department, 8, at="2026-09-01 08:58:00")
        intake.look(NEVER)

    assert queue.names == ["P1", "P2", "P3", "P4", "P5", "P7", "P2", "P6", "P8"]


def test_a_sequence_may_be_the_watermark_and_begin_where_it_should(
    department: DepartmentDatabase, tmp_path: Path
) -> None:
    make_outbox(department, rows=5)
    queue = RecordingQueue(unfit="P4")
    mark: dict[str, Any] = {"watermark": {"column": "lsh", "start": 2, "overlap": 10}}
    with intake_of(department, tmp_path, queue, **mark, **RESULT) as intake:
        for _ in range(3):
            intake.look(NEVER)
        queue.end("P5", QueuedState.PROCESSED, answer={"result": "entered"})
        intake.look(NEVER)

    # The overlap reaches back behind the start, which only says where it began.
    assert [name for name in queue.names if name in {"P3", "P5"}] == ["P3", "P5"]
    assert department.run("SELECT lsh, zt, jg FROM jgb ORDER BY lsh") == [
        (4, "refused", None),
        (5, "processed", "entered"),
    ]


def test_what_is_done_is_cleaned_up_and_nothing_else(department: DepartmentDatabase, tmp_path: Path) -> None:
    make_outbox(department, rows=0)
    for number, flag in enumerate(("0", "1", "2", "9", "1", "1"), start=1):
        at = "2026-09-14 08:00:00" if number == 6 else "2026-01-01 08:00:00"
        add_row(department, number, at=at)
        department.run("UPDATE fsb SET is_sync = :flag WHERE lsh = :number", flag=flag, number=number)
    rule: dict[str, Any] = {"column": "gxsj", "after_days": 30, "batch_rows": 1}
    queue = RecordingQueue()
    with intake_of(department, tmp_path, queue, **FLAG, clean_up=rule) as intake:
        intake.look(NEVER)
        assert len(flags(department)) == 5
        intake.look(NEVER)
        intake.look(NEVER)
    assert [lsh for (lsh,) in department.run("SELECT lsh FROM fsb ORDER BY lsh")] == [1, 3, 4, 6]
    with intake_of(department, tmp_path, queue, **FLAG, clean_up={**rule, "most_rows": 0}) as intake:
        intake.look(NEVER)

    assert [lsh for (lsh,) in department.run("SELECT lsh FROM fsb ORDER BY lsh")] == [1, 3, 4]


def test_an_answer_that_does_not_fit_the_departments_words_is_said_and_not_tried_for_ever(
    department: DepartmentDatabase, tmp_path: Path
) -> None:
    make_outbox(department, rows=2)
    queue = RecordingQueue()
    with intake_of(department, tmp_path, queue, **FLAG, **RESULT) as intake:
        intake.look(NEVER)
        queue.end("P1", QueuedState.PROCESSED, answer={"other": "words"})
        queue.end("P2", QueuedState.PROCESSED, answer={"result": "entered"})
        intake.look(NEVER)

    assert flags(department) == ["9", "1"]
    assert department.run("SELECT dm FROM jgb WHERE lsh = 1") == [("adapter.mapping_failed",)]


def test_a_table_without_a_key_has_to_name_one(department: DepartmentDatabase, tmp_path: Path) -> None:
    department.run("CREATE TABLE fsb (lsh INTEGER, xm VARCHAR(20), is_sync INTEGER)")
    department.run("INSERT INTO fsb VALUES (1, 'P1', 0)")
    queue = RecordingQueue()
    with (
        intake_of(department, tmp_path, queue, **FLAG) as intake,
        pytest.raises(AdapterError, match="no primary key"),
    ):
        intake.look(NEVER)
    with intake_of(department, tmp_path, queue, **FLAG, key=["lsh"]) as intake:
        intake.look(NEVER)

    assert queue.names == ["P1"]


@pytest.mark.parametrize(
    "connection",
    [
        {},
        {**FLAG, **MARK},
        {"flag": {"column": "is_sync", "done": 0}},
        {**MARK, "clean_up": {"column": "gxsj", "after_days": 3}},
        {**FLAG, "unknown": 1},
    ],
)
def test_a_description_that_does_not_make_sense_is_refused(
    tmp_path: Path, connection: dict[str, Any]
) -> None:
    from tests.adapters.tables.departments import DepartmentDatabase

    department = DepartmentDatabase("sqlite", {"engine": "sqlite", "file": str(tmp_path / "x.sqlite")})
    with (
        pytest.raises(AdapterError) as caught,
        intake_of(
            department, tmp_path, RecordingQueue(), now=datetime(2026, 9, 15, tzinfo=UTC), **connection
        ),
    ):
        pass
    assert caught.value.code == "adapter.configuration_invalid"
