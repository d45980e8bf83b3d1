# SPDX-License-Identifier: Apache-2.0
"""What pages for people are made of: used by the hub's portal and by the gateways' consoles.

site          how a page is answered: who asks, may it, did the form come from here; then the page itself
forms         what a form brings along, files included, and that it was made for this session
origins       where the site is, as browsers see it, and whether a form came from there
languages     the language of a page, and its words
templating    templates, a Jinja environment a language; layout and pieces every site shares
files         the style sheet and the pictures, each at an address that names its content
protection    what every answer tells the browser
attempts      how often somebody may try to sign in
"""

from hub.pages.attempts import SignInAttempts
from hub.pages.files import StaticFiles
from hub.pages.forms import FORM_TOKEN, own_path, require_form_token
from hub.pages.languages import load_translations
from hub.pages.multipart import Upload
from hub.pages.protection import Protected
from hub.pages.site import Call, Page, SignedIn, Site
from hub.pages.templating import Templates

__all__ = [
    "FORM_TOKEN",
    "Call",
    "Page",
    "Protected",
    "SignInAttempts",
    "SignedIn",
    "Site",
    "StaticFiles",
    "Templates",
    "Upload",
    "load_translations",
    "own_path",
    "require_form_token",
]
