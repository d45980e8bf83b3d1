# SPDX-License-Identifier: Apache-2.0
"""The rows of a file: CSV, fixed width, XML, JSON lines or JSON, in whatever encoding the old system writes.

A file is read row by row and never held whole, but for JSON. A row that cannot be read is given out as such,
with its line and the reason, and does not hold up the others; a file that is not of the described form at
all is refused. Reasons name places and rules, never what stands there.

Source: RFC 4180 (CSV); GB 18030-2022 (its second and further bytes are never a line end).
"""

from __future__ import annotations

import codecs
import csv
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Self, TypeAlias

from lxml import etree
from pydantic import AfterValidator, Field, model_validator

from adapters.bodies import read_json
from adapters.entry import ConnectionSettings
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from adapters.ports import JsonObject, JsonValue

LONGEST_LINE_BYTES = 1_000_000
LARGEST_DOCUMENT_BYTES = 50_000_000
_DEEPEST = 50
_CODE = "adapter.row_unreadable"


class LayoutKind(StrEnum):
    """How a file is written."""

    CSV = "csv"
    FIXED = "fixed"
    XML = "xml"
    JSON_LINES = "json-lines"
    JSON = "json"


def known_encoding(name: str) -> str:
    """Return the name of an encoding that is known.

    Raises:
        ValueError: it is not.
    """
    try:
        codecs.lookup(name)
    except LookupError as exc:
        raise ValueError("no such encoding") from exc
    return name


class FixedField(ConnectionSettings):
    """One field of a fixed-width row.

    Attributes:
        start: its first byte, from 1.
        length: in bytes of the file's encoding: a Chinese character has two in GB18030.
    """

    name: str
    start: Annotated[int, Field(ge=1, le=100_000)]
    length: Annotated[int, Field(ge=1, le=100_000)]


class LayoutSettings(ConnectionSettings):
    """How the rows stand in a file.

    Attributes:
        encoding: a byte order mark at the beginning is believed instead, and is not part of the first value.
        delimiter: of CSV.
        columns: of CSV without a heading line.
        fields: of fixed width; what stands between them is not read.
        record: of XML the name of the element that is a row, of JSON the member that holds the array.
        skip_first: lines before the heading or the first row.
        skip_last: lines after the last row, such as one with a total.
    """

    format: Annotated[LayoutKind, Field(strict=False)] = LayoutKind.CSV
    encoding: Annotated[str, AfterValidator(known_encoding)] = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    columns: tuple[str, ...] | None = Field(default=None, strict=False)
    fields: tuple[FixedField, ...] = Field(default=(), strict=False)
    record: str | None = None
    skip_first: Annotated[int, Field(ge=0, le=1000)] = 0
    skip_last: Annotated[int, Field(ge=0, le=1000)] = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.format is LayoutKind.FIXED) != bool(self.fields):
            raise ValueError("fields belong to fixed width, and fixed width needs them")
        names = [field.name for field in self.fields] or list(self.columns or ())
        if len(set(names)) != len(names):
            raise ValueError("a field is named twice")
        if self.format is LayoutKind.XML and not self.record:
            raise ValueError("record names the XML element that is a row")
        return self


@dataclass(frozen=True)
class FileRow:
    """One row of a file.

    Attributes:
        number: from 1, rows only.
        line: where it ends, from 1; 0 where a file has no lines.
        text: as it stands in the file.
        values: by name; None for a row that cannot be read.
        problem: why not.
    """

    number: int
    line: int
    text: str
    values: JsonObject | None
    problem: str = ""

    def require(self) -> JsonObject:
        """Return the values.

        Raises:
            AdapterError: `adapter.row_unreadable`.
        """
        if self.values is None:
            raise AdapterError(_CODE, f"line {self.line}: {self.problem}")
        return self.values


def read_rows(file: Path, layout: LayoutSettings) -> Iterator[FileRow]:
    """Yield the rows of a file.

    Raises:
        AdapterError: `adapter.file_unreadable`, the file is not of the described form.
    """
    return _READERS[layout.format](file, layout)


def read_document(file: Path, layout: LayoutSettings) -> JsonValue:
    """Return a whole JSON or XML file as one value.

    Raises:
        AdapterError: `adapter.file_unreadable`, it is not of the described form, or too large for that.
    """
    size = file.stat().st_size
    if size > LARGEST_DOCUMENT_BYTES:
        raise _unreadable(f"a document of {size} bytes; at most {LARGEST_DOCUMENT_BYTES}")
    content = file.read_bytes()
    if layout.format is LayoutKind.JSON:
        try:
            encoding, mark = _encoding_of(content[:4], layout.encoding)
            return read_json(content[mark:], encoding)
        except AdapterError as exc:
            raise _unreadable("not JSON, or a name stands in an object twice") from exc
    if layout.format is LayoutKind.XML:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        try:
            root = etree.fromstring(content, parser)
        except etree.XMLSyntaxError as exc:
            raise _unreadable(f"not XML at line {exc.lineno}") from exc
        _refuse_doctype(root)
        return _element_value(root, 0)
    raise _unreadable(f"{layout.format} has rows and is no document")


def _unreadable(detail: str) -> AdapterError:
    return AdapterError("adapter.file_unreadable", detail)


def _encoding_of(start: bytes, described: str) -> tuple[str, int]:
    """Return the encoding and the length of the byte order mark."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (b"\x84\x31\x95\x33", "gb18030"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if start.startswith(mark):
            return name, len(mark)
    return described, 0


@dataclass(frozen=True)
class _Line:
    number: int
    raw: bytes
    text: str
    is_decoded: bool


def _lines(file: Path, layout: LayoutSettings, *, keep_blank: bool = False) -> Iterator[_Line]:
    """Yield the lines that hold heading and rows; a line of a wrong encoding is marked."""
    with file.open("rb") as content:
        encoding, mark = _encoding_of(content.read(4), layout.encoding)
        content.seek(mark)
        held: list[_Line] = []
        filled = 0
        for line in _decoded(content, encoding):
            is_blank = not line.text.strip("\r\n\x1a")
            if line.number <= layout.skip_first or (is_blank and not keep_blank):
                continue
            held.append(line)
            filled += not is_blank
            # What is skipped at the end is known only there.
            while held and (filled > layout.skip_last or (is_blank and not layout.skip_last)):
                first = held.pop(0)
                filled -= bool(first.text.strip("\r\n\x1a"))
                yield first


def _decoded(content: BinaryIO, encoding: str) -> Iterator[_Line]:
    wide = codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
    end = "\n".encode(encoding) if wide else b"\n"
    number = 0
    while raw := _raw_line(content, end, len(end) if wide else 1):
        number += 1
        try:
            yield _Line(number, raw, raw.decode(encoding), is_decoded=True)
        except UnicodeDecodeError:
            yield _Line(number, raw, raw.decode(encoding, "replace"), is_decoded=False)


def _raw_line(content: BinaryIO, end: bytes, width: int) -> bytes:
    raw = b""
    while True:
        some = content.readline(LONGEST_LINE_BYTES)
        if len(end) > 1 and end[-1] == 0 and some.endswith(b"\n"):
            # The line end of UTF-16 in little-endian order has a zero behind it.
            some += content.read(width - 1)
        raw += some
        if len(raw) >= LONGEST_LINE_BYTES:
            raise _unreadable(f"a line has more than {LONGEST_LINE_BYTES} bytes")
        if not some or (raw.endswith(end) and len(raw) % width == 0):
            return raw


def _csv_rows(file: Path, layout: LayoutSettings) -> Iterator[FileRow]:
    consumed: list[_Line] = []

    def texts() -> Iterator[str]:
        for line in _lines(file, layout, keep_blank=True):
            consumed.append(line)
            yield line.text

    reader = csv.reader(texts(), delimiter=layout.delimiter, strict=True)
    names = list(layout.columns) if layout.columns is not None else None
    number = 0
    while True:
        problem, cells = "", None
        consumed.clear()
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error:
            problem = "a quotation mark is out of place, or a value is too long"
        if cells == []:
            continue
        if names is None:
            names = _heading(cells, consumed)
            continue
        number += 1
        yield _csv_row(number, names, cells, consumed, problem or _encoding_problem(consumed, layout))
    if names is None:
        raise _unreadable("the file is empty; not even the columns are named")


def _csv_row(
    number: int, names: list[str], cells: list[str] | None, lines: list[_Line], problem: str
) -> FileRow:
    if not problem and cells is not None and len(cells) != len(names):
        problem = f"has {len(cells)} values for {len(names)} columns"
    values = None if problem or cells is None else dict(zip(names, cells, strict=True))
    text = "".join(line.text for line in lines).rstrip("\r\n")
    return FileRow(number, lines[-1].number if lines else 0, text, values, problem)


def _encoding_problem(lines: list[_Line], layout: LayoutSettings) -> str:
    return "" if all(line.is_decoded for line in lines) else f"is not in {layout.encoding}"


def _heading(cells: list[str] | None, lines: list[_Line]) -> list[str]:
    names = [cell.strip() for cell in cells or ()]
    if not all(names) or not names or len(set(names)) != len(names):
        raise _unreadable("the columns are not named, or one is named twice")
    if not all(line.is_decoded for line in lines):
        raise _unreadable("the heading line is not in the described encoding")
    return names


def _fixed_rows(file: Path, layout: LayoutSettings) -> Iterator[FileRow]:
    length = max(field.start + field.length - 1 for field in layout.fields)
    for number, line in enumerate(_lines(file, layout), start=1):
        raw = line.raw.rstrip(b"\r\n")
        text = line.text.rstrip("\r\n")
        values: dict[str, JsonValue] = {}
        problem = "" if line.is_decoded else f"is not in {layout.encoding}"
        # Editors cut blanks at the end of a line.
        padded = raw.ljust(length)
        for field in layout.fields:
            piece = padded[field.start - 1 : field.start - 1 + field.length]
            try:
                values[field.name] = piece.decode(layout.encoding).strip(" \u3000")
            except UnicodeDecodeError:
                problem = problem or f"{field.name}: a character is cut in two"
        if len(raw.rstrip()) > length:
            problem = problem or f"has {len(raw)} bytes; the fields end at {length}"
        yield FileRow(number, line.number, text, None if problem else values, problem)


def _json_line_rows(file: Path, layout: LayoutSettings) -> Iterator[FileRow]:
    for number, line in enumerate(_lines(file, layout), start=1):
        text, value, problem = line.text.rstrip("\r\n"), None, ""
        if not line.is_decoded:
            problem = f"is not in {layout.encoding}"
        else:
            try:
                value = read_json(text.encode(), "utf-8")
            except AdapterError:
                problem = "is not JSON, or has a name twice"
        if not problem and not isinstance(value, dict):
            problem = "is not a JSON object"
        yield FileRow(number, line.number, text, value if isinstance(value, dict) else None, problem)


def _json_rows(file: Path, layout: LayoutSettings) -> Iterator[FileRow]:
    document = read_document(file, layout)
    rows = document.get(layout.record) if isinstance(document, dict) and layout.record else document
    if not isinstance(rows, list):
        raise _unreadable(f"no array {'of rows' if layout.record is None else layout.record!r}")
    for number, row in enumerate(rows, start=1):
        problem = "" if isinstance(row, dict) else "is not a JSON object"
        yield FileRow(number, 0, "", row if isinstance(row, dict) else None, problem)


def _xml_rows(file: Path, layout: LayoutSettings) -> Iterator[FileRow]:
    number = 0
    with file.open("rb") as content:
        events = etree.iterparse(
            content, events=("end",), resolve_entities=False, no_network=True, load_dtd=False
        )
        try:
            for _, element in events:
                if number == 0:
                    _refuse_doctype(element)
                if etree.QName(element).localname != layout.record:
                    continue
                number += 1
                text = etree.tostring(element, encoding="unicode", with_tail=False)
                value = _element_value(element, 0)
                values = value if isinstance(value, dict) else {"#text": value}
                yield FileRow(number, element.sourceline or 0, text, values)
                _forget(element)
        except etree.XMLSyntaxError as exc:
            raise _unreadable(f"not XML at line {exc.lineno}") from exc
        except etree.LxmlError as exc:
            raise _unreadable("not XML, or in an encoding that is not known") from exc


def _refuse_doctype(element: etree._Element) -> None:
    # A document type declaration can name files of this machine and grow without end.
    if element.getroottree().docinfo.internalDTD is not None:
        raise _unreadable("a document type declaration is not taken")


def _forget(element: etree._Element) -> None:
    """Give back what was read, or a long file would be in memory at its end."""
    element.clear()
    while element.getprevious() is not None:
        parent = element.getparent()
        if parent is None:
            return
        del parent[0]


def _element_value(element: etree._Element, depth: int) -> JsonValue:
    """Return text, or an object of children and `@attributes`; children of one name are an array."""
    if depth > _DEEPEST:
        raise _unreadable(f"elements are nested deeper than {_DEEPEST}")
    values: dict[str, JsonValue] = {
        f"@{etree.QName(name).localname}": str(value) for name, value in element.attrib.items()
    }
    gathered: dict[str, list[JsonValue]] = {}
    for child in element.iterchildren(tag=etree.Element):
        gathered.setdefault(etree.QName(child).localname, []).append(_element_value(child, depth + 1))
    if not values and not gathered:
        return (element.text or "").strip()
    for name, found in gathered.items():
        values[name] = found[0] if len(found) == 1 else found
    if not gathered and (element.text or "").strip():
        values["#text"] = (element.text or "").strip()
    return values


_Reader: TypeAlias = "Callable[[Path, LayoutSettings], Iterator[FileRow]]"
_READERS: dict[LayoutKind, _Reader] = {
    LayoutKind.CSV: _csv_rows,
    LayoutKind.FIXED: _fixed_rows,
    LayoutKind.XML: _xml_rows,
    LayoutKind.JSON_LINES: _json_line_rows,
    LayoutKind.JSON: _json_rows,
}
