# SPDX-License-Identifier: Apache-2.0
"""What goes out in a request, and how values of a mapping are written in a URL, a header and a body.

Source: RFC 3986 sections 2.1 and 3.4; OpenAPI 3.0.4 section 4.7.12.2 (styles); RFC 7578
(multipart/form-data); the WHATWG's application/x-www-form-urlencoded.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from adapters.rest.xmlbodies import write_xml
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from adapters.ports import JsonObject, JsonValue

_PIECE = 256 * 1024
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:; ?[\w-]+=[\w.-]+)?", re.ASCII)
_SEPARATORS = {"comma": ",", "space": " ", "pipe": "|"}


class BodyFormat(StrEnum):
    """How a body is written."""

    JSON = "json"
    FORM = "form"
    MULTIPART = "multipart"
    XML = "xml"
    TEXT = "text"
    BINARY = "binary"


class Style(StrEnum):
    """How a list or an object is written as a parameter."""

    REPEAT = "repeat"
    COMMA = "comma"
    SPACE = "space"
    PIPE = "pipe"
    DEEP = "deep"
    JSON = "json"


@dataclass(frozen=True)
class Content:
    """A body, in memory and in files one after the other; it can be read any number of times."""

    media_type: str
    pieces: tuple[bytes | Path, ...]

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(len(each) if isinstance(each, bytes) else each.stat().st_size for each in self.pieces)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes."""
        for each in self.pieces:
            if isinstance(each, bytes):
                yield each
                continue
            with each.open("rb") as file:
                while piece := file.read(_PIECE):
                    yield piece

    @property
    def is_in_memory(self) -> bool:
        """Tell whether nothing has to be read from files."""
        return all(isinstance(each, bytes) for each in self.pieces)


def content_of(
    words: JsonObject, body_format: BodyFormat, media_type: str | None, files: Mapping[str, Path]
) -> Content | None:
    """Return the body a mapping asks for, or None where it asks for none.

    Args:
        words: what the request mapping gave: `body`, or `form` and `files`.
        body_format: how it is written.
        media_type: in place of the format's usual one.
        files: large payloads of the request, by name.

    Raises:
        AdapterError: `adapter.mapping_failed`, naming the place.
    """
    match body_format:
        case BodyFormat.FORM if "form" in words:
            text = urlencode(_fields(words), quote_via=quote)
            return Content(media_type or "application/x-www-form-urlencoded", (text.encode("ascii"),))
        case BodyFormat.MULTIPART if "form" in words or "files" in words:
            return _multipart(words, files)
        case BodyFormat.FORM | BodyFormat.MULTIPART:
            return None
    return _body(words["body"], body_format, media_type, files) if "body" in words else None


def _body(
    body: JsonValue, body_format: BodyFormat, media_type: str | None, files: Mapping[str, Path]
) -> Content:
    match body_format:
        case BodyFormat.JSON:
            text = json.dumps(body, ensure_ascii=False)
            return Content(media_type or "application/json", (text.encode("utf-8"),))
        case BodyFormat.XML:
            return Content(media_type or "application/xml", (write_xml(body),))
        case BodyFormat.TEXT if isinstance(body, str):
            return Content(media_type or "text/plain; charset=utf-8", (body.encode("utf-8"),))
        case BodyFormat.BINARY if isinstance(body, dict):
            return Content(media_type or "application/octet-stream", (_binary(body, "/body", files),))
    raise AdapterError("adapter.mapping_failed", f"/body: cannot be written as {body_format}")


def _fields(words: JsonObject) -> list[tuple[str, str]]:
    return [pair for name, value in members(words, "form").items() for pair in parameter("form", name, value)]


def _multipart(words: JsonObject, files: Mapping[str, Path]) -> Content:
    boundary = secrets.token_hex(24)
    pieces: list[bytes | Path] = []
    for name, value in _fields(words):
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n'
        pieces.append(f"{head}{value}\r\n".encode())
    for name, given in members(words, "files").items():
        for each in given if isinstance(given, list) else [given]:
            pieces += _file(boundary, name, each, files)
    pieces.append(f"--{boundary}--\r\n".encode())
    return Content(f"multipart/form-data; boundary={boundary}", tuple(pieces))


def _file(
    boundary: str, name: str, value: JsonValue, files: Mapping[str, Path]
) -> tuple[bytes | Path, bytes | Path, bytes]:
    at = f"/files/{name}"
    if not isinstance(value, dict):
        raise AdapterError("adapter.mapping_failed", f"{at}: is not an object")
    file_name = value.get("name", value.get("payload", name))
    media_type = value.get("media_type", "application/octet-stream")
    if not isinstance(file_name, str) or not isinstance(media_type, str):
        raise AdapterError("adapter.mapping_failed", f"{at}: name and media_type are text")
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise AdapterError("adapter.mapping_failed", f"{at}/media_type: is not a media type")
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"; '
        f'filename="{_quoted(file_name)}"\r\nContent-Type: {media_type}\r\n\r\n'
    )
    return head.encode(), _binary(value, at, files), b"\r\n"


def _quoted(name: str) -> str:
    """Escape a name as browsers do, so that it cannot end its quotation marks or its line."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A").replace("\0", "%00")


def _binary(value: JsonObject, at: str, files: Mapping[str, Path]) -> bytes | Path:
    payload, text = value.get("payload"), value.get("base64")
    if isinstance(payload, str):
        if payload not in files:
            raise AdapterError("adapter.mapping_failed", f"{at}/payload: the request has no such payload")
        return files[payload]
    if not isinstance(text, str):
        raise AdapterError("adapter.mapping_failed", f"{at}: has neither payload nor base64")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as exc:
        raise AdapterError("adapter.mapping_failed", f"{at}/base64: is not base64") from exc


def members(words: JsonObject, part: str) -> JsonObject:
    """Return an object of the mapping's result; empty where it is not there.

    Raises:
        AdapterError: it is something else.
    """
    found = words.get(part, {})
    if not isinstance(found, dict):
        raise AdapterError("adapter.mapping_failed", f"/{part}: is not an object")
    return found


def parameter(
    part: str, name: str, value: JsonValue, style: Style = Style.REPEAT
) -> Iterator[tuple[str, str]]:
    """Yield a parameter's names and texts; nothing for null.

    Raises:
        AdapterError: a value cannot be written so.
    """
    at = f"/{part}/{name}"
    if style is Style.JSON:
        yield name, json.dumps(value, ensure_ascii=False)
    elif style is Style.DEEP and isinstance(value, dict):
        for inner, each in value.items():
            yield f"{name}[{inner}]", _text(each, f"{at}/{inner}")
    elif isinstance(value, list):
        texts = [_text(each, f"{at}/{number}") for number, each in enumerate(value)]
        if style in _SEPARATORS:
            separator = _SEPARATORS[style]
            if any(separator in text for text in texts):
                raise AdapterError("adapter.mapping_failed", f"{at}: a value has the separator in it")
            yield name, separator.join(texts)
        else:
            yield from ((name, text) for text in texts)
    elif value is not None:
        yield name, _text(value, at)


def _text(value: JsonValue, at: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int):
        raise AdapterError("adapter.mapping_failed", f"{at}: is neither text nor a whole number")
    return str(value)


def query_of(words: JsonObject, styles: Mapping[str, Style]) -> list[tuple[str, str]]:
    """Return the query's names and texts.

    Raises:
        AdapterError: a value cannot be written so.
    """
    return [
        pair
        for name, value in members(words, "query").items()
        for pair in parameter("query", name, value, styles.get(name, Style.REPEAT))
    ]


def headers_of(words: JsonObject, styles: Mapping[str, Style]) -> dict[str, str]:
    """Return what the mapping says in headers and cookies.

    Raises:
        AdapterError: a value cannot stand in a header (RFC 9110 section 5.5).
    """
    headers: dict[str, str] = {}
    for name, value in members(words, "headers").items():
        for _, text in parameter("headers", name, value, styles.get(name, Style.COMMA)):
            if not _HEADER_NAME.fullmatch(name) or not text.isascii() or not text.isprintable():
                raise AdapterError("adapter.mapping_failed", f"/headers/{name}: cannot stand in a header")
            headers[name] = text
    cookies = [
        f"{each}={quote(text, safe='')}"
        for name, value in members(words, "cookies").items()
        for each, text in parameter("cookies", name, value, Style.COMMA)
    ]
    return {**headers, "Cookie": "; ".join(cookies)} if cookies else headers


def path_of(path: str, words: JsonObject, styles: Mapping[str, Style]) -> str:
    """Fill the path's names, each as one segment whatever it contains.

    Raises:
        AdapterError: a name has no value, or one that would mean another path.
    """
    filled: dict[str, str] = {}
    for name, value in members(words, "path").items():
        for _, text in parameter("path", name, value, styles.get(name, Style.COMMA)):
            if text in {"", ".", ".."}:
                raise AdapterError("adapter.mapping_failed", f"/path/{name}: is empty or a relative path")
            filled[name] = quote(text, safe="")

    def fill(match: re.Match[str]) -> str:
        if match[1] not in filled:
            raise AdapterError("adapter.mapping_failed", "/path: a name of the path has no value")
        return filled[match[1]]

    return re.sub(r"\{([^{}]*)\}", fill, path)
