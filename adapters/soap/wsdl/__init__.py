# SPDX-License-Identifier: Apache-2.0
"""WSDLs as they are met: read without the network, repaired where it is clear how, and told what is wrong.

reading      a WSDL's operations and findings, for people
mending      a WSDL and all it imports as one sound document
library      the files it is made of
parsing      one file as XML, as far as it goes
schemas      all its schemas, each in its namespace
definitions  its messages, port types, bindings and services
writing      schemas with every name defined
output       the document they are written into
names        namespaces and qualified names
opening      zeep's client for a sound document
shapes       zeep's types as a mapping sees them

zeep is slow to import, so what needs it is loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.soap.wsdl.mending import Mended, mend
    from adapters.soap.wsdl.opening import bound_service, open_client
    from adapters.soap.wsdl.reading import FolderFetch, read_wsdl, repairs_of
    from adapters.soap.wsdl.shapes import ShapeReader

_LOADED_ON_USE = {
    "FolderFetch": "reading",
    "Mended": "mending",
    "ShapeReader": "shapes",
    "bound_service": "opening",
    "mend": "mending",
    "open_client": "opening",
    "read_wsdl": "reading",
    "repairs_of": "reading",
}

__all__ = [
    "FolderFetch",
    "Mended",
    "ShapeReader",
    "bound_service",
    "mend",
    "open_client",
    "read_wsdl",
    "repairs_of",
]


def __getattr__(name: str) -> object:
    if name in _LOADED_ON_USE:
        return getattr(import_module(f"adapters.soap.wsdl.{_LOADED_ON_USE[name]}"), name)
    raise AttributeError(name)
