# SPDX-License-Identifier: Apache-2.0
"""How a page is answered: who asks, may it, did the form come from here; then the page itself.

Every address of a site is a `Page` and says who may open it. Whoever may not is turned away here, before the
page's own code runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from urllib.parse import quote

from anyio import CapacityLimiter, to_thread
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from hub.errors import HubError, Language, PortalError, error_kinds
from hub.pages.forms import MOST_FORM_FIELDS, SentForm, own_path, read_form, require_form_token
from hub.pages.languages import language_of, remember_language
from hub.pages.origins import is_secure, require_own_origin, session_cookie
from hub.problems import status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request

    from hub.pages.multipart import Upload
    from hub.pages.templating import Templates

MOST_FORM_BYTES = 16 * 1024
_MOST_PAGES_AT_ONCE = 8


class SignedIn(Protocol):
    """Somebody who is signed in, as a site needs to know them."""

    @property
    def form_token(self) -> str:
        """What a form has to bring back, so that it cannot have been made elsewhere."""


VisitorT = TypeVar("VisitorT", bound=SignedIn)
CallT = TypeVar("CallT", bound="Call[Any]")


@dataclass(frozen=True, kw_only=True)
class Call(Generic[VisitorT]):
    """One request for a page, as the page's code sees it.

    Attributes:
        language: to answer in.
        visitor: who is signed in, or None.
        form: the fields sent with it, by name; empty unless it is a POST.
        files: sent with it.
        secure: whether cookies may only travel encrypted.
    """

    request: Request
    site: Site[Any, Any]
    language: Language
    visitor: VisitorT | None
    form: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Upload, ...] = ()
    secure: bool = True

    @property
    def signed_in(self) -> VisitorT:
        """Who is signed in, on a page that nobody else can open."""
        if self.visitor is None:
            raise PortalError("portal.session_ended")
        return self.visitor

    def frame(self) -> Mapping[str, Any]:
        """Return what every template of the site sees; a site adds its own."""
        path = own_path(self.request.url.path, self.site.home, below=self.site.mounted_at)
        return {"visitor": self.visitor, "path": path, "form": self.form}

    def render(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Answer with a page in the caller's language."""
        text = self.site.templates.render(template, self.language, {**self.frame(), **values})
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

    def choose_language(self) -> Response:
        """Remember the language the address names, and go on where the visitor was.

        Raises:
            PortalError: `portal.page_unknown`: there is no such language.
        """
        wanted = self.request.path_params["language"]
        if wanted not in set(Language):
            raise PortalError("portal.page_unknown")
        response = RedirectResponse(self.wanted_path(self.request.query_params), 303)
        remember_language(response, Language(wanted), secure=self.secure, below=self.site.mounted_at)
        return response

    def wanted_path(self, values: Mapping[str, str]) -> str:
        """Return where `next` says the visitor wants to go; the first page where it leads elsewhere."""
        return own_path(values.get("next", ""), self.site.home, below=self.site.mounted_at)

    def keep_session(self, response: Response, secret: str) -> None:
        """Have the browser show a session's secret from now on."""
        name = session_cookie(self.site.cookie, secure=self.secure)
        response.set_cookie(name, secret, path="/", secure=self.secure, httponly=True, samesite="strict")

    def drop_session(self, response: Response) -> None:
        """Have the browser forget the session's secret."""
        name = session_cookie(self.site.cookie, secure=self.secure)
        response.delete_cookie(name, path="/", secure=self.secure, httponly=True, samesite="strict")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[CallT]):
    """One address; kinds of pages say who may open them.

    Attributes:
        path: within the site, with Starlette's placeholders.
        method: GET or POST.
        answer: makes the page, in a thread.
        most_bytes: the largest form that is read.
        most_fields: how many fields it may have.
        takes_files: whether its form brings files.
    """

    path: str
    answer: Callable[[CallT], Response]
    method: str = "GET"
    most_bytes: int = MOST_FORM_BYTES
    most_fields: int = MOST_FORM_FIELDS
    takes_files: bool = False

    @property
    def is_public(self) -> bool:
        """Whether it needs no sign-in."""
        return False

    def admit(self, call: CallT) -> None:
        """Refuse a visitor who may not open it; nobody is refused here.

        Raises:
            HubError: they may not.
        """


@dataclass(frozen=True, kw_only=True)
class Site(Generic[VisitorT, CallT]):
    """What answering needs, whatever the page.

    Attributes:
        mounted_at: the address everything is below, without a slash at its end.
        call_type: what the pages' code sees of a request.
        find: who has the session with this secret; None when it is over.
        cookie: the session cookie's name.
        public_url: the address browsers see, where the settings name it.
    """

    mounted_at: str
    call_type: type[CallT]
    find: Callable[[str], VisitorT | None]
    templates: Templates
    cookie: str
    public_url: str | None = None

    @property
    def home(self) -> str:
        """The first page."""
        return f"{self.mounted_at}/"

    @property
    def sign_in(self) -> str:
        """The page on which people sign in."""
        return f"{self.mounted_at}/sign-in"

    def routes(self, pages: Sequence[Page[CallT]]) -> list[Route]:
        """Return the routes of pages."""
        # Pages work in threads of their own number, so that slow ones never keep the rest waiting.
        limiter = CapacityLimiter(_MOST_PAGES_AT_ONCE)
        return [self._route(page, limiter) for page in pages]

    def call(self, request: Request, visitor: VisitorT | None, form: SentForm | None = None) -> CallT:
        """Put together what a page's code sees."""
        sent = form or SentForm()
        return self.call_type(
            request=request,
            site=self,
            language=language_of(request),
            visitor=visitor,
            form=sent.fields,
            files=sent.files,
            secure=is_secure(request, self.public_url),
        )

    def _route(self, page: Page[CallT], limiter: CapacityLimiter) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                form = await _read(request, page) if page.method == "POST" else None
            except PortalError as error:
                return self.call(request, None).refuse(error)
            return await to_thread.run_sync(partial(self._answer, page, request, form), limiter=limiter)

        return Route(page.path, endpoint, methods=[page.method])

    def _answer(self, page: Page[CallT], request: Request, form: SentForm | None) -> Response:
        name = session_cookie(self.cookie, secure=is_secure(request, self.public_url))
        call = self.call(request, self.find(request.cookies.get(name, "")), form)
        try:
            if page.method == "POST":
                require_own_origin(request, self.public_url)
            if not page.is_public:
                if call.visitor is None:
                    return self._to_sign_in(request)
                if page.method == "POST":
                    require_form_token(call.form, call.visitor.form_token)
                page.admit(call)
            return page.answer(call)
        except HubError as error:
            return call.refuse(error)

    def _to_sign_in(self, request: Request) -> Response:
        """Send to the sign-in page, and from there back to a page that can be asked for again."""
        wanted = request.url.path if request.method == "GET" else self.home
        return RedirectResponse(f"{self.sign_in}?next={quote(wanted)}", 303)


async def _read(request: Request, page: Page[Any]) -> SentForm:
    return await read_form(
        request,
        most_bytes=page.most_bytes,
        most_fields=page.most_fields,
        takes_files=page.takes_files,
    )
