# SPDX-License-Identifier: Apache-2.0
"""Which HTTP status an error has at a console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.errors import Culprit

if TYPE_CHECKING:
    from hub.errors import HubError

_STATUS = {
    "access.not_authenticated": 401,
    "portal.too_many_attempts": 429,
    "adapter.approval_missing": 409,
    "adapter.configuration_invalid": 422,
    "adapter.own_version": 403,
    "adapter.test_missing": 409,
    "adapter.version_conflict": 409,
    "adapter.version_unknown": 404,
    "adapter.service_unknown": 404,
    "adapter.system_timeout": 504,
    "adapter.draft_unknown": 404,
    "adapter.draft_changed": 409,
    "adapter.draft_limit": 409,
    "adapter.source_refused": 422,
    "adapter.description_incomplete": 422,
    "adapter.sample_invalid": 422,
    "adapter.internal": 500,
    "portal.form_untrusted": 403,
    "portal.page_unknown": 404,
}
_STATUS_BY_CULPRIT = {Culprit.SENDER: 400, Culprit.RECIPIENT: 502, Culprit.HUB: 500}


def status_of(error: HubError) -> int:
    """Return the HTTP status of an error at a console."""
    return _STATUS.get(error.code, _STATUS_BY_CULPRIT[error.culprit])
