# SPDX-License-Identifier: Apache-2.0
"""What a REST service answered: a value for the mapping, a document, or an error with a code.

Source: RFC 9110 section 15 (status codes); RFC 9457 (problem documents).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from adapters.bodies import read_json
from adapters.ports import DeferredError, Document
from adapters.rest.settings import AnswerFormat
from adapters.rest.xmlbodies import read_xml
from hub.errors import AdapterError

if TYPE_CHECKING:
    from adapters.ports import JsonObject, JsonValue
    from adapters.rest.settings import RestSettings
    from adapters.web import Reply

_USUAL = {
    404: "record_not_found",
    408: "system_timeout",
    410: "record_not_found",
    429: "system_unreachable",
    502: "system_unreachable",
    503: "system_unreachable",
    504: "system_timeout",
}
# What names a kind of problem or a field; anything else may tell something about a person.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9+.:/_#-]{0,119}", re.ASCII)
_FIELD = re.compile(r"[A-Za-z_][A-Za-z_.\[\]-]{0,63}", re.ASCII)
_MOST_FIELDS = 5
_KEPT_HEADERS = ("location", "etag", "last-modified", "content-type", "link", "date")


@dataclass(frozen=True)
class Read:
    """An answer as read; `document` beside it where it is a file."""

    value: JsonValue
    document: Document | None = None


def read_answer(reply: Reply, settings: RestSettings) -> Read:
    """Return what the answer says.

    Raises:
        AdapterError: its status or its problem document is an error, or it cannot be read.
        DeferredError: 202 Accepted where the answer comes later.
    """
    status = reply.status_code
    problem = _problem(reply) if status >= HTTPStatus.BAD_REQUEST else {}
    code = _code(status, problem, settings)
    if code is not None:
        raise AdapterError(f"adapter.{code}", f"HTTP {status}{_shown(problem)}")
    if status == HTTPStatus.ACCEPTED and settings.deferred_seconds is not None:
        raise DeferredError(timedelta(seconds=settings.deferred_seconds), _retry_after(reply))
    read = _body(reply, settings)
    if not settings.whole_answer:
        return read
    headers = {name: reply.headers[name] for name in _KEPT_HEADERS if name in reply.headers}
    return Read({"status": status, "headers": headers, "body": read.value}, read.document)


def _code(status: int, problem: JsonObject, settings: RestSettings) -> str | None:
    for name in ("type", "code"):
        kind = problem.get(name)
        if isinstance(kind, str) and kind in settings.problems:
            return settings.problems[kind]
    configured = settings.statuses.get(str(status))
    return configured or _USUAL.get(status) or ("system_fault" if status >= HTTPStatus.BAD_REQUEST else None)


def _problem(reply: Reply) -> JsonObject:
    """Return a problem document; empty where the service sent none, as nothing obliges it to."""
    media_type = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not media_type.endswith("json"):
        return {}
    try:
        said = read_json(reply.content)
    except AdapterError:
        # The status is what counts; a broken explanation of it explains nothing.
        return {}
    return said if isinstance(said, dict) else {}


def _shown(problem: JsonObject) -> str:
    """Say what kind of problem it is and which fields it names, and nothing a person might have written."""
    kinds = [problem.get(name) for name in ("type", "code", "error")]
    shown = [kind for kind in kinds if isinstance(kind, str) and _PLAIN.fullmatch(kind)]
    if "about:blank" in shown:
        shown.remove("about:blank")
    fields = []
    for listed in (problem.get("invalidParams"), problem.get("invalid-params"), problem.get("errors")):
        for each in listed if isinstance(listed, list) else ():
            name = each.get("name", each.get("field")) if isinstance(each, dict) else None
            if isinstance(name, str) and _FIELD.fullmatch(name):
                fields.append(name)
    text = f", problem {', '.join(dict.fromkeys(shown))}" if shown else ""
    return f"{text}, fields {', '.join(fields[:_MOST_FIELDS])}" if fields else text


def _body(reply: Reply, settings: RestSettings) -> Read:
    if settings.document is not None:
        media_type = reply.headers.get("content-type", "application/octet-stream").partition(";")[0].strip()
        document = Document(settings.document, media_type, reply.content)
        return Read({"media_type": media_type, "size": len(reply.content)}, document)
    if reply.status_code == HTTPStatus.NO_CONTENT:
        return Read(None)
    if settings.answer_format is AnswerFormat.XML:
        return Read(read_xml(reply.content))
    if settings.answer_format is AnswerFormat.TEXT:
        try:
            return Read(reply.content.decode(settings.encoding))
        except UnicodeDecodeError as exc:
            detail = f"the answer is not text in {settings.encoding}"
            raise AdapterError("adapter.answer_unreadable", detail) from exc
    return Read(read_json(reply.content, settings.encoding))


def _retry_after(reply: Reply) -> timedelta | None:
    """Return what the service says in seconds (RFC 9110 section 10.2.3); a date is left alone."""
    text = reply.headers.get("retry-after", "")
    return (
        timedelta(seconds=max(int(text), 1)) if text.isascii() and text.isdigit() and len(text) < 8 else None
    )
