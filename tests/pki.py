# SPDX-License-Identifier: Apache-2.0
"""One development PKI a test session, with its OCSP, CRL and time-stamping services running on loopback."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from adapters.simulators.pki import DevelopmentPki, make_development_pki, serve
from hub.custody import load_signing_key
from hub.wire import TlsMaterial, client_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    from hub.trust import SigningKey

PASSPHRASE = b"only for tests"


@dataclass(frozen=True)
class ServedPki(DevelopmentPki):
    """A development PKI whose services run, and short ways to its parts.

    Labels are those of certs/development.yml.in and certs/test-cases.yml.in.
    """

    passphrase: bytes

    def signer(self, label: str) -> SigningKey:
        """Open the key of a label, such as `labour-sign`."""
        return load_signing_key(self.key(label), self.chain(label), self.passphrase)

    def tls_of(self, label: str | None) -> ssl.SSLContext:
        """Return a client's context that shows a label's certificate, or none; it trusts the root."""
        material = None
        if label is not None:
            material = TlsMaterial(self.chain(label), self.key(label), self.passphrase.decode)
        return client_context(self.certificates("root"), material)


def free_port() -> int:
    """Find a port on loopback that nobody uses, below those the system gives to outgoing connections."""
    while True:
        port = 10_000 + secrets.randbelow(10_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def make_served_pki(folder: Path) -> ServedPki:
    """Make a PKI with every test case; the caller runs `serve` when it wants the services."""
    made = make_development_pki(folder, free_port(), PASSPHRASE, with_test_cases=True)
    return ServedPki(made.folder, made.port, PASSPHRASE)


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPki]:
    """The session's PKI; under xdist each worker has its own, in its own folder and on its own port."""
    made = make_served_pki(tmp_path_factory.mktemp("pki"))
    with serve(made, PASSPHRASE):
        yield made
