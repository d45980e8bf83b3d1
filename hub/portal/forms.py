# SPDX-License-Identifier: Apache-2.0
"""What a form brings along, and what is wrong with a field."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

from hub.errors import PortalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.portal.model import Visitor

FORM_TOKEN = "form_token"  # noqa: S105 (a field's name)
_OWN_PATH = re.compile(r"/portal/(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]*")


def require_form_token(form: Mapping[str, str], visitor: Visitor) -> None:
    """Refuse a form that was not made for this session.

    Raises:
        PortalError: `portal.form_untrusted`.
    """
    sent = form.get(FORM_TOKEN, "")
    if not hmac.compare_digest(sent.encode(), visitor.form_token.encode()):
        raise PortalError("portal.form_untrusted", "the form's token is not this session's")


def own_path(text: str, otherwise: str) -> str:
    """Return a path within the portal that somebody asked to be led to, or `otherwise` for anything else."""
    return text if _OWN_PATH.fullmatch(text) and len(text) < 200 else otherwise
