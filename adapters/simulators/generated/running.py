# SPDX-License-Identifier: Apache-2.0
"""Runs a generated stand-in on 127.0.0.1 until it is told to stop, and writes its description.

Source: adapters/simulators/generated/offer.py for the files of its folder.
"""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import uvicorn

from adapters.invention import people
from adapters.simulators.generated.misconduct import Misconduct
from adapters.simulators.generated.offer import DESCRIPTION_FILE, Offer, describe, publish
from adapters.simulators.generated.respondent import Respondent, Samples, example_samples
from hub.clock import SystemClock
from hub.contracts import load_contracts
from hub.errors import AdapterError
from hub.identifiers import ContractId, ServiceId

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from pathlib import Path

    from starlette.applications import Starlette

    from hub.clock import Clock
    from hub.contracts import Contract

_START_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What stand-in is wanted.

    Attributes:
        contract: what it answers.
        contract_folder: where that lies, with its examples.
        kind: `rest`, `soap` or `sftp`.
        folder: for its description, secrets and files.
        service: the service its description is for; an invented one without it.
        port: 0 takes a free one.
        seed: decides its answers and which calls go wrong.
        samples: folder of recorded questions and answers.
        is_recording: whether what it answers is added there.
    """

    contract: Contract
    contract_folder: Path
    kind: str
    folder: Path
    service: ServiceId | None = None
    port: int = 0
    seed: str = "0"
    misconduct: Misconduct = field(default_factory=Misconduct)
    samples: Path | None = None
    is_recording: bool = False
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True, kw_only=True)
class FilePlan:
    """What system of a file is wanted; the fields as of `Plan`.

    Attributes:
        file: a WSDL or an OpenAPI file, with what it refers to beside it.
        catalogue: a folder of schemas that answer for imports from elsewhere.
    """

    file: Path
    folder: Path
    catalogue: Path | None = None
    port: int = 0
    seed: str = "0"
    misconduct: Misconduct = field(default_factory=Misconduct)
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True)
class StandIn:
    """A running stand-in.

    Attributes:
        description: the file to register.
    """

    service: ServiceId
    offer: Offer
    description: Path


def plan_for(contracts: Path, contract: str, **wanted: object) -> Plan:
    """Plan a stand-in for one contract of a folder.

    Raises:
        AdapterError: `adapter.configuration_invalid`, the folder has no such contract.
        ContractError: `contract.folder_invalid`.
    """
    known = load_contracts(contracts)
    found = known.get(ContractId(contract))
    if found is None:
        detail = f"{contracts} has no contract {contract}; it has {', '.join(sorted(known))}"
        raise AdapterError("adapter.configuration_invalid", detail)
    return Plan(contract=found, contract_folder=contracts / contract, **wanted)  # type: ignore[arg-type]  # a Plan's own


@contextmanager
def running(plan: Plan) -> Iterator[StandIn]:
    """Run the stand-in of a contract until the end of the block.

    Raises:
        AdapterError: `adapter.configuration_invalid`, it cannot be made for this contract, or cannot listen.
    """
    if plan.kind not in _SERVERS:
        detail = f"{plan.kind} is none of {', '.join(_SERVERS)}"
        raise AdapterError("adapter.configuration_invalid", detail)
    with _offered(lambda: _SERVERS[plan.kind](plan)) as offer:
        yield _published(plan, offer)


@contextmanager
def running_file(plan: FilePlan) -> Iterator[Offer]:
    """Run the stand-in of a system that a file describes until the end of the block.

    Its description with the stand-in's address is written into the folder, to be registered from there.

    Raises:
        AdapterError: `adapter.configuration_invalid`, nothing can be made of the file, or it cannot listen.
    """
    with _offered(lambda: _described(plan)) as offer:
        for name, content in offer.secrets.items():
            publish(plan.folder, name, content)
        yield offer


@contextmanager
def _offered(serve: Callable[[], AbstractAsyncContextManager[Offer]]) -> Iterator[Offer]:
    """Run a server in a thread with an event loop of its own."""
    control: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}
    offers: list[Offer] = []
    failures: list[BaseException] = []
    settled = threading.Event()

    async def run() -> None:
        stop = asyncio.Event()
        control["stop"] = (asyncio.get_running_loop(), stop)
        async with serve() as offer:
            offers.append(offer)
            settled.set()
            await stop.wait()

    def work() -> None:
        try:
            asyncio.run(run())
        except (OSError, ValueError, AdapterError) as exc:
            failures.append(exc)
        finally:
            settled.set()

    thread = threading.Thread(target=work, name="stand-in")
    thread.start()
    try:
        settled.wait(_START_SECONDS)
        if not offers:
            cause = failures[0] if failures else None
            detail = cause.detail if isinstance(cause, AdapterError) else f"it does not start: {cause}"
            raise AdapterError("adapter.configuration_invalid", f"the stand-in: {detail}") from cause
        yield offers[0]
    finally:
        if "stop" in control and thread.is_alive():
            loop, stop = control["stop"]
            loop.call_soon_threadsafe(stop.set)
        thread.join(_START_SECONDS)


def _published(plan: Plan, offer: Offer) -> StandIn:
    for name, content in offer.secrets.items():
        publish(plan.folder, name, content)
    service = plan.service or _invented_service(plan)
    offer = replace(offer, connection=_with_places(offer.connection, offer.secrets, plan.folder.resolve()))
    description = describe(offer, plan.contract, service)
    return StandIn(service, offer, publish(plan.folder, DESCRIPTION_FILE, description))


def _with_places(value: Any, names: Mapping[str, str], folder: Path) -> Any:
    """Return settings that name files by their whole paths, as they are registered from elsewhere."""
    if isinstance(value, dict):
        return {name: _with_places(member, names, folder) for name, member in value.items()}
    if isinstance(value, str) and value.removeprefix("file:") in names:
        place = str(folder / value.removeprefix("file:"))
        return f"file:{place}" if value.startswith("file:") else place
    return value


def _invented_service(plan: Plan) -> ServiceId:
    member = people.uscc(random.Random(plan.seed))  # noqa: S311 - an invented company, not a secret
    return ServiceId(f"{member}/stand-in/{plan.contract.id.partition('/')[0][:40]}")


def _respondent(plan: Plan) -> Respondent:
    samples = Samples(
        example_samples(plan.contract_folder), folder=plan.samples, is_recording=plan.is_recording
    )
    return Respondent(contract=plan.contract, samples=samples, seed=plan.seed, clock=plan.clock)


def _rest(plan: Plan) -> AbstractAsyncContextManager[Offer]:
    from adapters.simulators.generated.web import JsonStandIn  # noqa: PLC0415 - only what is asked for is loaded

    stand_in = JsonStandIn(_respondent(plan), plan.misconduct)
    return _http(stand_in.app(), plan.port, stand_in.offer)


def _soap(plan: Plan) -> AbstractAsyncContextManager[Offer]:
    from adapters.simulators.generated.contractsoap import ContractSoap  # noqa: PLC0415 - likewise

    stand_in = ContractSoap(_respondent(plan), plan.misconduct)
    return _http(stand_in.app(), plan.port, stand_in.offer)


def _described(plan: FilePlan) -> AbstractAsyncContextManager[Offer]:
    with plan.file.open("rb") as file:
        is_xml = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    return _of_wsdl(plan) if is_xml else _of_openapi(plan)


def _of_openapi(plan: FilePlan) -> AbstractAsyncContextManager[Offer]:
    from adapters.simulators.generated.rest import OpenApiStandIn  # noqa: PLC0415 - likewise

    stand_in = OpenApiStandIn(plan.file, plan.misconduct, now=plan.clock.now(), seed=plan.seed)
    return _http(stand_in.app(), plan.port, stand_in.offer)


def _of_wsdl(plan: FilePlan) -> AbstractAsyncContextManager[Offer]:
    from adapters.simulators.generated.soap import PATH, SoapStandIn  # noqa: PLC0415 - likewise
    from adapters.simulators.generated.wsdl import read_served  # noqa: PLC0415 - likewise

    wsdl = read_served(plan.file, plan.catalogue)
    stand_in = SoapStandIn(wsdl=wsdl, misconduct=plan.misconduct, seed=plan.seed, clock=plan.clock)

    def offer(port: int) -> Offer:
        address = f"http://127.0.0.1:{port}{PATH}"
        connection = {"wsdl": "service.wsdl", "address": address}
        content = wsdl.at_address(address).decode("utf-8")
        return Offer(
            kind="soap", port=port, connection=connection, request={}, secrets={"service.wsdl": content}
        )

    return _http(stand_in.app(), plan.port, offer)


def _sftp(plan: Plan) -> AbstractAsyncContextManager[Offer]:
    return _files(plan)


@asynccontextmanager
async def _files(plan: Plan) -> AsyncIterator[Offer]:
    try:
        from adapters.simulators.generated.files import FileStandIn  # noqa: PLC0415 - likewise
    except ImportError as exc:
        detail = "a stand-in over SFTP needs the extra: pip install 'heliograph[demo]'"
        raise AdapterError("adapter.configuration_invalid", detail) from exc
    stand_in = FileStandIn(_respondent(plan), plan.misconduct, plan.folder / "sftp")
    acceptor = await stand_in.listen(plan.port)
    try:
        yield stand_in.offer(acceptor.get_port())
    finally:
        await stand_in.close(acceptor)


class _Server(uvicorn.Server):
    """A server that leaves signals to the process it is in."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # uvicorn's is a generator
        return nullcontext()


@asynccontextmanager
async def _http(app: Starlette, port: int, offer: Callable[[int], Offer]) -> AsyncIterator[Offer]:
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        # The socket listens already, so whoever is told the port can connect.
        yield offer(listener.getsockname()[1])
    finally:
        server.should_exit = True
        await serving
        listener.close()


_SERVERS: Mapping[str, Callable[[Plan], AbstractAsyncContextManager[Offer]]] = {
    "rest": _rest,
    "soap": _soap,
    "sftp": _sftp,
}
