# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapters.bodies import read_csv, write_csv
from hub.errors import AdapterError

if TYPE_CHECKING:
    from adapters.ports import JsonObject


def test_csv_is_read_as_the_text_that_stands_there() -> None:
    content = '证件号码;姓名\r\n"001";"王; ""小"" 明"\r\n002; \r\n'.encode("gb18030")

    rows = read_csv(content, encoding="gb18030", delimiter=";")

    assert rows == [{"证件号码": "001", "姓名": '王; "小" 明'}, {"证件号码": "002", "姓名": " "}]


def test_csv_without_a_heading_line_takes_its_names_from_the_description() -> None:
    assert read_csv(b"1,2\n", encoding="utf-8", delimiter=",", columns=["a", "b"]) == [{"a": "1", "b": "2"}]


def test_what_is_written_can_be_read() -> None:
    rows: list[JsonObject] = [{"单位": "甲,乙", "年度": 2026, "空": None}]

    content = write_csv(rows, encoding="gb18030", delimiter=",")

    assert read_csv(content, encoding="gb18030", delimiter=",") == [
        {"单位": "甲,乙", "年度": "2026", "空": ""}
    ]


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "not named"),
        (b"a,a\n1,2\n", "named twice"),
        (b"a,b\n1,2\n3\n", "line 3 has 1 values"),
        (b"a,b\n1,2,3\n", "line 2 has 3 values"),
        (b'a,b\n"1"x,2\n', "not CSV"),
        (b'a,b\n"1,2\n', "not CSV"),
        (b"a\n\xff\n", "not CSV in utf-8"),
    ],
)
def test_a_file_that_is_not_the_described_csv_is_refused(content: bytes, detail: str) -> None:
    with pytest.raises(AdapterError, match=detail) as caught:
        read_csv(content, encoding="utf-8", delimiter=",")

    assert caught.value.code == "adapter.answer_unreadable"


@pytest.mark.parametrize(
    ("rows", "encoding"),
    [([], "utf-8"), ([{"a": 1}, {"b": 1}], "utf-8"), ([{"a": [1]}], "utf-8"), ([{"a": "文"}], "latin-1")],
)
def test_rows_that_are_no_table_are_not_written(rows: list[JsonObject], encoding: str) -> None:
    with pytest.raises(AdapterError) as caught:
        write_csv(rows, encoding=encoding, delimiter=",")

    assert caught.value.code == "adapter.mapping_failed"
