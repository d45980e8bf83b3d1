# SPDX-License-Identifier: Apache-2.0
"""Every door of the console's pages, and what hostile forms, files and texts come to."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import httpx2
import pytest

from adapters.wizard.draftstore import DraftStore
from hub.clock import SystemClock
from tests.adapters.wizard.consoles import PEOPLE, SERVICE, SUBSYSTEM, running_console, visiting
from tests.journeys.portal import elements_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.adapters.wizard.consoles import RunningConsole, Visit

MARKUP = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}'
STEPS = ("source", "operation", "service", "question", "sample", "answer", "text", "tests", "activation")
GET = ("/", "/new", "/drafts/x", *(f"/drafts/x/{step}" for step in STEPS), f"/adapters/{SERVICE}/versions")
POST = (
    "/new",
    "/changes",
    "/drafts/x/undo",
    "/drafts/x/end",
    *(f"/drafts/x/{step}" for step in STEPS),
    "/drafts/x/question/preview",
    "/drafts/x/answer/preview",
    f"/adapters/{SERVICE}/versions",
)
SERVICE_FORM = {
    "subsystem": str(SUBSYSTEM),
    "code": "vat-registration",
    "contract": "vat-registration/v1",
    "address": "http://127.0.0.1:9",
    "seconds": "20",
    "repeatable": "yes",
    "connection": "path: /x\nmethod: POST\n",
}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("console"), simple=True) as running:
        yield running


@pytest.fixture
def visit(console: RunningConsole) -> Iterator[Visit]:
    with visiting(console) as somebody:
        yield somebody


@pytest.mark.parametrize("path", GET)
def test_nobody_sees_a_page_without_signing_in(console: RunningConsole, path: str) -> None:
    with visiting(console, None) as stranger:
        response = stranger.get(path)
        assert (response.status_code, response.text) == (303, "")
        assert "/console/sign-in?next=/console/" in response.headers["location"]


@pytest.mark.parametrize("path", POST)
def test_nobody_sends_a_form_without_signing_in_or_from_elsewhere(visit: Visit, path: str) -> None:
    with visiting(visit.console, None) as stranger:
        assert stranger.send(path, {"x": "y"}).status_code == 303
    for form, origin in (
        ({"x": "y"}, None),
        ({"x": "y"}, "https://evil.example"),
        ({"form_token": "0" * 64}, None),
    ):
        response = visit.send(path, form, origin=origin)
        assert response.status_code == 403
        assert "portal.form_untrusted" in response.text


def test_every_answer_protects_the_browser(visit: Visit) -> None:
    found = re.findall(r'(?:href|src)="(/console(/static/[^"]+))"', visit.get("/").text)
    assert len(found) == 4, "two style sheets, and the mark twice"
    for path in ("/", "/sign-in", "/nothing", f"/drafts/{MARKUP[:3]}", *(path for _, path in found)):
        headers = visit.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "script-src 'self'; connect-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"


def test_a_wrong_password_and_an_unknown_name_are_refused_alike(console: RunningConsole) -> None:
    with visiting(console, None) as stranger:
        wrong = stranger.sign_in(PEOPLE[0], "wrong horse battery")
        unknown = stranger.sign_in("nobody", "wrong horse battery")
        assert {wrong.status_code, unknown.status_code} == {401}
        assert text_of(wrong.text) == text_of(unknown.text)
        assert "set-cookie" not in wrong.headers


def test_a_session_ends_on_the_server(console: RunningConsole) -> None:
    with visiting(console) as somebody:
        cookie = somebody.http.cookies["heliograph-console"]
        [token] = set(re.findall(r'form_token" value="([0-9a-f]{64})"', somebody.get("/new").text))
        assert somebody.send("/sign-out", {"form_token": token}).status_code == 303
    with httpx2.Client(cookies={"heliograph-console": cookie}) as thief:
        assert thief.get(f"{console.url}/new").status_code == 303


def test_what_is_typed_comes_back_as_text(visit: Visit) -> None:
    draft = visit.begin()
    hostile = dict.fromkeys(SERVICE_FORM, MARKUP)
    refused = visit.post(f"{draft}/service", hostile)
    assert refused.status_code == 422
    assert visit.post(f"{draft}/service", SERVICE_FORM).status_code == 303
    sample = {"do": "on", "request": f'{{"a": "{MARKUP[2:10]}"}}', "answer": '{"<script>x": "<b>\\u202e"}'}
    assert visit.post(f"{draft}/sample", sample, files={"file": ("", b"")}).status_code == 303
    mapped = visit.post(f"{draft}/answer", {"do": "try", "from/name": 'answer["<script>x"]'})
    assert mapped.status_code == 303
    broken = visit.post(f"{draft}/text", {"text": f"a: [{MARKUP}"})
    for page in (refused, broken, *(visit.get(f"{draft}/{step}") for step in STEPS)):
        # The only script is the site's own file.
        found = elements_of(
            re.sub(r'<script src="/console/static/[0-9a-f]+/preview.js" defer></script>', "", page.text)
        )
        assert not found & {"script", "iframe", "style"}
        assert not {name for name in found if name.startswith("@on")}
        assert "\u202e" not in page.text


def test_names_in_a_source_are_text(console: RunningConsole, visit: Visit) -> None:
    del console
    files = {"rest": ("a.yaml", b"openapi: 3.0.0")}
    draft = visit.begin("file-rest", files)
    assert "look-up" in visit.get(f"{draft}/operation").text
    assert visit.post(f"{draft}/operation", {"operation": MARKUP}).status_code == 422
    assert visit.post(f"{draft}/operation", {"operation": "look-up"}).status_code == 303


@pytest.mark.parametrize("name", ["../a.wsdl", "/etc/passwd", "..", "a\\..\\b.wsdl", ".hidden", "a\x00b"])
def test_a_file_lands_in_its_folder_or_nowhere(visit: Visit, name: str) -> None:
    before = set(visit.console.folder.rglob("*"))
    response = visit.post(
        "/new", {"way": "file-rest"}, files={"rest": (name, b"openapi: 3.0.0\n# " + name.encode())}
    )
    assert response.status_code in {303, 400, 422}
    new = {each for each in visit.console.folder.rglob("*") if each not in before and each.is_file()}
    assert all("sources" in each.parts or each.name.startswith("drafts.sqlite") for each in new), new


def test_a_form_of_an_older_draft_is_refused_with_the_reason(visit: Visit) -> None:
    draft = visit.begin()
    token = dict(
        re.findall(r'name="(form_token|revision)" value="([^"]*)"', visit.get(f"{draft}/service").text)
    )
    assert visit.post(f"{draft}/service", SERVICE_FORM).status_code == 303
    late = visit.send(f"{draft}/service", {**SERVICE_FORM, "seconds": "5", **token})
    assert late.status_code == 409
    assert "adapter.draft_changed" in late.text


def test_a_secret_in_place_of_a_reference_goes_no_further(visit: Visit) -> None:
    draft = visit.begin()
    inline = "path: /x\nmethod: POST\nauth: {kind: bearer, secret: hunter2hunter2}\n"
    assert visit.post(f"{draft}/service", {**SERVICE_FORM, "connection": inline}).status_code == 303
    assert visit.post(f"{draft}/question", {"do": "on", "from/key": "request.vat_number"}).status_code == 303
    refused = visit.post(f"{draft}/activation", {"note": "x", "do": "activate"})
    assert refused.status_code == 422
    assert "adapter.configuration_invalid" in refused.text
    assert "hunter2" not in text_of(refused.text)
    assert SERVICE not in visit.console.bench.register.services()


def test_an_unreadable_question_is_told_and_asks_nothing(visit: Visit) -> None:
    draft = visit.begin()
    visit.post(f"{draft}/service", SERVICE_FORM)
    for request in ("{", "[]", '{"a": 1, "a": 2}'):
        refused = visit.post(f"{draft}/sample", {"do": "ask", "request": request}, files={"file": ("", b"")})
        assert (refused.status_code, "adapter.sample_invalid" in refused.text) == (422, True)
    refused = visit.post(
        f"{draft}/sample", {"do": "keep", "request": "{}"}, files={"file": ("a.json", b"\xff")}
    )
    assert refused.status_code == 422


def test_drafts_are_for_the_administrators_of_this_gateway_together(visit: Visit) -> None:
    draft = visit.begin()
    with visiting(visit.console, PEOPLE[1]) as colleague:
        assert colleague.get(f"{draft}/service").status_code == 200
        assert colleague.get("/drafts/0000000000000000").status_code == 404


def test_a_draft_is_kept_where_the_gateway_keeps_its_data(visit: Visit) -> None:
    name = visit.begin().rsplit("/", 1)[1]
    store = DraftStore(visit.console.folder / "drafts.sqlite", SystemClock())
    assert store.find(name).by == PEOPLE[0]


def test_the_first_page_says_how_an_adapter_fares(visit: Visit) -> None:
    draft = visit.begin()
    visit.post(f"{draft}/service", {**SERVICE_FORM, "code": "faring"})
    visit.post(f"{draft}/text", {"text": _with_mappings(visit, draft)})
    ended = visit.post(f"{draft}/activation", {"note": "to look at", "do": "activate"})
    assert ended.status_code == 303, text_of(ended.text)
    assert "Not asked yet" in text_of(visit.get("/").text)
    visit.console.fortunes.note(f"{SUBSYSTEM}/faring", "adapter.system_timeout", SystemClock().now())
    shown = text_of(visit.get("/").text)
    assert "adapter.system_timeout" in shown
    assert "answered well" not in shown
    visit.console.fortunes.note(f"{SUBSYSTEM}/faring", None, SystemClock().now())
    assert "answered well" in text_of(visit.get("/").text)


def _with_mappings(visit: Visit, draft: str) -> str:
    [text] = re.findall(r"<textarea[^>]*>(.*?)</textarea>", visit.get(f"{draft}/text").text, re.DOTALL)
    return f"{html.unescape(text)}\nrequest: {{object: {{}}}}\nresponse: {{object: {{}}}}\n"
