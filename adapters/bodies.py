# SPDX-License-Identifier: Apache-2.0
"""Files and bodies of legacy systems, read strictly: JSON and CSV in whatever encoding they are written."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, NoReturn

from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.ports import JsonObject, JsonValue


def read_json(content: bytes, encoding: str = "utf-8") -> JsonValue:
    """Return the JSON value of a body.

    A number such as `4500.10` is returned as the text `4500.10`, because a binary float would not keep it.

    Raises:
        AdapterError: `adapter.answer_unreadable`, it is not JSON, has a name twice, or is nested too deep.
    """
    try:
        value: JsonValue = json.loads(
            content.decode(encoding),
            parse_float=str,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object_once,
        )
    except (ValueError, RecursionError) as exc:
        # The parser's message may quote the text, which may be a person's; it stays in the cause.
        raise AdapterError("adapter.answer_unreadable", f"the answer is not JSON in {encoding}") from exc
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object_once(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has a name twice")
    return members


def read_csv(
    content: bytes, *, encoding: str, delimiter: str, columns: Sequence[str] | None = None
) -> list[dict[str, JsonValue]]:
    """Return a file's rows, every value as the text that stands there.

    Args:
        content: the whole file.
        encoding: for example `gb18030`, or `utf-8-sig` for a file with a byte order mark.
        delimiter: one character.
        columns: the names of a file without a heading line; otherwise its first line names them.

    Raises:
        AdapterError: `adapter.answer_unreadable`, wrong encoding or quoting, a column named twice, or a row
            with another number of values; the detail names the line.
    """
    try:
        text = io.StringIO(content.decode(encoding), newline="")
        lines = csv.reader(text, delimiter=delimiter, strict=True)
        names = list(columns) if columns is not None else next(lines, [])
        if not names or len(set(names)) != len(names):
            raise AdapterError(
                "adapter.answer_unreadable", "the columns are not named, or one is named twice"
            )
        rows: list[dict[str, JsonValue]] = []
        for cells in lines:
            if len(cells) != len(names):
                raise AdapterError(
                    "adapter.answer_unreadable",
                    f"line {lines.line_num} has {len(cells)} values for {len(names)} columns",
                )
            rows.append(dict(zip(names, cells, strict=True)))
    except (UnicodeDecodeError, csv.Error) as exc:
        raise AdapterError("adapter.answer_unreadable", f"the file is not CSV in {encoding}") from exc
    return rows


def write_csv(rows: Sequence[JsonObject], *, encoding: str, delimiter: str) -> bytes:
    """Return rows as a file with a heading line, CRLF line ends as in RFC 4180.

    Raises:
        AdapterError: `adapter.mapping_failed`, there is no row, rows differ in their columns, or a value
            is no text, whole number or null, or cannot be encoded.
    """
    if not rows:
        raise AdapterError("adapter.mapping_failed", "/rows: the request file has no row")
    names = list(rows[0])
    text = io.StringIO(newline="")
    lines = csv.writer(text, delimiter=delimiter)
    lines.writerow(names)
    for number, row in enumerate(rows):
        if list(row) != names or not all(isinstance(value, str | int | None) for value in row.values()):
            raise AdapterError("adapter.mapping_failed", f"/rows/{number}: does not fit the columns")
        lines.writerow("" if value is None else value for value in row.values())
    try:
        return text.getvalue().encode(encoding)
    except UnicodeEncodeError as exc:
        raise AdapterError(
            "adapter.mapping_failed", f"/rows: a value cannot be written in {encoding}"
        ) from exc
