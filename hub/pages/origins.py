# SPDX-License-Identifier: Apache-2.0
"""Where a site is, as browsers see it, and whether a form came from there.

Source: Fetch standard section 3.2 (Origin); W3C Fetch Metadata (Sec-Fetch-Site); RFC 6265bis sections 4.1.3
(`__Host-`) and 5.5 (SameSite).
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hub.errors import PortalError

if TYPE_CHECKING:
    from starlette.requests import Request


def is_secure(request: Request, public_url: str | None) -> bool:
    """Tell whether cookies may only travel encrypted: always, but for a site looked at on its own machine."""
    if public_url is not None:
        return urlsplit(public_url).scheme == "https"
    return not _is_loopback(urlsplit(f"//{request.headers.get('host', '')}").hostname or "")


def session_cookie(name: str, *, secure: bool) -> str:
    """Return the session cookie's full name; with the prefix no neighbouring host can set it."""
    return f"__Host-{name}" if secure else name


def require_own_origin(request: Request, public_url: str | None) -> None:
    """Refuse a form that another site's page sent, or one that does not say where it comes from.

    Raises:
        PortalError: `portal.form_untrusted`.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site != "same-origin":
        raise PortalError("portal.form_untrusted", f"Sec-Fetch-Site: {site[:20]}")
    origin = urlsplit(request.headers.get("origin", ""))
    if public_url is not None:
        wanted = urlsplit(public_url)
        is_own = (origin.scheme, origin.netloc) == (wanted.scheme, wanted.netloc)
    else:
        # What stands in front may have ended TLS, so the scheme seen here need not be the browser's.
        is_own = origin.scheme in {"http", "https"} and origin.netloc == request.headers.get("host", "")
    if not is_own or not origin.netloc:
        raise PortalError("portal.form_untrusted", "the Origin is not this site")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
