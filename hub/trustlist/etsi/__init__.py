# SPDX-License-Identifier: Apache-2.0
"""Trusted lists of ETSI TS 119 612, imported as drafts for people to review and publish.

    safexml    bytes             -> an element tree without DTD, entities and network
    signature  tree + operator   -> what the scheme operator signed, and nothing else
    reading    signed tree       -> providers' services with their status and history
    mapping    services          -> rows of a draft, and what could not be mapped

Used by commands alone: it loads the library for XML signatures.
"""

from hub.trustlist.etsi.mapping import Import, Unmapped, import_etsi, write_import
from hub.trustlist.etsi.reading import EtsiList, EtsiService, read_etsi_list
from hub.trustlist.etsi.signature import signed_list

__all__ = [
    "EtsiList",
    "EtsiService",
    "Import",
    "Unmapped",
    "import_etsi",
    "read_etsi_list",
    "signed_list",
    "write_import",
]
