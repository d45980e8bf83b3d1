# SPDX-License-Identifier: Apache-2.0
"""Legacy systems that speak SOAP 1.1 or 1.2, described by their WSDL.

adapter    asks the operation and turns the result into the contract's words
settings   what the description says about the connection
wire       zeep's transport: what may be loaded, the deadline, the size limit
results    zeep's result as plain JSON
"""

from adapters.soap.adapter import SoapAdapter

__all__ = ["SoapAdapter"]
