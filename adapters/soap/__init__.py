# SPDX-License-Identifier: Apache-2.0
"""Systems that speak SOAP 1.1 or 1.2, in both directions.

adapter    asks a legacy system's operation and turns the result into the contract's words
settings   what the description says about the connection
wire       zeep's transport: what may be loaded, the deadline, the size limit
results    zeep's result as plain JSON
signing    WS-Security signatures, on what is sent and on what comes
multipart  answers in several MIME parts
catalogue  schemas that answer for addresses, in place of the network
wsdl       WSDLs as they are met: read, mended, told
inbound    the gateway's own SOAP endpoint, with a WSDL made of the contract

zeep is slow to import, so what needs it is loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from adapters.soap.catalogue import Catalogue

if TYPE_CHECKING:
    from adapters.soap.adapter import SoapAdapter
    from adapters.soap.wsdl.reading import read_wsdl

_LOADED_ON_USE = {"SoapAdapter": "adapters.soap.adapter", "read_wsdl": "adapters.soap.wsdl.reading"}

__all__ = ["Catalogue", "SoapAdapter", "read_wsdl"]


def __getattr__(name: str) -> object:
    if name in _LOADED_ON_USE:
        return getattr(import_module(_LOADED_ON_USE[name]), name)
    raise AttributeError(name)
