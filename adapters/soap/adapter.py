# SPDX-License-Identifier: Apache-2.0
"""Ask one operation of a SOAP service and answer in the contract's words."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any

import zeep
from lxml import etree
from zeep.exceptions import Error as ZeepError
from zeep.exceptions import Fault, TransportError
from zeep.helpers import serialize_object
from zeep.wsse.username import UsernameToken

from adapters.addresses import endpoint_of
from adapters.ports import Answer, Call, JsonObject, JsonValue
from adapters.probing import reach_all
from adapters.soap.results import to_json
from adapters.soap.settings import PasswordType, SoapSettings
from adapters.soap.wire import Wire
from adapters.sources import Probe, found
from adapters.web import WebClient, with_port
from hub.errors import AdapterError

if TYPE_CHECKING:
    from adapters.entry import ServiceEntry
    from hub.identifiers import MessageId

# zeep publishes no types, so at this edge it is Any.
_zeep: Any = zeep
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
        return reach_all([address], max(seconds - (time.monotonic() - started), 0.001), at=at)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _load(self) -> Any:
        """Read the WSDL and return the operation, bound to its address."""
        settings = self._settings
        is_closed = not (settings.catalog or settings.import_hosts or settings.is_remote())
        # 7 MB of base64 is where libxml2 refuses a text node without its huge-tree option.
        strictness = _zeep.Settings(
            forbid_dtd=True,
            forbid_entities=True,
            forbid_external=is_closed,
            force_https=False,
            xml_huge_tree=settings.max_answer_bytes > 7_000_000,
        )
        try:
            client = _zeep.Client(
                self._location,
                wsse=_username_token(settings),
                transport=self._wire,
                settings=strictness,
                plugins=[_ReplyKeeper(self._wire)],
            )
            name, address = _bound(client, settings)
            address = with_port(address, settings.port)
            if not settings.is_remote():
                # The file came with the description; a WSDL fetched from elsewhere has no say.
                self._guard.admit(endpoint_of(address))
            return client.create_service(name, address)[settings.operation]
        except (ZeepError, etree.LxmlError, ValueError, KeyError, AttributeError) as exc:
            raise AdapterError("adapter.configuration_invalid", f"{self._entry.at}: the WSDL: {exc}") from exc

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
                return self._with_flags(result, attempt.reply)
            except Fault as exc:
                raise self._fault(exc) from exc
            except TransportError as exc:
                raise _transport_error(exc) from exc
            except (ZeepError, etree.LxmlError, ValueError, TypeError, KeyError) as exc:
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


def _bound(client: Any, settings: SoapSettings) -> tuple[str, str]:
    """Return the binding's name and the service's address."""
    if settings.binding is not None and settings.address is not None:
        return settings.binding, settings.address
    for service in client.wsdl.services.values():
        for port in service.ports.values():
            name = port.binding.name.text
            if settings.binding in (None, name):
                return name, settings.address or port.binding_options["address"]
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
