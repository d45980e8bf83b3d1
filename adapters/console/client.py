# SPDX-License-Identifier: Apache-2.0
"""A gateway's console as commands use it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

from hub.custody import read_chain, read_secret
from hub.errors import AdapterError, Culprit, ReportedFaultError, SettingsError, TrustError
from hub.wire import client_context, leaves_in_plain

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from hub.custody import Secret

AUTHORITIES_VARIABLE = "HELIOGRAPH_GATEWAY_AUTHORITIES"
"""Names a PEM file of the authorities whose certificates the gateway may show; the system's by default."""

_TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class ConsoleClient:
    """Calls a console with an administrator's token.

    Attributes:
        url: where it answers.
        token: of the administrator.
    """

    url: str
    token: Secret

    @classmethod
    def open(cls, url: str, token_file: Path) -> ConsoleClient:
        """Read the token and look at the address.

        Raises:
            SettingsError: `settings.secret_missing`, `settings.secret_exposed`: the file cannot be read, or
                others can; `settings.connection_unprotected`: the token would travel in plain text.
        """
        if leaves_in_plain(url):
            raise SettingsError("settings.connection_unprotected", f"{url}: a token goes there in plain text")
        token = read_secret(f"file:{token_file}", folder=Path.cwd(), environment=os.environ)
        return cls(url.rstrip("/"), token)

    def call(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, query: Any = None
    ) -> Any:
        """Call the console and return what it answered.

        Args:
            method: of HTTP.
            path: below `/api/v1`.
            body: to be sent as JSON.
            query: names and values.

        Raises:
            AdapterError: `adapter.console_unreachable`.
            ReportedFaultError: the console refused, with its own code.
        """
        try:
            response = httpx2.request(
                method,
                f"{self.url}/api/v1{path}",
                json=body,
                params=query,
                headers={"Authorization": f"Bearer {self.token.reveal()}", "Accept-Language": "en"},
                timeout=_TIMEOUT_SECONDS,
                verify=_tls(),
                trust_env=False,
            )
        except httpx2.HTTPError as error:
            detail = f"{self.url}: {type(error).__name__}"
            raise AdapterError("adapter.console_unreachable", detail) from error
        if response.is_error:
            raise _reported(self.url, response)
        return response.json()


def _tls() -> ssl.SSLContext | bool:
    file = os.environ.get(AUTHORITIES_VARIABLE)
    if not file:
        return True
    try:
        return client_context(read_chain(Path(file)))
    except (TrustError, OSError) as exc:
        raise SettingsError("settings.invalid", f"{AUTHORITIES_VARIABLE}: {file} cannot be used") from exc


def _reported(url: str, response: httpx2.Response) -> Exception:
    try:
        told = response.json()
        return ReportedFaultError(
            told["code"],
            told["detail"] or told["title"],
            culprit=Culprit(told["culprit"]),
            is_retryable=told["retryable"],
        )
    except (ValueError, KeyError, TypeError):
        return AdapterError("adapter.console_unreachable", f"{url}: HTTP {response.status_code}")
