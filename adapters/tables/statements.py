# SPDX-License-Identifier: Apache-2.0
"""What may stand in a description as a query: one SELECT that only reads, with parameters and no values.

The transaction it runs in is read-only as well; this is the first of two locks, and says where a description
is wrong when it is read. A question's values are never part of a statement's text.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, text

if TYPE_CHECKING:
    from sqlalchemy.sql.elements import TextClause

_TOKENS = re.compile(
    r"""
      (?P<text>'(?:[^'\\]|'')*')
    | (?P<name>"(?:[^"\\]|"")*"|`[^`\\]*`|\[[\w .-]+\])
    | (?P<comment>--[^\n]*|/\*(?![!M])(?:(?!/\*).)*?\*/)
    | (?P<word>[^\W\d]\w*)
    | (?P<number>\d[\w.]*)
    | (?P<parameter>(?<!:):[A-Za-z_]\w*)
    | (?P<other>::|\s+|/(?!\*)|[-+*%=<>!|(),.&^~@?\]\[])
    | (?P<end>;\s*\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
# SQL Server takes a second statement without a semicolon between.
_WRITING = frozenset(
    [
        "alter",
        "attach",
        "call",
        "copy",
        "create",
        "delete",
        "detach",
        "drop",
        "exec",
        "execute",
        "grant",
        "insert",
        "into",
        "merge",
        "pragma",
        "revoke",
        "truncate",
        "update",
        "upsert",
        "vacuum",
    ]
)
# Functions of these engines that read files, reach other machines, wait, or do something all the same.
_FORBIDDEN_FUNCTIONS = frozenset(
    [
        "benchmark",
        "database_to_xml",
        "dblink",
        "dblink_exec",
        "dbms_lock",
        "edit",
        "fts3_tokenizer",
        "get_lock",
        "lo_export",
        "lo_get",
        "lo_import",
        "load_extension",
        "load_file",
        "nextval",
        "opendatasource",
        "openquery",
        "openrowset",
        "pg_cancel_backend",
        "pg_ls_dir",
        "pg_read_binary_file",
        "pg_read_file",
        "pg_sleep",
        "pg_terminate_backend",
        "query_to_xml",
        "readfile",
        "set_config",
        "setval",
        "sleep",
        "sys_eval",
        "sys_exec",
        "utl_file",
        "utl_http",
        "writefile",
        "xp_cmdshell",
    ]
)


def require_query(statement: str) -> str:
    """Return a statement that is one reading query.

    Raises:
        ValueError: it is none; the message names the place.
    """
    words: list[str] = []
    place = 0
    while place < len(statement):
        match = _TOKENS.match(statement, place)
        if match is None:
            shown = (
                "a second statement" if statement[place] == ";" else "a sign that does not belong in a query"
            )
            raise ValueError(f"query: {shown} at character {place + 1}")
        if match["word"]:
            words.append(match["word"].lower())
        place = match.end()
    if not words or words[0] not in {"select", "with"}:
        raise ValueError("query: is not a SELECT")
    wrong = sorted((_WRITING | _FORBIDDEN_FUNCTIONS) & set(words))
    if wrong:
        raise ValueError(f"query: {', '.join(wrong)} does not only read; quote a column of that name")
    if _locks(words):
        raise ValueError("query: FOR UPDATE and FOR SHARE lock rows")
    return statement.strip().rstrip(";")


def _locks(words: list[str]) -> bool:
    return any(first == "for" and second in {"share", "no", "key"} for first, second in pairwise(words))


def parameters_of(statement: str) -> frozenset[str]:
    """Return the names of a query's parameters."""
    return frozenset(
        match["parameter"][1:] for match in _TOKENS.finditer(statement) if match["parameter"] is not None
    )


def bound(statement: str, lists: frozenset[str]) -> TextClause:
    """Return a query as SQLAlchemy executes it; `lists` are the parameters that are arrays."""
    return text(statement).bindparams(*(bindparam(name, expanding=True) for name in sorted(lists)))
