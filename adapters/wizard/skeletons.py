# SPDX-License-Identifier: Apache-2.0
"""How a connection is described by hand: something to change, for systems without a file about them.

Every secret is a reference. What is written in angle brackets has to be put in before the description can be
used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS_BY_HAND = ("rest", "sftp", "table")
"""Kinds that can be described without one."""

ADDRESS_OF = {"soap": "address", "rest": "url", "sftp": "host", "table": "host"}
"""Where a connection says which system it leads to."""

SKELETONS: Mapping[str, Mapping[str, Any]] = {
    "rest": {
        "url": "http://127.0.0.1:8080",
        "path": "/",
        "method": "POST",
        "auth": {"kind": "api_key", "header": "X-API-Key", "secret": "env:SYSTEM_API_KEY"},
    },
    "sftp": {
        "host": "127.0.0.1",
        "port": 22,
        "host_keys": ["ssh-ed25519 <the server's public key>"],
        "username": "exchange",
        "password": "env:SFTP_PASSWORD",
        "inbox": "/in",
        "outbox": "/out",
        "archive": "/done",
        "request": {"name": "{message_id}.csv"},
        "answer": {"name": "{message_id}.csv"},
    },
    "table": {
        "engine": "postgresql",
        "host": "127.0.0.1",
        "database": "records",
        "username": "exchange",
        "password": "env:DATABASE_PASSWORD",
        "query": "SELECT * FROM records WHERE number = :number",
    },
}
"""What a connection looks like, by kind."""
