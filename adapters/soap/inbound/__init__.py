# SPDX-License-Identifier: Apache-2.0
"""SOAP towards the hub: a department's old system asks with a WSDL made of the contract.

desk          the endpoint: envelope in, message to the hub, verified answer out
settings      what `soap:` of a gateway's configuration says
callers       who may ask
contractwsdl  a contract as a WSDL
form          a contract's JSON Schema as a form of XML, in both directions
envelopes     SOAP envelopes and faults
"""

from adapters.soap.inbound.contractwsdl import ContractForm, contract_form, contract_wsdl
from adapters.soap.inbound.desk import SoapDesk
from adapters.soap.inbound.settings import SoapServiceSettings

__all__ = ["ContractForm", "SoapDesk", "SoapServiceSettings", "contract_form", "contract_wsdl"]
