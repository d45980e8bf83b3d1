# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from adapters.tables.statements import parameters_of, require_query


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "(SELECT 4 / 2)",
        "select a, b from t where a = :a and b in :b;",
        "WITH x AS (SELECT * FROM t) SELECT * FROM x",
        "SELECT \"update\", `delete`, [insert] FROM t -- delete nothing\n WHERE a = 'drop table; --'",
        "SELECT /* a comment; */ a::date, '一户'':x' FROM 人员 WHERE 证件号码 = :zjhm",
        "SELECT REPLACE(a, 'x', 'y') || b FROM t WHERE d >= CURRENT_DATE - 30 ORDER BY 1",
    ],
)
def test_a_query_that_only_reads_is_taken(query: str) -> None:
    assert require_query(query) == query.rstrip(";")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "not a SELECT"),
        ("DELETE FROM t", "not a SELECT"),
        ("SELECT 1; DROP TABLE t", "second statement"),
        ("SELECT 1 DROP TABLE t", "drop"),
        ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "delete"),
        ("SELECT * INTO OUTFILE '/tmp/x' FROM t", "into"),
        ("SELECT * INTO copy FROM t", "into"),
        ("SELECT * FROM t FOR UPDATE", "update"),
        ("SELECT * FROM t FOR NO KEY UPDATE", "update"),
        ("SELECT * FROM t FOR SHARE", "lock"),
        ("SELECT /*!50000 1 INTO OUTFILE '/tmp/x' */", "character"),
        ("SELECT /*M! 1 */", "character"),
        ("SELECT 'a\\' OR 1=1 -- '", "character"),
        ("SELECT $$a$$", "character"),
        ("SELECT 'never closed", "character"),
        ("SELECT 1 /* never closed", "character"),
        ("SELECT pg_sleep(100)", "pg_sleep"),
        ("SELECT PG_READ_FILE('/etc/passwd')", "pg_read_file"),
        ("SELECT load_file('/etc/passwd')", "load_file"),
        ("SELECT\x001", "character"),
    ],
)
def test_anything_else_is_refused_with_its_reason(query: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        require_query(query)


def test_parameters_are_found_where_they_are_parameters() -> None:
    query = "SELECT ':a', a::date, \":b\" FROM t -- :c\n WHERE d = :d AND e = :e AND f = :d"

    assert parameters_of(query) == {"d", "e"}
