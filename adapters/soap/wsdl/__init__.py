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
"""

from adapters.soap.wsdl.mending import Mended, mend
from adapters.soap.wsdl.opening import bound_service, open_client
from adapters.soap.wsdl.reading import FolderFetch, read_wsdl, repairs_of
from adapters.soap.wsdl.shapes import ShapeReader

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
