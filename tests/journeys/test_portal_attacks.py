# SPDX-License-Identifier: Apache-2.0
"""Attacks on the portal: stolen and planted sessions, forged forms, hostile texts of senders."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from structlog.testing import capture_logs

from hub.accounts import Role
from hub.clock import SystemClock
from hub.database import Writer, open_database
from hub.envelope import Fault, Kind, Party, reply_to, write_fault
from hub.errors import Culprit, Language
from hub.portal import MOUNTED_AT, Portal, PortalParts, SessionLimits
from hub.registry import Member, Title
from hub.trust import USE_POLICIES
from tests.journeys.departments import EMPLOYMENT
from tests.journeys.portal import PORTAL, SESSION_COOKIE, Visit, elements_of, text_of, token_of, visiting
from tests.journeys.serving import serving
from tests.journeys.world import PURPOSE, running_world
from tests.pki import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from hub.envelope import Envelope
    from tests.journeys.world import World
    from tests.pki import ServedPki

MARKUP = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus=alert(1) autofocus x='",
    "</title></dl><form action=//evil.example><input name=token>",
    "{{ 7*7 }}{% raw %}",
    "javascript:alert(1)",
    "&lt;b&gt; &#x3c;script",
)
INVISIBLE = "\u202etxt.exe \u2066x \u200b\ufeff"


def the_end(visit: Visit, cookie: str) -> bool:
    """Tell whether a session cookie opens nothing."""
    with httpx2.Client(cookies={SESSION_COOKIE: cookie}) as thief:
        return thief.get(f"{visit.world.url}{PORTAL}/log").status_code == 303


class TestSessions:
    def test_a_session_id_that_was_planted_is_never_taken(self, world: World) -> None:
        planted = "A" * 43
        with visiting(world) as visit:
            visit.http.cookies.set(SESSION_COOKIE, planted)
            visit.sign_in(Role.AUDITOR)
            given = [value for value in visit.http.cookies.jar if value.name == SESSION_COOKIE]
            assert planted not in {each.value for each in given if each.domain == "127.0.0.1"}
            assert the_end(visit, planted)

    def test_signing_in_again_ends_the_session_before(self, world: World) -> None:
        with visiting(world, Role.AUDITOR) as visit:
            before = visit.cookie
            visit.sign_in(Role.AUDITOR)
            assert visit.cookie != before
            assert the_end(visit, before)
            assert not the_end(visit, visit.cookie)

    def test_a_stolen_cookie_is_worth_nothing_after_sign_out(self, world: World) -> None:
        with visiting(world, Role.AUDITOR) as visit:
            stolen = visit.cookie
            assert not the_end(visit, stolen)
            response = visit.post(f"{PORTAL}/sign-out", {"form_token": visit.form_token()})
            assert (response.status_code, response.headers["location"]) == (303, "/portal/sign-in")
            assert visit.cookie == ""
            assert the_end(visit, stolen)

    def test_a_revoked_token_ends_the_session_with_the_next_page(self, world: World) -> None:
        with visiting(world) as visit:
            visit.enter(token_of(world, Role.AUDITOR, "leaves today"))
            assert visit.get(f"{PORTAL}/messages").status_code == 200
            [token] = [one for one in world.hub.accounts.tokens() if one.principal.subject == "leaves today"]
            world.hub.accounts.revoke(token.id)
            assert visit.get(f"{PORTAL}/messages").status_code == 303

    def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(self, world: World) -> None:
        with visiting(world) as visit:
            cookie = visit.sign_in(Role.AUDITOR).headers["set-cookie"]
            assert re.fullmatch(r"heliograph-session=[\w-]{43}; HttpOnly; Path=/; SameSite=strict", cookie)

    def test_away_from_loopback_the_cookie_travels_only_encrypted(self, world: World) -> None:
        with visiting(world) as visit:
            token = token_of(world, Role.AUDITOR)
            headers = {"Host": "hub.example", "Origin": "https://hub.example"}
            cookie = visit.post(f"{PORTAL}/sign-in", {"token": token}, **headers).headers["set-cookie"]
            assert re.fullmatch(
                r"__Host-heliograph-session=[\w-]{43}; HttpOnly; Path=/; SameSite=strict; Secure", cookie
            )

    def test_neither_address_nor_log_tells_a_token_or_a_session(self, world: World) -> None:
        token = token_of(world, Role.AUDITOR)
        with visiting(world) as visit, capture_logs() as log:
            response = visit.enter(token, next="/portal/log")
            wrong = visit.post(
                f"{PORTAL}/sign-in", {"token": token + "x"}, **{"X-Forwarded-For": "203.0.113.1"}
            )
            visit.get(f"{PORTAL}/log")
            told = repr(log) + response.headers["location"] + wrong.text
            assert token not in told
            assert visit.cookie not in told
            assert [line["event"] for line in log] == ["portal.signed_in", "portal.sign_in_refused"]


class TestForms:
    def test_a_form_of_the_own_page_is_taken(self, world: World) -> None:
        with visiting(world, Role.AUDITOR) as visit:
            form = {"form_token": visit.form_token(), "number": "x"}
            assert visit.post(f"{PORTAL}/messages", form).status_code == 422

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", None])
    @pytest.mark.parametrize("path", ["/messages", "/sign-out", "/sign-in"])
    def test_a_form_of_another_origin_is_refused(self, world: World, path: str, origin: str | None) -> None:
        with visiting(world, Role.AUDITOR) as visit:
            form = {"form_token": visit.form_token(), "token": token_of(world, Role.AUDITOR)}
            response = visit.post(PORTAL + path, form, origin=origin)
            assert response.status_code == 403
            assert "portal.form_untrusted" in response.text
            assert "set-cookie" not in response.headers
            assert visit.get(f"{PORTAL}/log").status_code == 200, "still signed in"

    @pytest.mark.parametrize("site", ["cross-site", "same-site", "none", ""])
    def test_a_form_the_browser_calls_foreign_is_refused(self, world: World, site: str) -> None:
        with visiting(world, Role.AUDITOR) as visit:
            form = {"form_token": visit.form_token()}
            response = visit.post(f"{PORTAL}/sign-out", form, **{"Sec-Fetch-Site": site})
            assert (response.status_code, visit.cookie != "") == (403, True)

    @pytest.mark.parametrize("path", ["/messages", "/sign-out"])
    def test_a_form_without_this_sessions_token_is_refused(self, world: World, path: str) -> None:
        with visiting(world, Role.AUDITOR) as visit, visiting(world, Role.AUDITOR) as other:
            for wrong in ({}, {"form_token": ""}, {"form_token": other.form_token()}, {"form_token": "é"}):
                response = visit.post(PORTAL + path, {"number": "x", **wrong})
                assert (response.status_code, "portal.form_untrusted" in response.text) == (403, True)

    @pytest.mark.parametrize(
        ("body", "media_type"),
        [
            (b"token=" + b"a" * 20_000, "application/x-www-form-urlencoded"),
            (b"&".join(b"f%d=1" % number for number in range(101)), "application/x-www-form-urlencoded"),
            (b"token=a&token=b", "application/x-www-form-urlencoded"),
            (b"token=%ff%fe", "application/x-www-form-urlencoded"),
            (b"\xff\x00", "application/x-www-form-urlencoded"),
            (b"token", "application/x-www-form-urlencoded"),
            (b'{"token": 1}', "application/json"),
            (b"--x\r\n", "multipart/form-data; boundary=x"),
            (b"", ""),
        ],
    )
    def test_a_form_that_is_none_is_refused(self, world: World, body: bytes, media_type: str) -> None:
        headers = {"Origin": world.url, "Content-Type": media_type}
        response = world.http.post(f"{world.url}{PORTAL}/sign-in", content=body, headers=headers)
        assert response.status_code == 400
        assert "portal.form_invalid" in response.text

    def test_too_many_wrong_tokens_have_to_wait_and_others_do_not(self, world: World) -> None:
        with visiting(world) as visit:
            tries = {"X-Forwarded-For": "203.0.113.77"}
            statuses = [
                visit.post(f"{PORTAL}/sign-in", {"token": "wrong"}, **tries).status_code for _ in range(12)
            ]
            assert statuses == [401] * 10 + [429] * 2
            right = {"token": token_of(world, Role.AUDITOR)}
            refused = visit.post(f"{PORTAL}/sign-in", right, **tries)
            assert (refused.status_code, "portal.too_many_attempts" in refused.text) == (429, True)
            assert visit.post(f"{PORTAL}/sign-in", right).status_code == 303


class TestAddresses:
    @pytest.mark.parametrize(
        "wanted",
        [
            "https://evil.example/portal/",
            "//evil.example/portal/",
            "/\\evil.example",
            "/portal/../api/v1/messages",
            "/portal//evil.example",
            "/portal/\r\nSet-Cookie: x=y",
            "/portal/%0d%0aSet-Cookie:%20x=y",
            "javascript:alert(1)",
            "/portal/" + "a" * 300,
            "",
        ],
    )
    def test_signing_in_leads_nowhere_but_into_the_portal(self, world: World, wanted: str) -> None:
        with visiting(world) as visit:
            response = visit.sign_in(Role.AUDITOR, next=wanted)
            assert response.headers["location"] == "/portal/"
            assert "x=y" not in response.headers["set-cookie"]
            chosen = visit.http.get(f"{world.url}{PORTAL}/language/en", params={"next": wanted})
            assert chosen.headers["location"] == "/portal/"

    def test_signing_in_leads_to_the_page_that_was_asked_for(self, world: World) -> None:
        with visiting(world) as visit:
            asked = visit.get(f"{PORTAL}/log")
            page = visit.get(asked.headers["location"])
            [wanted] = re.findall(r'name="next" value="([^"]*)"', page.text)
            assert visit.sign_in(Role.AUDITOR, next=wanted).headers["location"] == "/portal/log"

    @pytest.mark.parametrize("text", [*MARKUP, INVISIBLE, "../../etc/passwd", "%00", "a\u2028b"])
    def test_a_hostile_address_comes_back_as_text_at_most(self, world: World, text: str) -> None:
        with visiting(world, Role.AUDITOR) as visit:
            quoted = "".join(f"%{byte:02x}" for byte in text.encode())
            for path in (
                f"/messages/{quoted}",
                f"/conversations/{quoted}",
                f"/language/{quoted}",
                f"/{quoted}",
            ):
                response = visit.get(PORTAL + path)
                assert response.status_code in {200, 404}
                assert "x-injected" not in response.headers
                require_harmless(response.text)

    def test_a_line_end_in_an_address_ends_no_header(self, world: World) -> None:
        with visiting(world, Role.AUDITOR) as visit:
            for path in ("/messages/a%0d%0aX-Injected:%20yes", "/language/en%0d%0aX-Injected:%20yes"):
                response = visit.get(PORTAL + path)
                assert response.status_code == 404
                assert "x-injected" not in response.headers

    def test_what_is_typed_comes_back_as_text(self, world: World) -> None:
        with visiting(world, Role.AUDITOR) as visit:
            for text in (*MARKUP, INVISIBLE):
                form = {"form_token": visit.form_token(), "number": text}
                response = visit.post(f"{PORTAL}/messages", form)
                assert response.status_code == 422
                require_harmless(response.text)


def require_harmless(page: str) -> None:
    """Require that a page consists of what its templates hold, and hides nothing in its text."""
    found = elements_of(page)
    assert not found & {"script", "iframe", "object", "embed", "svg", "style", "base"}
    assert not {
        name for name in found if name.startswith("@on") or name in {"@style", "@autofocus", "@srcdoc"}
    }
    assert page.count("<img") == 1, "the mark, and no other picture"
    assert "evil.example" not in "".join(re.findall(r'(?:href|action|src)="([^"]*)"', page))
    assert all(char.isprintable() or char == "\n" for char in page)


class TestHostileSenders:
    @pytest.mark.parametrize("text", [*MARKUP, INVISIBLE + "\u0007"])
    def test_no_field_a_sender_writes_becomes_markup(self, world: World, text: str) -> None:
        hostile = {"case": text, "legal_basis": text, "official": text, "post": text}
        request = world.request(purpose=replace(PURPOSE, **hostile))
        assert world.send(request.raw).status == 200
        shown = self.shown(world, request)
        assert text_of(shown).count(" ".join(text_as_shown(text).split())) >= 4

    def test_nor_does_the_item_of_a_refused_request(self, world: World) -> None:
        request = world.request(purpose=replace(PURPOSE, item=MARKUP[1]))
        assert world.send(request.raw).status == 403
        assert MARKUP[1] in text_of(self.shown(world, request))

    def test_nor_does_a_departments_fault(self, world: World) -> None:
        fault = Fault(
            code="adapter.own_invention",
            culprit=Culprit.RECIPIENT,
            is_retryable=False,
            detail=MARKUP[0],
            message=dict.fromkeys(Language, MARKUP[1]),
            cure=dict.fromkeys(Language, MARKUP[2]),
        )

        def answer(request: Envelope) -> bytes:
            party = Party(EMPLOYMENT, world.pki.signer("labour-sign"))
            return reply_to(
                request, Kind.FAULT, (write_fault(fault),), party=party, now=SystemClock().now()
            ).raw

        request = world.request()
        with world.departments.cheating(answer):
            assert world.send(request.raw).status == 502
        assert "adapter.own_invention" in self.shown(world, request)

    def test_nor_do_the_names_in_the_registry_and_of_the_account(
        self, pki: ServedPki, tmp_path: Path
    ) -> None:
        with running_world(tmp_path / "world", pki) as world:
            request = world.request()
            assert world.send(request.raw).status == 200
            member = world.hub.registry.require_entry(Member, EMPLOYMENT[:18])
            world.hub.registry.put(replace(member, names=Title(zh=MARKUP[0], en=MARKUP[1])), by="tests")
            with visiting(world) as visit:
                visit.enter(token_of(world, Role.AUDITOR, MARKUP[3]))
                for path in ("/messages", f"/messages/{request.header.id}", "/log"):
                    require_harmless(visit.get(PORTAL + path).text)
                shown = text_of(visit.get(f"{PORTAL}/messages").text)
                assert MARKUP[1] in shown
                assert MARKUP[3] in shown

    @staticmethod
    def shown(world: World, request: Envelope) -> str:
        with visiting(world, Role.AUDITOR) as visit:
            for path in ("/messages", f"/conversations/{request.header.conversation}"):
                require_harmless(visit.get(PORTAL + path).text)
            response = visit.get(f"{PORTAL}/messages/{request.header.id}")
            assert response.status_code == 200
            require_harmless(response.text)
            return response.text


def text_as_shown(text: str) -> str:
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


class TestHeaders:
    def test_every_answer_protects_the_browser(self, world: World) -> None:
        request = world.request()
        assert world.send(request.raw).status == 200
        message = f"{PORTAL}/messages/{request.header.id}"
        with visiting(world) as visit:
            answers = [visit.get(f"{PORTAL}/"), visit.get(f"{PORTAL}/sign-in"), visit.sign_in(Role.AUDITOR)]
            home = visit.get(f"{PORTAL}/messages")
            files = re.findall(r'(?:href|src)="(/portal/static/[^"]*)"', home.text)
            assert len(files) == 3
            paths = [
                f"{PORTAL}/{page}" for page in ("log", "nothing", "sign-out", "language/en", "language/x")
            ]
            paths += [message, f"{message}/containers/request", f"{message}/containers/x", *files]
            answers += [home, *(visit.get(path) for path in paths)]
            answers.append(visit.post(f"{PORTAL}/messages", {"number": "x"}))
            answers.append(visit.post(f"{PORTAL}/sign-in", {"token": "x"}, origin="http://evil.example"))
            answers += [
                visit.http.request(method, f"{world.url}{PORTAL}/log") for method in ("TRACE", "HEAD", "PUT")
            ]
        assert {answer.status_code for answer in answers} == {200, 303, 403, 404, 405}
        for answer in answers:
            require_protected(answer)

    def test_a_failure_inside_protects_too_and_tells_nothing(self, world: World, tmp_path: Path) -> None:
        hub = world.hub
        engine = open_database(f"sqlite:///{tmp_path / 'broken.sqlite'}")
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE portal_sessions")
        writer = Writer(engine)
        portal = Portal(
            PortalParts(
                engine=engine,
                writer=writer,
                clock=SystemClock(),
                accounts=hub.accounts,
                alarms=hub.alarms,
                registry=hub.registry,
                archive=hub.archive,
                log=hub.log,
                published=hub.published,
                health=hub.log_health,
                stamps=hub.stamps,
                trust_lists=hub.trust_lists,
                answers=hub.pipeline.revocation_answers,
                policies=USE_POLICIES,
                bundles=hub.bundles,
                readings=hub.readings,
                outbox=hub.outbox,
                pauses=hub.pauses,
                dead_letters=hub.dead_letters,
                weather=hub.operations.weather,
                flows=hub.operations.flows,
                gateways=hub.operations.gateways,
                session_limits=SessionLimits(),
            )
        )
        with serving(Starlette(routes=[Mount(MOUNTED_AT, portal.app)]), free_port()) as address:
            cookies = {SESSION_COOKIE: "A" * 43}
            answer = httpx2.get(f"{address}{PORTAL}/log", cookies=cookies)
        portal.close()
        writer.close()
        engine.dispose()
        assert answer.status_code == 500
        assert "exchange.internal" in answer.text
        assert "portal_sessions" not in answer.text
        require_protected(answer)


def require_protected(answer: httpx2.Response) -> None:
    headers = answer.headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"
    is_file = "/static/" in str(answer.request.url)
    assert headers["cache-control"] == ("public, max-age=31536000, immutable" if is_file else "no-store")


def test_the_interface_description_does_not_list_the_pages(world: World) -> None:
    described = world.http.get(f"{world.url}/openapi.json").json()
    assert not [path for path in described["paths"] if path.startswith(PORTAL)]
