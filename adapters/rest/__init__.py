# SPDX-License-Identifier: Apache-2.0
"""Legacy systems that are asked over HTTP: REST services with JSON, forms, files or XML.

adapter          asks once, once for each element or page by page, and answers in the contract's words
settings         what the description says about the connection
authentication   keys, passwords, tokens, signatures
tokens           OAuth2 client credentials
asking           one request: signed in, in time, again only where that is safe
content          parameters and bodies as they are written
paging           answers in pages, gathered
answers          statuses, problem documents, bodies as they are read
xmlbodies        XML without SOAP

What a service offers is read from its OpenAPI file (`adapters.openapi`).
"""

from adapters.openapi import read_openapi
from adapters.rest.adapter import RestAdapter

__all__ = ["RestAdapter", "read_openapi"]
