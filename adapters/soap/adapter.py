# SPDX-License-Identifier: Apache-2.0
"""Ask one operation of a SOAP service and answer in the contract's words."""

from __future__ import annotations

import re
import threading
import time
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from lxml import etree
from zeep.exceptions import Error as ZeepError
from zeep.exceptions import Fault, TransportError
from zeep.helpers import serialize_object
from zeep.wsse.username import UsernameToken

from adapters.ports import Answer, Call, JsonObject, JsonValue
from adapters.probing import reach_all
from adapters.soap.catalogue import Catalogue
from adapters.soap.results import to_json
from adapters.soap.settings import PasswordType, SoapSettings
from adapters.soap.signing import Signer, Verifier
from adapters.soap.wire import HUGE_TEXT_BYTES, Wire
from adapters.soap.wsdl import bound_service, mend, open_client
from adapters.sources import Probe, Severity, found
from adapters.web import WebClient, with_port
from hub.errors import AdapterError, Language

if TYPE_CHECKING:
    from adapters.entry import ServiceEntry
    from adapters.soap.multipart import Attachment
    from hub.clock import Clock
    from hub.identifiers import MessageId

# zeep publishes no types, so at this edge it is Any.
_serialize: Any = serialize_object
_UsernameToken: Any = UsernameToken

_BUSY = frozenset({502, 503, 504})


class _ReplyKeeper:
    """Hands the parsed reply to the attempt it belongs to."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def ingress(
        self, envelope: etree._Element, http_headers: Any, operation: Any
    ) -> tuple[etree._Element, Any]:
        """Keep the envelope; called by zeep for every reply."""
        del operation
        self._wire.keep(envelope)
        return envelope, http_headers

    def egress(
        self, envelope: etree._Element, http_headers: Any, operation: Any, binding_options: Any
    ) -> tuple[etree._Element, Any]:
        """Add the message id where the description asks for it; called by zeep for every request."""
        del operation, binding_options
        return self._wire.mark(envelope, http_headers)


class SoapAdapter:
    """One operation of one SOAP service.

    The WSDL is read once, when the gateway starts. Where it lies on the legacy system itself and that cannot
    be reached then, the first call reads it, so that one system's outage does not stop a whole gateway.

    Args:
        entry: the service as described.

    Raises:
        AdapterError: `adapter.configuration_invalid`, the description or the WSDL cannot be used.
    """

    def __init__(self, entry: ServiceEntry) -> None:
        self._entry = entry
        self._translation = entry.translation
        self._settings = entry.settings(SoapSettings)
        self._location = self._settings.wsdl_location(entry.surroundings.folder)
        self._guard = entry.guard(*self._settings.endpoints(self._location))
        self._client = WebClient(
            max_answer_bytes=self._settings.max_answer_bytes,
            tls=self._settings.tls,
            guard=self._guard,
            at=entry.at,
        )
        self._wire = Wire(self._settings, self._location, self._client)
        self._lock = threading.Lock()
        self._security = Security(self._settings, self._wire, entry.clock, entry.at)
        self._operation: Any = None
        try:
            self._operation = self._load()
        except AdapterError as exc:
            if not exc.is_retryable:
                self._client.close()
                raise

    def answer(self, request: JsonObject, call: Call) -> Answer:
        """Ask the operation; see `adapters.ports.Adapter`."""
        arguments = self._translation.to_system(request, call)
        result = self._ask(arguments, self._entry.seconds_for(call), call.message_id)
        return Answer(self._translation.to_contract(result, request, call))

    def probe(self, seconds: float) -> Probe:
        """Read the WSDL where that is still to be done, and connect to the service's address.

        See `adapters.ports.Adapter`.
        """
        started = time.monotonic()
        at = f"{self._entry.at}.connection"
        try:
            operation = self._loaded()
        except AdapterError as exc:
            finding = found("source.unreadable", f"{at}.wsdl", reason=exc.detail)
            return Probe(is_reachable=False, took_seconds=time.monotonic() - started, findings=(finding,))
        address = operation._proxy._binding_options["address"]  # noqa: SLF001 - zeep tells it nowhere else
        return reach_all(
            [address], max(seconds - (time.monotonic() - started), 0.001), at=at, guard=self._guard
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _load(self) -> Any:
        """Read the WSDL and return the operation, bound to its address."""
        settings = self._settings
        mended = self._mended()
        try:
            client = open_client(
                mended,
                wire=self._wire,
                wsse=self._security,
                plugins=[_ReplyKeeper(self._wire)],
                has_huge_text=settings.max_answer_bytes > HUGE_TEXT_BYTES,
            )
            binding, address = _bound(client, settings)
            service = bound_service(client, binding, with_port(address, settings.port))
            return service[settings.operation]
        except (ValueError, KeyError, AttributeError) as exc:
            raise AdapterError("adapter.configuration_invalid", f"{self._entry.at}: the WSDL: {exc}") from exc

    def _mended(self) -> bytes:
        """Return the WSDL as one sound document; every repair has to be accepted by the description."""
        settings = self._settings
        catalogue = Catalogue(settings.catalog, settings.catalog_folders)
        try:
            mended = mend(self._location, self._wire.load, catalogue)
        except (OSError, ValueError, RecursionError) as exc:
            raise AdapterError("adapter.configuration_invalid", f"{self._entry.at}: the WSDL: {exc}") from exc
        accepted = set(settings.repairs) if mended.content is not None else set()
        refused = [
            finding
            for finding in mended.findings
            if finding.severity is not Severity.INFO and finding.code not in accepted
        ]
        if refused or mended.content is None:
            told = "; ".join(
                f"{finding.at}: {finding.message[Language.EN]} [{finding.code}]" for finding in refused
            )
            raise AdapterError("adapter.configuration_invalid", f"{self._entry.at}: the WSDL: {told}")
        return mended.content

    def _loaded(self) -> Any:
        with self._lock:
            if self._operation is None:
                self._operation = self._load()
            return self._operation

    def _ask(self, arguments: JsonObject, seconds: float, message_id: MessageId) -> JsonValue:
        operation = self._loaded()
        with self._wire.attempt(seconds, message_id) as attempt:
            try:
                result = to_json(_serialize(operation(**arguments), dict))
                if self._security.is_demanding and not attempt.is_believed:
                    raise AdapterError("adapter.signature_invalid", "an answer without content")
                return self._with_attachments(self._with_flags(result, attempt.reply), attempt.attachments)
            except Fault as exc:
                raise self._fault(exc) from exc
            except TransportError as exc:
                raise _transport_error(exc) from exc
            except (ZeepError, etree.LxmlError, ValueError, TypeError, LookupError, AttributeError) as exc:
                # zeep raises the same errors for what it cannot write and for what it cannot read.
                code = "adapter.answer_unreadable" if attempt.is_sent else "adapter.mapping_failed"
                raise AdapterError(code, f"{type(exc).__name__} at {self._settings.operation}") from exc

    def _with_flags(self, result: JsonValue, reply: etree._Element | None) -> JsonValue:
        if not self._settings.flags or reply is None:
            return result
        flags: JsonObject = {name: reply.find(f".//{{*}}{name}") is not None for name in self._settings.flags}
        if result is not None and not isinstance(result, dict):
            raise AdapterError("adapter.answer_unreadable", "flags need an answer that is an object")
        return {**(result or {}), **flags}

    def _with_attachments(self, result: JsonValue, attachments: tuple[Attachment, ...]) -> JsonValue:
        if not self._settings.attachments:
            return result
        if result is not None and not isinstance(result, dict):
            raise AdapterError("adapter.answer_unreadable", "attachments need an answer that is an object")
        listed: list[JsonValue] = [
            {"id": one.content_id, "media_type": one.media_type, "content": b64encode(one.content).decode()}
            for one in attachments
        ]
        return {**(result or {}), "_attachments": listed}

    def _fault(self, fault: Fault) -> AdapterError:
        """Turn a SOAP fault into a coded error; its text may hold personal data and stays in the cause."""
        codes = [_local(code) for code in (fault.code, *(fault.subcodes or ())) if code is not None]
        element = self._settings.fault_code_element
        if element is not None and fault.detail is not None:
            codes += [str(child.text).strip() for child in fault.detail.iter(f"{{*}}{element}") if child.text]
        for code in codes:
            if code in self._settings.fault_codes:
                return AdapterError(f"adapter.{self._settings.fault_codes[code]}", f"fault {code}")
        shown = ", ".join(re.sub(r"[^\w.:-]", "?", code)[:60] for code in codes)
        return AdapterError("adapter.system_fault", f"fault {shown}")


class Security:
    """WS-Security as zeep asks for it: a token and a signature on what is sent, a signature on what comes.

    Args:
        settings: the connection.
        wire: is told that an answer is believed.
        clock: for time stamps and certificates.
        at: where the description stands, for errors.

    Raises:
        AdapterError: `adapter.configuration_invalid`, a key or a certificate cannot be used.
    """

    def __init__(self, settings: SoapSettings, wire: Wire, clock: Clock, at: str) -> None:
        self._wire = wire
        self._token = _username_token(settings)
        self._signer = Signer.load(settings.signature, clock, at) if settings.signature else None
        reply = settings.reply_signature
        self._verifier = Verifier.load(reply, clock, at) if reply else None

    @property
    def is_demanding(self) -> bool:
        """Tell whether an answer has to be signed."""
        return self._verifier is not None

    def apply(self, envelope: etree._Element, headers: Any) -> tuple[etree._Element, Any]:
        """Complete an envelope that is about to be sent; called by zeep."""
        if self._token is not None:
            envelope, headers = self._token.apply(envelope, headers)
        if self._signer is not None:
            self._signer.sign(envelope)
        return envelope, headers

    def verify(self, envelope: etree._Element) -> etree._Element:
        """Hold an answer to its signature; called by zeep before anything is read of it."""
        if self._verifier is not None:
            self._verifier.verify(envelope)
            self._wire.believe()
        return envelope


def _bound(client: Any, settings: SoapSettings) -> tuple[str, str]:
    """Return the binding's name and the service's address."""
    wanted = settings.binding
    names = [name for name in client.wsdl.bindings if wanted in {None, name}] or [
        name for name in client.wsdl.bindings if _local(name) == _local(wanted)
    ]
    for service in client.wsdl.services.values():
        for port in service.ports.values():
            address = settings.address or (port.binding_options or {}).get("address")
            if port.binding is not None and port.binding.name.text in names and address:
                return port.binding.name.text, address
    if wanted is not None and names and settings.address is not None:
        return names[0], settings.address
    raise ValueError("has no service with that binding; name binding and address")


def _username_token(settings: SoapSettings) -> Any:
    token = settings.username_token
    if token is None:
        return None
    return _UsernameToken(
        token.username, token.password.reveal(), use_digest=token.password_type is PasswordType.DIGEST
    )


def _transport_error(exc: TransportError) -> AdapterError:
    if exc.status_code in _BUSY:
        return AdapterError("adapter.system_unreachable", f"HTTP {exc.status_code}")
    if exc.status_code == 200:
        return AdapterError("adapter.answer_unreadable", "the answer is not XML")
    return AdapterError("adapter.system_fault", f"HTTP {exc.status_code} without a SOAP fault")


def _local(code: Any) -> str:
    text = code.localname if isinstance(code, etree.QName) else str(code)
    return text.rpartition(":")[2].rpartition("}")[2]
