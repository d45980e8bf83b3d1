# SPDX-License-Identifier: Apache-2.0
"""Ask a REST service and answer in the contract's words."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from adapters.addresses import endpoint_of
from adapters.ports import Answer, Call, DeferredError, JsonObject, JsonValue
from adapters.probing import reach_all
from adapters.rest.answers import Read, read_answer
from adapters.rest.asking import SAFE, Sender
from adapters.rest.authentication import OAuth2Auth
from adapters.rest.content import content_of, headers_of, path_of, query_of
from adapters.rest.paging import Page, gather
from adapters.rest.settings import RestSettings
from adapters.sources import found
from adapters.web import Outgoing, WebClient, with_port
from hub.errors import AdapterError
from hub.telemetry import carrying

if TYPE_CHECKING:
    from adapters.entry import ServiceEntry
    from adapters.sources import Probe


class RestAdapter:
    """One resource of one REST service.

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
        self._addresses = [self._url]
        self._addresses += [each.token_url for each in settings.auth if isinstance(each, OAuth2Auth)]
        self._guard = entry.guard(*(endpoint_of(address) for address in self._addresses))
        self._client = WebClient(
            max_answer_bytes=settings.max_answer_bytes,
            tls=settings.tls,
            guard=self._guard,
            at=entry.at,
        )
        self._sender = Sender(entry, settings, self._client)

    def answer(self, request: JsonObject, call: Call) -> Answer:
        """Ask the service; see `adapters.ports.Adapter`."""
        deadline = time.monotonic() + self._entry.seconds_for(call)
        if self._settings.for_each is None:
            words = self._translation.to_system(request, call)
            read = self._ask(words, deadline, call, call.message_id)
        else:
            read = Read(self._ask_each(request, call, deadline))
        documents = (read.document,) if read.document is not None else ()
        return Answer(self._translation.to_contract(read.value, request, call), documents)

    def probe(self, seconds: float) -> Probe:
        """Connect to the service's hosts, and read `probe_path` where there is one; see `Adapter`."""
        started = time.monotonic()
        at = f"{self._entry.at}.connection"
        probe = reach_all(self._addresses, seconds, at=f"{at}.url", guard=self._guard)
        if not probe.is_reachable or self._settings.probe_path is None:
            return probe
        request = Outgoing("GET", self._url + quote(self._settings.probe_path, safe="/%"), self._headers())
        try:
            reply = self._sender.send(request, started + seconds)
        except AdapterError as exc:
            finding = found("probe.not_asked", f"{at}.probe_path", error=exc.code, reason=exc.detail)
        else:
            if reply.status_code < 400:
                return replace(probe, took_seconds=time.monotonic() - started)
            finding = found("probe.refused", f"{at}.probe_path", status=reply.status_code)
        return replace(
            probe, is_reachable=False, took_seconds=time.monotonic() - started, findings=(finding,)
        )

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
                body = self._ask(words, deadline, call, f"{call.message_id}.{number}").value
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

    def _ask(self, words: JsonObject, deadline: float, call: Call, key: str) -> Read:
        settings = self._settings
        request = self._request(words, call, key)
        if settings.paging is None:
            return read_answer(self._sender.send(request, deadline), settings)

        def ask(url: str) -> Page:
            reply = self._sender.send(replace(request, url=url), deadline)
            return Page(read_answer(reply, settings).value, reply.headers.get("link", ""))

        return Read(gather(request.url, settings.paging, ask))

    def _request(self, words: JsonObject, call: Call, key: str) -> Outgoing:
        settings = self._settings
        headers = {**self._headers(), **headers_of(words, settings.styles)}
        content = content_of(words, settings.body_format, settings.body_type, call.files)
        if content is not None:
            headers |= {"Content-Type": content.media_type, "Content-Length": str(content.size)}
        if settings.idempotency_header is not None and settings.method not in SAFE:
            # A string of RFC 9651, as draft-ietf-httpapi-idempotency-key-header section 2.1 has it.
            headers[settings.idempotency_header] = f'"{key}"'
        query = urlencode(query_of(words, settings.styles), quote_via=quote)
        return Outgoing(
            settings.method,
            self._url + path_of(settings.path, words, settings.styles) + (f"?{query}" if query else ""),
            headers=headers,
            content=b"".join(content) if content is not None and content.is_in_memory else content,
        )

    def _headers(self) -> dict[str, str]:
        accepted = {"json": "application/json", "xml": "application/xml"}
        return {
            "Accept": accepted.get(self._settings.answer_format, "*/*"),
            **self._settings.headers,
        }
