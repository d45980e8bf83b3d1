# SPDX-License-Identifier: Apache-2.0
"""Connections: TLS with certificates on both sides, limits on requests, headers of answers."""

from hub.wire.clients import ClientsByCertificate, client_member
from hub.wire.doorkeeper import Doorkeeper
from hub.wire.headers import SecurityHeaders
from hub.wire.limits import WireLimits
from hub.wire.peers import PeerJudge, peer_chain, tls_extension
from hub.wire.refusing import PROBLEM_MEDIA_TYPE, describe
from hub.wire.serving import server_config
from hub.wire.tls import (
    ClientCertificates,
    JudgingContext,
    TlsMaterial,
    client_context,
    judging_context,
    server_context,
)

__all__ = [
    "PROBLEM_MEDIA_TYPE",
    "ClientCertificates",
    "ClientsByCertificate",
    "Doorkeeper",
    "JudgingContext",
    "PeerJudge",
    "SecurityHeaders",
    "TlsMaterial",
    "WireLimits",
    "client_context",
    "client_member",
    "describe",
    "judging_context",
    "peer_chain",
    "server_config",
    "server_context",
    "tls_extension",
]
