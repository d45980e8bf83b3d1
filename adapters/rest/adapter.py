# SPDX-License-Identifier: Apache-2.0
"""Ask a JSON service and answer in the contract's words."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http import HTTPMethod, HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from adapters.addresses import endpoint_of
from adapters.bodies import read_json
from adapters.ports import Answer, Call, DeferredError, JsonObject, JsonValue
from adapters.probing import reach_all
from adapters.rest.settings import RestSettings
from adapters.web import Outgoing, WebClient, with_port
from hub.errors import AdapterError
from hub.telemetry import carrying

if TYPE_CHECKING:
    from adapters.entry import ServiceEntry
    from adapters.sources import Probe
    from adapters.web import Reply

_SAFE = frozenset({HTTPMethod.GET, HTTPMethod.HEAD})
_USUAL = {
    404: "record_not_found",
    408: "system_timeout",
    429: "system_unreachable",
    502: "system_unreachable",
    503: "system_unreachable",
    504: "system_timeout",
}


class RestAdapter:
    """One resource of one JSON service.

    Args:
        entry: the service as described.

    Raises:
        AdapterError: `adapter.configuration_invalid`, the description cannot be used.
    """

    def __init__(self, entry: ServiceEntry) -> None:
        self._entry = entry
        self._translation = entry.translation
        self._settings = settings = entry.settings(RestSettings)
        if settings.deferred_seconds is not None and not entry.is_repeatable:
            raise AdapterError("adapter.configuration_invalid", f"{entry.at}: deferred, so asked again")
        self._url = with_port(settings.url, settings.port).rstrip("/")
        self._client = WebClient(
            max_answer_bytes=settings.max_answer_bytes,
            tls=settings.tls,
            guard=entry.guard(endpoint_of(self._url)),
            at=entry.at,
        )
        self._headers = {
            "Accept": "application/json",
            **settings.headers,
            **(settings.auth.headers() if settings.auth else {}),
        }

    def answer(self, request: JsonObject, call: Call) -> Answer:
        """Ask the service; see `adapters.ports.Adapter`."""
        deadline = time.monotonic() + self._entry.seconds_for(call)
        if self._settings.for_each is None:
            words = self._translation.to_system(request, call)
            answer = self._read(self._ask(words, deadline, call.message_id))
        else:
            answer = self._ask_each(request, call, deadline)
        return Answer(self._translation.to_contract(answer, request, call))

    def probe(self, seconds: float) -> Probe:
        """Connect to the service's host; see `adapters.ports.Adapter`."""
        return reach_all([self._url], seconds, at=f"{self._entry.at}.connection.url")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask_each(self, request: JsonObject, call: Call, deadline: float) -> list[JsonValue]:
        """Ask once for each element; an element that is not found is an answer too."""
        assert self._settings.for_each is not None  # noqa: S101 - the caller has looked
        elements = self._settings.for_each.evaluate({"request": request}, at="for_each")
        if not isinstance(elements, list):
            raise AdapterError("adapter.mapping_failed", "for_each: is not an array")

        def ask(numbered: tuple[int, JsonValue]) -> JsonValue:
            number, element = numbered
            words = self._translation.to_system(request, call, item=element)
            try:
                body = self._read(self._ask(words, deadline, f"{call.message_id}.{number}"))
            except AdapterError as exc:
                if exc.code != "adapter.record_not_found":
                    raise
                return {"item": element, "is_found": False, "body": None}
            return {"item": element, "is_found": True, "body": body}

        with ThreadPoolExecutor(self._settings.parallel) as pool:
            futures = [pool.submit(carrying(ask), numbered) for numbered in enumerate(elements)]
            try:
                return [future.result() for future in futures]
            except (AdapterError, DeferredError):
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _ask(self, words: JsonObject, deadline: float, key: str) -> Reply:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise AdapterError("adapter.system_timeout", "not everything was answered in time")
        headers = dict(self._headers)
        content = None
        if "body" in words:
            content = json.dumps(words["body"], ensure_ascii=False).encode("utf-8")
            headers["Content-Type"] = "application/json"
        if self._settings.idempotency_header is not None and self._settings.method not in _SAFE:
            # A string of RFC 9651, as draft-ietf-httpapi-idempotency-key-header section 2.1 has it.
            headers[self._settings.idempotency_header] = f'"{key}"'
        outgoing = Outgoing(
            self._settings.method,
            self._url + _filled(self._settings.path, _texts(words, "path")),
            headers=headers,
            params=_texts(words, "query"),
            content=content,
        )
        return self._client.send(outgoing, seconds=seconds)

    def _read(self, reply: Reply) -> JsonValue:
        status = reply.status_code
        configured = self._settings.statuses.get(str(status))
        code = configured or _USUAL.get(status) or ("system_fault" if status >= 400 else None)
        if code is not None:
            raise AdapterError(f"adapter.{code}", f"HTTP {status}")
        if status == HTTPStatus.ACCEPTED and self._settings.deferred_seconds is not None:
            raise DeferredError(timedelta(seconds=self._settings.deferred_seconds), _retry_after(reply))
        if status == HTTPStatus.NO_CONTENT:
            return None
        return read_json(reply.content, self._settings.encoding)


def _retry_after(reply: Reply) -> timedelta | None:
    """Return what the service says in seconds (RFC 9110 section 10.2.3); a date is left alone."""
    text = reply.headers.get("retry-after", "")
    return (
        timedelta(seconds=max(int(text), 1)) if text.isascii() and text.isdigit() and len(text) < 8 else None
    )


def _texts(words: JsonObject, part: str) -> dict[str, str]:
    members = words.get(part, {})
    if not isinstance(members, dict):
        raise AdapterError("adapter.mapping_failed", f"/{part}: is not an object")
    texts = {}
    for name, value in members.items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise AdapterError(
                "adapter.mapping_failed", f"/{part}/{name}: is neither text nor a whole number"
            )
        texts[name] = str(value)
    return texts


def _filled(path: str, values: dict[str, str]) -> str:
    """Fill the path's names, each as one segment whatever it contains.

    Raises:
        AdapterError: a name has no value, or one that would mean another path.
    """
    for name, value in values.items():
        if value in {"", ".", ".."}:
            raise AdapterError("adapter.mapping_failed", f"/path/{name}: is empty or a relative path")
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    if "{" in path:
        raise AdapterError("adapter.mapping_failed", "/path: a name of the path has no value")
    return path
