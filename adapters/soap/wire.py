# SPDX-License-Identifier: Apache-2.0
"""zeep's transport: what a WSDL may load, and each call's deadline.

A WSDL is somebody else's file. Its imports stay in its folder or on its own host; any other place has to be
named in the description, or be replaced by a file of the catalogue.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lxml import etree

from adapters.soap.multipart import Attachment, is_multipart, unpack
from adapters.web import Outgoing, Reply
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adapters.soap.settings import SoapSettings
    from adapters.web import WebClient
    from hub.identifiers import MessageId

HUGE_TEXT_BYTES = 7_000_000
"""Answers larger than this may hold one text that libxml2 refuses without its huge-tree option."""

_LOAD_SECONDS = 10.0
_WSA = "http://www.w3.org/2005/08/addressing"


@dataclass
class Attempt:
    """One call on its way: how long it may wait, for which message, what has left, what came back."""

    seconds: float
    message_id: MessageId
    is_sent: bool = False
    reply: etree._Element | None = None
    is_believed: bool = False
    attachments: tuple[Attachment, ...] = ()


class Wire:
    """What zeep sends and loads through.

    Args:
        settings: the connection.
        location: the WSDL's address or absolute path.
        client: does the HTTP.
    """

    def __init__(self, settings: SoapSettings, location: str, client: WebClient) -> None:
        self._client = client
        self._has_huge_text = settings.max_answer_bytes > HUGE_TEXT_BYTES
        self._message_id_header = settings.message_id_header
        self._has_message_id = settings.message_id is not None
        self._attempt: ContextVar[Attempt] = ContextVar("attempt")
        self._hosts = set(settings.import_hosts)
        self._root: Path | None = None
        if settings.is_remote():
            self._hosts.add(urlsplit(location).netloc)
        else:
            self._root = (settings.imports_below or Path(location).parent).resolve()

    @contextmanager
    def attempt(self, seconds: float, message_id: MessageId) -> Iterator[Attempt]:
        """Give the calls made inside, on this thread, so many seconds; they are for this message."""
        attempt = Attempt(seconds, message_id)
        token = self._attempt.set(attempt)
        try:
            yield attempt
        finally:
            self._attempt.reset(token)

    def mark(
        self, envelope: etree._Element, http_headers: Mapping[str, str]
    ) -> tuple[etree._Element, dict[str, str]]:
        """Write the message id of the attempt on this thread where the connection's settings want it."""
        message_id, headers = self._attempt.get().message_id, dict(http_headers)
        if self._message_id_header is not None:
            headers[self._message_id_header] = message_id
        if self._has_message_id:
            namespace = etree.QName(envelope).namespace
            header = envelope.find(f"{{{namespace}}}Header")
            if header is None:
                header = etree.Element(f"{{{namespace}}}Header")
                envelope.insert(0, header)
            etree.SubElement(header, f"{{{_WSA}}}MessageID").text = f"urn:uuid:{message_id}"
        return envelope, headers

    def keep(self, reply: etree._Element) -> None:
        """Remember the reply of the attempt on this thread, as zeep has parsed it."""
        self._attempt.get().reply = reply

    def load(self, url: str) -> bytes:
        """Return the WSDL or one of its imports.

        Raises:
            AdapterError: `adapter.configuration_invalid`, the place is not allowed or not there;
                or the network's own errors.
        """
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"}:
            if parts.netloc not in self._hosts:
                raise AdapterError("adapter.configuration_invalid", f"the WSDL imports from {parts.netloc}")
            reply = self._client.send(Outgoing("GET", url), seconds=_LOAD_SECONDS)
            if reply.status_code != 200:
                raise AdapterError("adapter.system_unreachable", f"HTTP {reply.status_code} for {url}")
            return reply.content
        path = Path(unquote(parts.path) if parts.scheme == "file" else url).resolve()
        if self._root is None or not path.is_relative_to(self._root):
            raise AdapterError(
                "adapter.configuration_invalid", f"the WSDL imports a file out of its folder: {path}"
            )
        return _read(path)

    def post_xml(self, address: str, envelope: etree._Element, headers: Mapping[str, str]) -> Reply:
        """Send an envelope."""
        return self.post(address, etree.tostring(envelope, xml_declaration=True, encoding="utf-8"), headers)

    def post(self, address: str, message: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a message within the attempt's time."""
        attempt = self._attempt.get()
        attempt.is_sent = True
        outgoing = Outgoing("POST", address, headers=headers, content=message)
        reply = self._client.send(outgoing, seconds=attempt.seconds)
        if not is_multipart(reply.headers):
            return reply
        content, attempt.attachments = unpack(reply.headers, reply.content, has_huge_text=self._has_huge_text)
        return Reply(reply.status_code, {"Content-Type": "text/xml"}, content)

    def believe(self) -> None:
        """Remember that the answer of the attempt on this thread is signed as it has to be."""
        self._attempt.get().is_believed = True


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise AdapterError("adapter.configuration_invalid", f"cannot read {path}") from exc
