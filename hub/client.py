# SPDX-License-Identifier: Apache-2.0
"""The hub's HTTP interface as commands use it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import httpx2
import typer

from hub.custody import read_chain
from hub.errors import BundleError, Culprit, ExchangeError, ReportedFaultError, SettingsError, TrustError
from hub.wire import client_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

HubUrl = Annotated[str, typer.Option("--hub", envvar="HELIOGRAPH_HUB", help="Where the hub answers.")]

TOKEN_VARIABLE = "HELIOGRAPH_TOKEN"  # noqa: S105 - the variable's name, not a token
AUTHORITIES_VARIABLE = "HELIOGRAPH_HUB_AUTHORITIES"
"""Names a PEM file of the authorities whose certificates the hub may show; those of the system by default."""

_TIMEOUT_SECONDS = 60.0


def call_hub(
    hub: str,
    method: str,
    path: str,
    *,
    body: Mapping[str, Any] | None = None,
    content: bytes | None = None,
) -> httpx2.Response:
    """Call the hub with the token of the environment variable `HELIOGRAPH_TOKEN`.

    Args:
        hub: where it answers.
        method: of HTTP.
        path: on the hub.
        body: to be sent as JSON.
        content: to be sent as it is, instead.

    Raises:
        SettingsError: `settings.secret_missing`, no token is set.
        ExchangeError: `exchange.undeliverable`, the hub cannot be reached.
        ReportedFaultError: the hub refused, with its own code.
    """
    headers = _headers()
    try:
        response = httpx2.request(
            method,
            f"{hub}{path}",
            json=body,
            content=content,
            headers=headers,
            timeout=_TIMEOUT_SECONDS,
            verify=_tls(),
        )
    except httpx2.HTTPError as error:
        raise ExchangeError("exchange.undeliverable", f"the hub at {hub}: {type(error).__name__}") from error
    if response.is_error:
        raise _reported(response)
    return response


def read_readiness(hub: str) -> dict[str, Any]:
    """Ask the hub whether it can do its work; no token is needed.

    Raises:
        ExchangeError: `exchange.undeliverable`: the hub cannot be reached, or what answers is none.
    """
    try:
        response = httpx2.get(f"{hub}/readyz", timeout=_TIMEOUT_SECONDS)
        found: dict[str, Any] = response.json()
    except httpx2.HTTPError as error:
        raise ExchangeError("exchange.undeliverable", f"the hub at {hub}: {type(error).__name__}") from error
    except ValueError as error:
        raise ExchangeError("exchange.undeliverable", f"what answers at {hub} is no hub") from error
    if response.status_code not in {200, 503} or "checks" not in found:
        raise ExchangeError("exchange.undeliverable", f"the hub answered HTTP {response.status_code}")
    return found


@contextmanager
def stream_hub(hub: str, path: str, query: Mapping[str, str]) -> Iterator[httpx2.Response]:
    """Fetch something large with the token of the environment; its body is read as it comes.

    Raises:
        SettingsError: `settings.secret_missing`, no token is set.
        ExchangeError: `exchange.undeliverable`, the hub cannot be reached.
        ReportedFaultError: the hub refused, with its own code.
        BundleError: `bundle.incomplete`, the connection was cut off while the body was read.
    """
    headers = _headers()
    is_begun = False
    try:
        with httpx2.stream(
            "GET",
            f"{hub}{path}",
            params=dict(query),
            headers=headers,
            timeout=_TIMEOUT_SECONDS,
            verify=_tls(),
        ) as response:
            if response.is_error:
                response.read()
                raise _reported(response)
            is_begun = True
            yield response
    except httpx2.HTTPError as error:
        if is_begun:
            raise BundleError("bundle.incomplete", type(error).__name__) from error
        raise ExchangeError("exchange.undeliverable", f"the hub at {hub}: {type(error).__name__}") from error


def _tls() -> ssl.SSLContext | bool:
    """Return how the hub's certificate is checked, which it always is: the request carries a token."""
    file = os.environ.get(AUTHORITIES_VARIABLE)
    if not file:
        return True
    try:
        return client_context(read_chain(Path(file)))
    except (TrustError, OSError) as exc:
        raise SettingsError("settings.invalid", f"{AUTHORITIES_VARIABLE}: {file} cannot be used") from exc


def _headers() -> dict[str, str]:
    token = os.environ.get(TOKEN_VARIABLE)
    if not token:
        raise SettingsError("settings.secret_missing", TOKEN_VARIABLE)
    return {"Authorization": f"Bearer {token}", "Accept-Language": "en"}


def _reported(response: httpx2.Response) -> Exception:
    try:
        problem = response.json()
        return ReportedFaultError(
            problem["code"],
            problem["detail"] or problem["title"],
            culprit=Culprit(problem["culprit"]),
            is_retryable=problem["retryable"],
        )
    except (ValueError, KeyError, TypeError):
        return ExchangeError("exchange.undeliverable", f"the hub answered HTTP {response.status_code}")
