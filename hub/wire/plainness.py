# SPDX-License-Identifier: Apache-2.0
"""Where plain HTTP is allowed: on this machine, or where the operator says that a terminator encrypts."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from hub.errors import SettingsError


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine; a name other than `localhost` is not known to be."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def leaves_in_plain(url: str) -> bool:
    """Tell whether requests to an address would leave this machine unencrypted."""
    parts = urlsplit(url)
    return parts.scheme != "https" and not is_loopback(parts.hostname or "")


def require_protected(*, host: str, has_tls: bool, allows_plain: bool) -> None:
    """Refuse to listen to the network in plain HTTP, unless the operator says that a terminator encrypts.

    Raises:
        SettingsError: `settings.connection_unprotected`.
    """
    if not (has_tls or allows_plain or is_loopback(host)):
        detail = f"{host}: neither a TLS key nor plain_http_beyond_loopback is set"
        raise SettingsError("settings.connection_unprotected", detail)
