# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from adapters.ports import DeferredError
from hub.errors import AdapterError
from tests.adapters.running import call_of, free_port, only_adapter, wait_until
from tests.adapters.tables.departments import ROWS, DepartmentDatabase, department_database

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.configuration import ConfiguredAdapter
    from tests.mariadb import MariaDbServer

ALL: dict[str, Any] = {
    "object": {
        "rows": {"from": "answer.rows", "type": "any"},
        "count": {"from": "answer.count", "type": "any"},
    }
}
BY_PERSON: dict[str, Any] = {
    "request": {"object": {"zjhm": {"from": "request.person_ids", "type": "any"}}},
    "response": ALL,
}
NOTHING_ASKED: dict[str, Any] = {"request": {"object": {}}, "response": ALL}
FIRST, SECOND = ROWS[0]["zjhm"], ROWS[1]["zjhm"]


def ask(configured: ConfiguredAdapter, person_ids: Any, *, seconds: float = 10.0) -> Any:
    call = call_of(configured, timeout_seconds=seconds)
    return configured.adapter.answer({"person_ids": person_ids}, call).data


def refusal(configured: ConfiguredAdapter, person_ids: object, *, seconds: float = 10.0) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        ask(configured, person_ids, seconds=seconds)
    return caught.value


def test_a_table_answers_without_any_sql_in_the_description(
    department: DepartmentDatabase, tmp_path: Path
) -> None:
    department.fill()
    path = department.describe(
        tmp_path, BY_PERSON, table="cjr_zsxx", by=["zjhm"], order_by=["lsh"], trim=True
    )
    with only_adapter(path, department.environment) as configured:
        one, both = ask(configured, FIRST), ask(configured, [FIRST, SECOND])
        nobody, nothing = ask(configured, "510108000000000000"), ask(configured, [])

    assert one["rows"] == [
        {
            "lsh": 1,
            "zjhm": FIRST,
            "xm": "陈秀英",
            "dj": 2,
            "je": "1200.50",
            "yxqz": "2031-05-31",
            "gxsj": "2026-03-01T08:00:00+08:00",
            "zp": "AP8=",
            "zt": "01",
        }
    ]
    assert [row["xm"] for row in both["rows"]] == ["陈秀英", "O'Brien", "李伟"]
    assert nobody == nothing == {"count": 0, "rows": []}


def test_a_query_answers_with_parameters_and_lists(department: DepartmentDatabase, tmp_path: Path) -> None:
    department.fill()
    query = (
        "SELECT xm AS name, je AS sum FROM cjr_zsxx WHERE zjhm IN :zjhm AND lsh >= :from_number ORDER BY lsh"
    )
    request = {"object": {**BY_PERSON["request"]["object"], "from_number": {"value": 2}}}
    path = department.describe(tmp_path, {**BY_PERSON, "request": request}, query=query)
    with only_adapter(path, department.environment) as configured:
        answer = ask(configured, [FIRST, SECOND])

    assert [row["name"] for row in answer["rows"]] == ["O'Brien", "李伟"]
    assert answer["rows"][1]["sum"] is None


@pytest.mark.parametrize(
    "person_id",
    [
        "' OR '1'='1",
        "x'; DROP TABLE cjr_zsxx; --",
        "\\' OR 1=1 -- ",
        "%",
        "_",
        ":zjhm",
        "%(zjhm)s",
        "{zjhm}",
        "?",
        "\x00",
    ],
)
def test_what_is_asked_is_never_part_of_the_statement(
    department: DepartmentDatabase, tmp_path: Path, person_id: str
) -> None:
    department.fill()
    results = set()
    for connection in (
        {"query": "SELECT xm FROM cjr_zsxx WHERE zjhm = :zjhm"},
        {"table": "cjr_zsxx", "by": ["zjhm"]},
    ):
        path = department.describe(tmp_path, BY_PERSON, **connection)
        with only_adapter(path, department.environment) as configured:
            try:
                results.add(ask(configured, person_id)["count"])
            except AdapterError as error:
                results.add(error.code)

    # PostgreSQL has no text with a NUL in it and says so; nobody answers with a row.
    assert results <= {0, "adapter.system_fault"}
    assert len(department.run("SELECT lsh FROM cjr_zsxx")) == len(ROWS)


@pytest.mark.parametrize("person_id", [None, {"$ne": ""}, [None], [["x"], {}]])
def test_what_is_no_plain_value_is_no_parameter(
    department: DepartmentDatabase, tmp_path: Path, person_id: object
) -> None:
    department.fill()
    request = {"object": {"zjhm": {"from": "request.person_ids", "type": "any", "nullable": True}}}
    path = department.describe(tmp_path, {**BY_PERSON, "request": request}, table="cjr_zsxx", by=["zjhm"])
    with only_adapter(path, department.environment) as configured:
        assert refusal(configured, person_id).code == "adapter.mapping_failed"


def test_a_reading_service_cannot_write_even_by_a_function_that_does(
    department: DepartmentDatabase, tmp_path: Path
) -> None:
    department.fill()
    query = "SELECT tidy_up() AS x"
    if department.engine == "postgresql":
        department.run(
            "CREATE FUNCTION tidy_up() RETURNS integer LANGUAGE sql AS 'DELETE FROM cjr_zsxx; SELECT 1'"
        )
    elif department.engine == "mariadb":
        department.run(
            "CREATE FUNCTION tidy_up() RETURNS INTEGER MODIFIES SQL DATA "
            "BEGIN DELETE FROM cjr_zsxx; RETURN 1; END"
        )
    path = department.describe(tmp_path, NOTHING_ASKED, query=query)
    with only_adapter(path, department.environment) as configured:
        error = refusal(configured, FIRST)

    # SQLite has no such functions; its code is that of a function that is not there.
    marks = {"postgresql": "25006", "mariadb": "1792", "sqlite": "OperationalError"}
    assert (error.code, marks[department.engine] in error.detail) == ("adapter.system_fault", True)
    assert len(department.run("SELECT lsh FROM cjr_zsxx")) == len(ROWS)


def test_more_rows_than_may_be_are_refused_and_none_is_left_out(
    department: DepartmentDatabase, tmp_path: Path
) -> None:
    department.fill()
    for connection in (
        {"table": "cjr_zsxx", "by": ["zjhm"]},
        {"query": "SELECT * FROM cjr_zsxx WHERE zjhm IN :zjhm"},
    ):
        path = department.describe(tmp_path, BY_PERSON, **connection, max_rows=2)
        with only_adapter(path, department.environment) as configured:
            assert ask(configured, [SECOND])["count"] == 2
            error = refusal(configured, [FIRST, SECOND])
            assert (error.code, "2 rows" in error.detail) == ("adapter.answer_unreadable", True)
            assert ask(configured, [SECOND])["count"] == 2


def test_an_answer_that_is_too_large_is_refused(department: DepartmentDatabase, tmp_path: Path) -> None:
    department.fill()
    department.run("UPDATE cjr_zsxx SET zp = :zp", zp=b"x" * 2000)
    path = department.describe(tmp_path, BY_PERSON, table="cjr_zsxx", by=["zjhm"], max_answer_bytes=4000)
    with only_adapter(path, department.environment) as configured:
        assert ask(configured, FIRST)["count"] == 1
        assert refusal(configured, SECOND).code == "adapter.answer_unreadable"


def test_a_query_that_never_ends_is_ended(department: DepartmentDatabase, tmp_path: Path) -> None:
    department.run("CREATE TABLE n (i INTEGER)")
    for _ in range(10):
        department.run("INSERT INTO n SELECT count(*) + 1 FROM n", "INSERT INTO n SELECT i + 1 FROM n")
    endless = "SELECT count(*) AS c FROM n AS a, n AS b, n AS c, n AS d WHERE a.i + b.i + c.i + d.i = 0"
    path = department.describe(tmp_path, NOTHING_ASKED, query=endless)
    with only_adapter(path, department.environment) as configured:
        error = refusal(configured, FIRST, seconds=0.5)
        assert (error.code, error.is_retryable) == ("adapter.system_timeout", True)


def test_a_table_somebody_else_holds_is_not_waited_for_without_end(
    department: DepartmentDatabase, tmp_path: Path
) -> None:
    _make_inbox(department)
    path = department.describe(tmp_path, INBOX, put={"table": "qzj_jsb", "message_id": "xxbh"})
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        from sqlalchemy import create_engine, text

        engine = create_engine(department.url)
        with engine.connect() as connection:
            if department.engine == "postgresql":
                connection.execute(text("LOCK TABLE qzj_jsb"))
            elif department.engine == "mariadb":
                connection.execute(text("LOCK TABLES qzj_jsb WRITE"))
            else:
                connection.execute(text("BEGIN EXCLUSIVE"))
            held.set()
            done.wait(20)
        engine.dispose()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert held.wait(10)
        with only_adapter(path, department.environment) as configured:
            error = refusal(configured, FIRST, seconds=1)
    finally:
        done.set()
        holder.join()
    assert error.code in {"adapter.system_timeout", "adapter.system_unreachable"}
    assert error.is_retryable
    assert department.run("SELECT * FROM qzj_jsb") == []


def test_a_description_that_names_what_is_not_there_says_so(
    department: DepartmentDatabase, tmp_path: Path
) -> None:
    department.fill()
    for connection, named in (
        ({"table": "no_such_table", "by": ["zjhm"]}, "no_such_table"),
        ({"table": "cjr_zsxx", "by": ["no_such_column"]}, "no_such_column"),
    ):
        path = department.describe(tmp_path, BY_PERSON, **connection)
        with only_adapter(path, department.environment) as configured:
            probe = configured.adapter.probe(5)
            assert not probe.is_reachable
            assert named in str(probe.findings[0].message)


def test_a_try_signs_in_and_looks_at_the_tables(department: DepartmentDatabase, tmp_path: Path) -> None:
    department.fill()
    path = department.describe(tmp_path, BY_PERSON, table="cjr_zsxx", by=["zjhm"])
    with only_adapter(path, department.environment) as configured:
        probe = configured.adapter.probe(5)

    assert probe.is_reachable
    expected = ["table.not_encrypted"] if department.engine == "mariadb" else []
    assert [finding.code for finding in probe.findings] == expected


def test_a_wrong_password_is_the_departments_matter_and_not_shown(
    mariadb: MariaDbServer, tmp_path: Path
) -> None:
    with department_database("mariadb", tmp_path, None, mariadb) as department:
        path = department.describe(tmp_path, BY_PERSON, table="cjr_zsxx", by=["zjhm"])
        with only_adapter(path, {"TABLES_PASSWORD": "another"}) as configured:
            error = refusal(configured, FIRST)

    assert (error.code, error.detail) == ("adapter.system_fault", "the database refuses the sign-in")


def _at_port(engine: str, port: int) -> DepartmentDatabase:
    place = {"host": "127.0.0.1", "port": port, "database": "x", "username": "x"}
    return DepartmentDatabase(engine, {"engine": engine, **place})


@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_a_server_that_is_not_there_is_unreachable(tmp_path: Path, engine: str) -> None:
    path = _at_port(engine, free_port()).describe(tmp_path, BY_PERSON, table="cjr_zsxx", by=["zjhm"])
    with only_adapter(path) as configured:
        error = refusal(configured, FIRST, seconds=3)

    assert (error.code, error.is_retryable) == ("adapter.system_unreachable", True)


@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_a_server_that_says_nothing_is_left(tmp_path: Path, engine: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        described = {**BY_PERSON, "timeout_seconds": 1}
        path = _at_port(engine, silent.getsockname()[1]).describe(tmp_path, described, table="t", by=["zjhm"])
        with only_adapter(path) as configured:
            error = refusal(configured, FIRST, seconds=1)

    assert error.code in {"adapter.system_timeout", "adapter.system_unreachable"}


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    file = tmp_path / "gone.sqlite"
    department = DepartmentDatabase("sqlite", {"engine": "sqlite", "file": str(file)})
    path = department.describe(tmp_path, BY_PERSON, table="t", by=["zjhm"])
    with only_adapter(path) as configured:
        assert refusal(configured, FIRST).code == "adapter.system_unreachable"

    assert not file.exists()


INBOX: dict[str, Any] = {
    "request": {"object": {"zjhm": "request.person_ids", "is_sync": {"value": 0}}},
    "response": ALL,
}


def _make_inbox(department: DepartmentDatabase) -> None:
    department.run(
        "CREATE TABLE qzj_jsb (xxbh VARCHAR(40) PRIMARY KEY, zjhm VARCHAR(18), is_sync INTEGER)",
        "CREATE TABLE qzj_ydb (xxbh VARCHAR(40), jg VARCHAR(20), wc INTEGER)",
    )


def test_what_arrives_is_written_once_however_often_it_comes(
    department: DepartmentDatabase, tmp_path: Path
) -> None:
    _make_inbox(department)
    path = department.describe(tmp_path, INBOX, put={"table": "qzj_jsb", "message_id": "xxbh"})
    with only_adapter(path, department.environment) as configured:
        call = call_of(configured)
        for _ in range(2):
            answer = configured.adapter.answer({"person_ids": FIRST}, call)
            assert answer.data == {"rows": [], "count": 0}

    assert department.run("SELECT xxbh, zjhm, is_sync FROM qzj_jsb") == [(call.message_id, FIRST, 0)]


def test_rows_of_one_message_are_written_all_or_none(department: DepartmentDatabase, tmp_path: Path) -> None:
    department.run("CREATE TABLE qzj_jsb (xxbh VARCHAR(40), zjhm VARCHAR(18) NOT NULL)")
    each = {"object": {"zjhm": {"from": "item", "nullable": True}}}
    request = {"object": {"rows": {"each": "request.person_ids", "as": each}}}
    put = {"table": "qzj_jsb", "message_id": "xxbh"}
    path = department.describe(tmp_path, {**INBOX, "request": request}, put=put)
    with only_adapter(path, department.environment) as configured:
        error = refusal(configured, [FIRST, None])
        assert department.run("SELECT * FROM qzj_jsb") == []
        ask(configured, [FIRST, SECOND])

    assert error.code == "adapter.system_fault"
    assert FIRST not in str(error)
    assert len(department.run("SELECT * FROM qzj_jsb")) == 2


def test_an_answer_is_awaited_in_the_departments_own_table(
    department: DepartmentDatabase, tmp_path: Path
) -> None:
    _make_inbox(department)
    answer = {"table": "qzj_ydb", "message_id": "xxbh", "ready": {"wc": 1}, "poll_seconds": 0.05}
    put = {"table": "qzj_jsb", "message_id": "xxbh", "answer": answer}
    path = department.describe(tmp_path, INBOX, put=put)

    def work() -> None:
        wait_until(lambda: department.run("SELECT xxbh FROM qzj_jsb"))
        [(number,)] = department.run("SELECT xxbh FROM qzj_jsb")
        department.run("INSERT INTO qzj_ydb VALUES (:number, 'not yet', 0)", number=number)
        time.sleep(0.2)
        department.run("UPDATE qzj_ydb SET jg = 'found', wc = 1")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        with only_adapter(path, department.environment) as configured:
            [row] = ask(configured, FIRST)["rows"]
    finally:
        worker.join()
    assert (row["jg"], row["wc"]) == ("found", 1)


def test_an_answer_that_takes_longer_is_promised(department: DepartmentDatabase, tmp_path: Path) -> None:
    _make_inbox(department)
    answer: dict[str, Any] = {"table": "qzj_ydb", "message_id": "xxbh", "poll_seconds": 0.1}
    put = {"table": "qzj_jsb", "message_id": "xxbh", "answer": answer}
    path = department.describe(tmp_path, INBOX, put=put)
    with only_adapter(path, department.environment) as configured:
        assert refusal(configured, FIRST, seconds=0.5).code == "adapter.system_timeout"
    answer["deferred_seconds"] = 3600
    path = department.describe(tmp_path, INBOX, put=put)
    with only_adapter(path, department.environment) as configured:
        call = call_of(configured, timeout_seconds=0.5)
        with pytest.raises(DeferredError):
            configured.adapter.answer({"person_ids": FIRST}, call)
        department.run("INSERT INTO qzj_ydb VALUES (:number, 'found', 1)", number=call.message_id)
        assert configured.adapter.answer({"person_ids": FIRST}, call).data["count"] == 1
