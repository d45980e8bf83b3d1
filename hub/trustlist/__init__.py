# SPDX-License-Identifier: Apache-2.0
"""The trust list as a signed document: its versions, its publication, its import.

Gateways and verifiers need neither a database nor routes, and only an import needs XML signatures, so those
parts are loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from hub.trustlist.archive import TrustListArchive, VersionStore
from hub.trustlist.container import SignedTrustList, describe_version, open_trust_list, sign_trust_list
from hub.trustlist.document import (
    AuthorityRow,
    BilingualName,
    Content,
    ServiceRow,
    TrustListDocument,
    decode_document,
    encode_document,
)
from hub.trustlist.folder import (
    FolderStore,
    file_name,
    read_containers,
    read_pinned,
    read_trust_lists,
    read_unsafe_unsigned_list,
)
from hub.trustlist.following import TrustListFollower
from hub.trustlist.history import TrustListHistory, check_history
from hub.trustlist.publishing import Difference, compose, differences, read_draft, sign_next, write_draft
from hub.trustlist.rules import GRACE

if TYPE_CHECKING:
    from hub.trustlist.routes import trust_list_routes
    from hub.trustlist.table import TableStore

_LOADED_ON_USE = {
    "TableStore": "hub.trustlist.table",
    "trust_list_routes": "hub.trustlist.routes",
}

__all__ = [
    "GRACE",
    "AuthorityRow",
    "BilingualName",
    "Content",
    "Difference",
    "FolderStore",
    "ServiceRow",
    "SignedTrustList",
    "TableStore",
    "TrustListArchive",
    "TrustListDocument",
    "TrustListFollower",
    "TrustListHistory",
    "VersionStore",
    "check_history",
    "compose",
    "decode_document",
    "describe_version",
    "differences",
    "encode_document",
    "file_name",
    "open_trust_list",
    "read_containers",
    "read_draft",
    "read_pinned",
    "read_trust_lists",
    "read_unsafe_unsigned_list",
    "sign_next",
    "sign_trust_list",
    "trust_list_routes",
    "write_draft",
]


def __getattr__(name: str) -> object:
    if name not in _LOADED_ON_USE:
        raise AttributeError(name)
    return getattr(import_module(_LOADED_ON_USE[name]), name)
