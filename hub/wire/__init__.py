# SPDX-License-Identifier: Apache-2.0
"""Connections: TLS with certificates on both sides, limits on requests, headers of answers.

Commands neither serve nor keep connections, so the libraries for both are loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from hub.wire.clients import ClientsByCertificate, client_member
from hub.wire.limits import WireLimits, read_limits
from hub.wire.peers import PeerJudge, peer_chain, tls_extension
from hub.wire.plainness import is_loopback, leaves_in_plain, require_protected
from hub.wire.refusing import PROBLEM_MEDIA_TYPE, describe
from hub.wire.tls import (
    ClientCertificates,
    JudgingContext,
    TlsMaterial,
    client_context,
    judging_context,
    server_context,
)

if TYPE_CHECKING:
    from hub.wire.connecting import JudgingConnector, RenewedTransport, expecting
    from hub.wire.doorkeeper import Doorkeeper
    from hub.wire.headers import SecurityHeaders
    from hub.wire.serving import server_config

_LOADED_ON_USE = {
    "Doorkeeper": "hub.wire.doorkeeper",
    "JudgingConnector": "hub.wire.connecting",
    "RenewedTransport": "hub.wire.connecting",
    "SecurityHeaders": "hub.wire.headers",
    "expecting": "hub.wire.connecting",
    "server_config": "hub.wire.serving",
}

__all__ = [
    "PROBLEM_MEDIA_TYPE",
    "ClientCertificates",
    "ClientsByCertificate",
    "Doorkeeper",
    "JudgingConnector",
    "JudgingContext",
    "PeerJudge",
    "RenewedTransport",
    "SecurityHeaders",
    "TlsMaterial",
    "WireLimits",
    "client_context",
    "client_member",
    "describe",
    "expecting",
    "is_loopback",
    "judging_context",
    "leaves_in_plain",
    "peer_chain",
    "read_limits",
    "require_protected",
    "server_config",
    "server_context",
    "tls_extension",
]


def __getattr__(name: str) -> object:
    if name not in _LOADED_ON_USE:
        raise AttributeError(name)
    return getattr(import_module(_LOADED_ON_USE[name]), name)
