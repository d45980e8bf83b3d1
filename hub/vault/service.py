# SPDX-License-Identifier: Apache-2.0
"""Keeping containers, and giving them back byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.vault import store

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from hub.envelope import Envelope


class Vault:
    """Containers by their SHA-256."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(self, connection: Connection, envelope: Envelope) -> None:
        """Keep a container inside a unit of the writer; keeping it twice changes nothing."""
        store.insert_container(connection, envelope.container_sha256, envelope.raw)

    def read(self, sha256: str, connection: Connection | None = None) -> bytes:
        """Return a kept container by its digest, lower-case hex.

        Raises:
            ExchangeError: `exchange.message_unknown`: it is not here.
        """
        if connection is not None:
            return store.read_container(connection, sha256)
        with self._engine.connect() as reading:
            return store.read_container(reading, sha256)
