# SPDX-License-Identifier: Apache-2.0
"""How a page is answered: who asks, may it, did the form come from here; then the page itself.

Every address of the portal is a `Page` and says who may open it. Whoever may not is turned away here, before
the page's own code runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

from anyio import CapacityLimiter, to_thread
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from hub.errors import ExchangeError, HubError, Language, PortalError, error_kinds
from hub.identifiers import MessageId, is_message_id
from hub.portal.forms import own_path, require_form_token
from hub.portal.languages import language_of
from hub.portal.origins import is_secure, require_own_origin, session_cookie
from hub.portal.visitors import AUDITORS, OPERATORS, WATCHERS
from hub.problems import status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request

    from hub.accounts import Role
    from hub.portal.model import Visitor
    from hub.portal.sessions import Sessions
    from hub.portal.templating import Templates

HOME = "/portal/"
SIGN_IN = "/portal/sign-in"
_MOST_FORM_BYTES = 16 * 1024
_MOST_FORM_FIELDS = 100
_MOST_PAGES_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request for a page, as the page's code sees it.

    Attributes:
        language: to answer in.
        visitor: who is signed in, or None.
        form: what was sent with it, by name; empty unless it is a POST.
        secure: whether cookies may only travel encrypted.
    """

    request: Request
    site: Site
    language: Language
    visitor: Visitor | None
    form: Mapping[str, str] = field(default_factory=dict)
    secure: bool = True

    @property
    def signed_in(self) -> Visitor:
        """Who is signed in, on a page that nobody else can open."""
        if self.visitor is None:
            raise PortalError("portal.session_ended")
        return self.visitor

    @property
    def message_id(self) -> MessageId:
        """The message that the address names.

        Raises:
            ExchangeError: `exchange.message_unknown`: it is the form of none.
        """
        text = self.request.path_params["message_id"]
        if not is_message_id(text):
            raise ExchangeError("exchange.message_unknown", "not a message id")
        return MessageId(text)

    @property
    def reads_content(self) -> bool:
        """Whether the visitor may read what is in a message, and not only where it stands."""
        return self.is_one_of(AUDITORS)

    def is_one_of(self, roles: frozenset[Role]) -> bool:
        """Tell whether the visitor has one of some roles, so that a page offers what they may do."""
        return self.visitor is not None and bool(self.visitor.principal.roles & roles)

    def message_address(self, message_id: MessageId) -> str:
        """Return the page about a message: its whole story, or its path for who may not read content."""
        return f"/portal/messages/{message_id}{'' if self.reads_content else '/path'}"

    def render(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Answer with a page in the caller's language."""
        path = own_path(self.request.url.path, HOME)
        frame = {
            "visitor": self.visitor,
            "path": path,
            "form": self.form,
            "reads_content": self.reads_content,
            "watches": self.is_one_of(WATCHERS),
            "acts": self.is_one_of(OPERATORS),
            "message_address": self.message_address,
        }
        text = self.site.templates.render(template, self.language, frame | values)
        return HTMLResponse(text, status, headers={"Content-Language": self.language.value})

    def refuse(self, error: HubError, *, status: int | None = None) -> Response:
        """Answer with the page about an error: what happened, who has to act, and the cure."""
        known = error_kinds().get(error.code)
        return self.render(
            "problem.html",
            status=status or status_of(error.code, error.culprit),
            error=error,
            message=(known or error.kind).message[self.language],
            cure=(known or error.kind).cure[self.language],
        )


@dataclass(frozen=True, kw_only=True)
class Page:
    """One address and who may open it.

    Attributes:
        path: within the portal, with Starlette's placeholders.
        method: GET or POST.
        answer: makes the page, in a thread.
        roles: one of them is needed; None for a page that needs no sign-in.
    """

    path: str
    answer: Callable[[Call], Response]
    roles: frozenset[Role] | None
    method: str = "GET"


@dataclass(frozen=True, kw_only=True)
class Site:
    """What answering needs, whatever the page.

    Attributes:
        portal_url: the address browsers see, where the settings name it.
    """

    sessions: Sessions
    templates: Templates
    portal_url: str | None = None

    def routes(self, pages: Sequence[Page]) -> list[Route]:
        """Return the routes of pages."""
        # Pages work in threads of their own number, so that slow ones never keep the hub's interface waiting.
        limiter = CapacityLimiter(_MOST_PAGES_AT_ONCE)
        return [self._route(page, limiter) for page in pages]

    def call(self, request: Request, visitor: Visitor | None, form: Mapping[str, str]) -> Call:
        """Put together what a page's code sees."""
        return Call(
            request=request,
            site=self,
            language=language_of(request),
            visitor=visitor,
            form=form,
            secure=is_secure(request, self.portal_url),
        )

    def _route(self, page: Page, limiter: CapacityLimiter) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                form = await _read_form(request) if page.method == "POST" else {}
            except PortalError as error:
                return self.call(request, None, {}).refuse(error)
            return await to_thread.run_sync(partial(self._answer, page, request, form), limiter=limiter)

        return Route(page.path, endpoint, methods=[page.method])

    def _answer(self, page: Page, request: Request, form: Mapping[str, str]) -> Response:
        secret = request.cookies.get(session_cookie(secure=is_secure(request, self.portal_url)), "")
        call = self.call(request, self.sessions.find(secret), form)
        try:
            if page.method == "POST":
                require_own_origin(request, self.portal_url)
            if page.roles is not None:
                if call.visitor is None:
                    return _to_sign_in(request)
                if page.method == "POST":
                    require_form_token(form, call.visitor)
                call.visitor.principal.require(*sorted(page.roles))
            return page.answer(call)
        except HubError as error:
            return call.refuse(error)


def _to_sign_in(request: Request) -> Response:
    """Send to the sign-in page, and from there back to a page that can be asked for again."""
    wanted = request.url.path if request.method == "GET" else HOME
    return RedirectResponse(f"{SIGN_IN}?next={quote(wanted)}", 303)


async def _read_form(request: Request) -> dict[str, str]:
    """Read a form; each name counts once.

    Raises:
        PortalError: `portal.form_invalid`: too large, not such a form, or not text.

    Source: WHATWG URL standard section 5.1 (application/x-www-form-urlencoded).
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise PortalError("portal.form_invalid", "not application/x-www-form-urlencoded")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_FORM_BYTES:
            raise PortalError("portal.form_invalid", f"more than {_MOST_FORM_BYTES} bytes")
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MOST_FORM_FIELDS,
        )
    except ValueError as exc:
        raise PortalError("portal.form_invalid", "it cannot be decoded") from exc
    if len(dict(fields)) != len(fields):
        raise PortalError("portal.form_invalid", "a field stands there twice")
    return dict(fields)
