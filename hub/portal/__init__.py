# SPDX-License-Identifier: Apache-2.0
"""The pages people open in a browser; at present those of auditors and of whoever keeps the log.

application    the pages wired into one application, mounted under /portal
pages          who may open what; how a page is answered stands in `hub.pages`
sessions       signing in and staying so
story          one message's whole story; logproof, timeline and verifications tell its parts
"""

from hub.portal.application import Portal, PortalParts
from hub.portal.model import SessionLimits
from hub.portal.pages import MOUNTED_AT

__all__ = ["MOUNTED_AT", "Portal", "PortalParts", "SessionLimits"]
