# SPDX-License-Identifier: Apache-2.0
"""A gateway's console with a register and its pages, and a VAT register that speaks SOAP; without a hub."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
from lxml import etree
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route

from adapters.configuration import build_adapters
from adapters.console import Administrators, ConsoleSettings, Workbench
from adapters.console.passwords import hash_password
from adapters.references import Surroundings
from adapters.register import AdapterRegister, LiveServices, Rules, VersionStore
from adapters.register.files import SourceFiles
from adapters.reporting import Fortunes
from adapters.sources import Operation, Shape, Source
from adapters.wizard import MOUNTED_AT, Wizard, WizardParts
from adapters.wizard.mounting import READERS, contract_test_of
from hub.clock import SystemClock
from hub.contracts import load_contracts
from hub.identifiers import MemberId, SubsystemId
from tests.journeys.serving import serving
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.requests import Request


CONTRACTS = Path(__file__).parents[3] / "contracts"
MEMBER = "11510108MB1A00002M"
SUBSYSTEM = SubsystemId(f"{MEMBER}/employment")
SERVICE = f"{SUBSYSTEM}/vat-registration"
PEOPLE = ("周敏", "陈立")
PASSWORD = "correct horse battery"  # noqa: S105 - of people who exist in tests only
_TYPES = "urn:ec.europa.eu:taxud:vies:services:checkVat:types"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


@cache
def kept_password() -> str:
    return hash_password(PASSWORD)


def settings(*, four_eyes: bool = False) -> ConsoleSettings:
    """Return a console's settings; the hash comes from an environment variable."""
    people = [{"name": name, "password": f"env:KEPT_{number}"} for number, name in enumerate(PEOPLE)]
    # One password for both, each kept under a salt of its own.
    environment = {f"KEPT_{number}": hash_password(PASSWORD) for number in range(len(PEOPLE))}
    content = {"port": free_port(), "administrators": people, "four_eyes": four_eyes}
    return ConsoleSettings.model_validate(content, context=Surroundings(Path(), environment))


@dataclass
class VatRegister:
    """A register of VAT numbers behind the interface of VIES; `100` is registered, others are not."""

    url: str
    asked: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, body: bytes) -> str:
        tree = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
        [country] = tree.iter(f"{{{_TYPES}}}countryCode")
        [number] = tree.iter(f"{{{_TYPES}}}vatNumber")
        self.asked.append((country.text or "", number.text or ""))
        is_valid = number.text == "100"
        named = "<name>Musterwerk GmbH</name><address>Musterweg 1</address>" if is_valid else ""
        return (
            f"<s:Envelope xmlns:s='{_SOAP}'><s:Body><checkVatResponse xmlns='{_TYPES}'>"
            f"<countryCode>{country.text}</countryCode><vatNumber>{number.text}</vatNumber>"
            f"<requestDate>2026-03-01+01:00</requestDate><valid>{str(is_valid).lower()}</valid>"
            f"{named}</checkVatResponse></s:Body></s:Envelope>"
        )


@contextmanager
def running_vat_register() -> Iterator[VatRegister]:
    port = free_port()
    register = VatRegister(f"http://127.0.0.1:{port}/checkVatService")

    async def ask(request: Request) -> Response:
        return Response(register.answer(await request.body()), media_type="text/xml")

    with serving(Starlette(routes=[Route("/checkVatService", ask, methods=["POST"])]), port):
        yield register


@dataclass
class RunningConsole:
    """A console whose pages answer at `url`."""

    url: str
    folder: Path
    bench: Workbench
    live: LiveServices
    fortunes: Fortunes


def read_anything(path: Path) -> Source:
    """Stand in for a reader: one operation that is asked for a key."""
    del path
    question = Shape("", "object", children=(Shape("key", "text"),))
    operation = Operation("look-up", "Looks a key up.", question, Shape("", "object"), {"path": "/look-up"})
    return Source("rest", "A register", (operation,))


@contextmanager
def running_console(
    folder: Path, *, four_eyes: bool = False, simple: bool = False, port: int | None = None
) -> Iterator[RunningConsole]:
    """Run a console with its pages; started again on the same folder it knows what it knew."""
    clock = SystemClock()
    contracts = load_contracts(CONTRACTS)
    files = SourceFiles(folder / "adapters")
    live = LiveServices()
    fortunes = Fortunes()
    store = VersionStore(folder / "adapters.sqlite")

    def build(content: Any, at: str) -> Any:
        return build_adapters(content, at=at, folder=files.folder, clock=clock, environment={"KEY": "secret"})

    register = AdapterRegister(store, build=build, live=live, clock=clock, rules=Rules(four_eyes=four_eyes))
    register.start()
    bench = Workbench(
        member=MemberId(MEMBER),
        register=register,
        administrators=Administrators(settings(four_eyes=four_eyes).administrators, clock),
        live=live,
        contracts=contracts,
        files=files,
        clock=clock,
    )
    wizard = Wizard(
        WizardParts(
            bench=bench,
            watch=fortunes.of,
            contract_test=contract_test_of(CONTRACTS),
            drafts=folder / "drafts.sqlite",
            contracts_folder=CONTRACTS,
            subsystems=frozenset({SUBSYSTEM}),
            readers={**READERS, "rest": read_anything} if simple else READERS,
        )
    )
    app = Starlette(routes=[Mount(MOUNTED_AT, wizard.app)])
    with serving(app, port or free_port()) as url:
        yield RunningConsole(url + MOUNTED_AT, folder, bench, live, fortunes)
    live.close()
    store.close()


@dataclass
class Visit:
    """A browser without scripts that follows no redirect by itself."""

    console: RunningConsole
    http: httpx2.Client

    def get(self, path: str) -> httpx2.Response:
        return self.http.get(self.console.url + path)

    def post(self, path: str, form: Mapping[str, str], **options: Any) -> httpx2.Response:
        """Send a form with its hidden fields as the page at `path` has them."""
        hidden = dict(re.findall(r'name="(form_token|revision)" value="([^"]*)"', self._page_of(path)))
        return self.send(path, {**hidden, **form}, **options)

    def send(
        self, path: str, form: Mapping[str, str], *, origin: str | None = None, files: Any = None
    ) -> httpx2.Response:
        own = self.console.url.removesuffix(MOUNTED_AT)
        headers = {"Origin": own if origin is None else origin}
        return self.http.post(self.console.url + path, data=dict(form), files=files, headers=headers)

    def sign_in(self, name: str = PEOPLE[0], password: str = PASSWORD) -> httpx2.Response:
        return self.send("/sign-in", {"name": name, "password": password})

    def begin(self, way: str = "hand-rest", files: Any = None) -> str:
        """Begin a draft and return its path."""
        response = self.post("/new", {"way": way}, files=files or {"none": ("", b"")})
        assert response.status_code == 303, response.text
        found = re.search(r"/drafts/[0-9a-f]+", response.headers["location"])
        assert found is not None
        return found[0]

    def _page_of(self, path: str) -> str:
        return self.get(path if path != "/changes" else "/").text


@contextmanager
def visiting(console: RunningConsole, name: str | None = PEOPLE[0]) -> Iterator[Visit]:
    with httpx2.Client(timeout=30, headers={"Accept-Language": "en"}) as http:
        visit = Visit(console, http)
        if name is not None:
            assert visit.sign_in(name).status_code == 303
        yield visit
