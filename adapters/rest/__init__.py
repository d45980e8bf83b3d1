# SPDX-License-Identifier: Apache-2.0
"""Legacy systems that answer JSON over HTTP.

adapter    asks once, or once for each element, and turns the answer into the contract's words
settings   what the description says about the connection
"""

from adapters.openapi import read_openapi
from adapters.rest.adapter import RestAdapter

__all__ = ["RestAdapter", "read_openapi"]
