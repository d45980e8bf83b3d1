# SPDX-License-Identifier: Apache-2.0
"""The pages people open in a browser; at present those of auditors and of whoever keeps the log.

application    the pages wired into one application, mounted under /portal
pages          how a page is answered: who asks, may it, did the form come from here
sessions       signing in and staying so; attempts, origins and forms guard it
templating     templates, a Jinja environment a language; the words of languages
story          one message's whole story; logproof, timeline and verifications tell its parts
"""

from hub.portal.application import MOUNTED_AT, Portal, PortalParts
from hub.portal.model import SessionLimits

__all__ = ["MOUNTED_AT", "Portal", "PortalParts", "SessionLimits"]
