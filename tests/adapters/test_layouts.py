# SPDX-License-Identifier: Apache-2.0
"""Files of old systems, read row by row: what is wrong with one row holds up no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adapters.layouts import LayoutSettings, read_document, read_rows
from hub.errors import AdapterError

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.layouts import FileRow

FIELDS = [{"name": "姓名", "start": 1, "length": 6}, {"name": "年", "start": 7, "length": 4}]


def layout(**settings: Any) -> LayoutSettings:
    return LayoutSettings.model_validate(settings)


def rows_of(folder: Path, content: bytes, **settings: Any) -> list[FileRow]:
    file = folder / "file"
    file.write_bytes(content)
    return list(read_rows(file, layout(**settings)))


def values_of(rows: list[FileRow]) -> list[object]:
    return [row.values for row in rows]


@pytest.mark.parametrize(
    ("content", "settings", "values"),
    [
        ("号,名\r\n1,张三\r\n", {"encoding": "gb18030"}, [{"号": "1", "名": "张三"}]),
        ("1;李四\n", {"columns": ["号", "名"], "delimiter": ";"}, [{"号": "1", "名": "李四"}]),
        ('a,b\n1,"x\n\ny"\n', {}, [{"a": "1", "b": "x\n\ny"}]),
        ("\ufeffa,b\n1,2\n", {"encoding": "gb18030"}, [{"a": "1", "b": "2"}]),
        ("表头\na,b\n1,2\n合计,1\n\n", {"skip_first": 1, "skip_last": 1}, [{"a": "1", "b": "2"}]),
        ('{"a": 1.50}\n{"a": "𠮷"}\n', {"format": "json-lines"}, [{"a": "1.50"}, {"a": "𠮷"}]),
        ('{"rows": [{"a": 1}]}', {"format": "json", "record": "rows"}, [{"a": 1}]),
        ('[{"a": 1}]', {"format": "json"}, [{"a": 1}]),
        (
            '<数据 xmlns="urn:x"><行 号="1"><名>甲</名><码>1</码><码>2</码></行></数据>',
            {"format": "xml", "record": "行"},
            [{"@号": "1", "名": "甲", "码": ["1", "2"]}],
        ),
    ],
)
@pytest.mark.parametrize("encoding", [None, "gb18030"])
def test_rows_are_read_in_the_encoding_that_is_described(
    tmp_path: Path, content: str, settings: dict[str, Any], values: list[object], encoding: str | None
) -> None:
    if content.startswith("\ufeff") and encoding is None:
        raw = content.encode("utf-8")
    else:
        encoding = encoding or settings.get("encoding", "utf-8")
        raw = content.encode(str(encoding))
        settings = {**settings, "encoding": encoding}
    if settings.get("format") == "xml" and encoding == "gb18030":
        raw = b'<?xml version="1.0" encoding="GB18030"?>' + raw

    assert values_of(rows_of(tmp_path, raw, **settings)) == values


def test_a_wide_encoding_is_read_by_its_byte_order_mark_or_by_name(tmp_path: Path) -> None:
    text = "a,b\r\n张,ਅ\r\n"
    for raw, encoding in (
        (text.encode("utf-16"), "utf-8"),
        (text.encode("utf-16-le"), "utf-16-le"),
        (text.encode("utf-16-be"), "utf-16-be"),
    ):
        assert values_of(rows_of(tmp_path, raw, encoding=encoding)) == [{"a": "张", "b": "ਅ"}]


def test_fixed_fields_are_counted_in_bytes(tmp_path: Path) -> None:
    raw = "王小明2026\r\n李四　2025\n赵2024\n王小明20".encode("gb18030")
    rows = rows_of(tmp_path, raw, format="fixed", encoding="gb18030", fields=FIELDS)

    assert values_of(rows)[:2] == [{"姓名": "王小明", "年": "2026"}, {"姓名": "李四", "年": "2025"}]
    assert values_of(rows)[3] == {"姓名": "王小明", "年": "20"}


def test_a_character_cut_in_two_by_a_field_is_told(tmp_path: Path) -> None:
    raw = "a王小明026".encode("gb18030")
    [row] = rows_of(tmp_path, raw, format="fixed", encoding="gb18030", fields=FIELDS)

    assert row.values is None
    assert row.problem == "姓名: a character is cut in two"


@pytest.mark.parametrize(
    ("content", "settings", "line"),
    [
        (b"a,b\n1,2\n3\n4,5\n", {}, 3),
        (b"a,b\n1,2\n\xff\xfe,3\n4,5\n", {}, 3),
        (b'a,b\n1,2\n"x"y,3\n4,5\n', {}, 3),
        (b'{"a":1}\n{"a":1,"a":2}\n{"a":3}\n', {"format": "json-lines"}, 2),
        (b'{"a":1}\n[2]\n{"a":3}\n', {"format": "json-lines"}, 2),
        (b"AAAAAA2026\nAAAAAA2026too much\nAAAAAA2026\n", {"format": "fixed", "fields": FIELDS}, 2),
    ],
)
def test_one_bad_row_holds_up_no_other_and_is_named_by_its_line(
    tmp_path: Path, content: bytes, settings: dict[str, Any], line: int
) -> None:
    rows = rows_of(tmp_path, content, **settings)

    assert [row.values is None for row in rows] == [False, True, False]
    assert rows[1].line == line
    with pytest.raises(AdapterError, match=f"row_unreadable: line {line}"):
        rows[1].require()


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        (b"", {}),
        (b"a,a\n1,2\n", {}),
        (b"a,,c\n", {}),
        (b"<r><row>1</row><row>", {"format": "xml", "record": "row"}),
        (b'<!DOCTYPE r [<!ENTITY e "x">]><r><row>&e;</row></r>', {"format": "xml", "record": "row"}),
        (
            b'<!DOCTYPE r SYSTEM "file:///etc/passwd"><r><row>1</row></r>',
            {"format": "xml", "record": "row"},
        ),
        (b"<row>" + b"<a>" * 100 + b"</a>" * 100 + b"</row>", {"format": "xml", "record": "row"}),
        (b"{", {"format": "json"}),
        (b'{"a": 1}', {"format": "json"}),
        (b"[" * 100_000, {"format": "json"}),
        (b"x" * 1_100_000, {}),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: bytes, settings: dict[str, Any]) -> None:
    with pytest.raises(AdapterError) as caught:
        rows_of(tmp_path, content, **settings)

    assert caught.value.code == "adapter.file_unreadable"


def test_a_document_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"<a><b>1</b><b>2</b></a>")
    assert read_document(file, layout(format="xml", record="b")) == {"b": ["1", "2"]}
    file.write_bytes(b'\xef\xbb\xbf{"a": [1]}')
    assert read_document(file, layout(format="json")) == {"a": [1]}
    with pytest.raises(AdapterError, match="has rows and is no document"):
        read_document(file, layout(format="csv"))


@pytest.mark.parametrize(
    "settings",
    [
        {"format": "fixed"},
        {"format": "csv", "fields": FIELDS},
        {"format": "fixed", "fields": [*FIELDS, FIELDS[0]]},
        {"format": "xml"},
        {"columns": ["a", "a"]},
        {"encoding": "klingon"},
    ],
)
def test_a_layout_that_cannot_be_read_with_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        layout(**settings)


@pytest.mark.parametrize("form", ["csv", "fixed", "xml", "json-lines", "json"])
@given(content=st.binary(max_size=300))
def test_no_bytes_whatever_do_more_than_be_refused(
    tmp_path_factory: pytest.TempPathFactory, form: str, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any"
    file.write_bytes(content)
    settings: dict[str, Any] = {"format": form, "encoding": "gb18030"}
    settings |= {"fields": FIELDS} if form == "fixed" else {"record": "row"} if form == "xml" else {}
    try:
        numbers = [row.number for row in read_rows(file, layout(**settings))]
    except AdapterError as error:
        numbers = []
        assert error.code == "adapter.file_unreadable"  # noqa: PT017 - both outcomes are right
    assert numbers == list(range(1, len(numbers) + 1))
