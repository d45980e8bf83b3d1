# SPDX-License-Identifier: Apache-2.0
"""`heliograph simulate`: a stand-in of the other side."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli import AsJson, print_json

if TYPE_CHECKING:
    from adapters.simulators.generated import FilePlan, Offer, Plan, StandIn

_HOW = "rest, soap or sftp, for a contract; a file says it itself."


def simulate(
    what: Annotated[
        str, typer.Argument(help="A contract, such as disability-certificate/v1; or a WSDL or OpenAPI file.")
    ],
    protocol: Annotated[str, typer.Option("--as", help=_HOW)] = "",
    contracts: Annotated[
        Path, typer.Option(help="The folder of contracts.", exists=True, file_okay=False)
    ] = Path("contracts"),
    folder: Annotated[
        Path, typer.Option(help="For its description.yaml, its secrets and its files.", file_okay=False)
    ] = Path("var/stand-in"),
    service: Annotated[
        str | None, typer.Option(help="The service its description.yaml is for; an invented one without it.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="TCP port on 127.0.0.1; 0 takes a free one.")
    ] = 0,
    seed: Annotated[str, typer.Option(help="Decides the answers; the same seed gives the same ones.")] = "0",
    catalogue: Annotated[
        Path | None,
        typer.Option(
            help="Folder of schemas that answer for what a file imports from elsewhere.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    samples: Annotated[
        Path | None,
        typer.Option(help="Folder of NAME.request.json with NAME.answer.json, answered as recorded."),
    ] = None,
    slow: Annotated[
        float | None, typer.Option(help="Let calls wait this many seconds.", min=0, max=600)
    ] = None,
    share: Annotated[float, typer.Option(help="How many of the calls go wrong, 0 to 1.", min=0, max=1)] = 1.0,
    *,
    record: Annotated[bool, typer.Option("--record", help="Add what is answered to the samples.")] = False,
    faulty: Annotated[bool, typer.Option("--faulty", help="Let calls fail.")] = False,
    half_written: Annotated[
        bool, typer.Option("--half-written", help="Let answers break off, or files appear by halves.")
    ] = False,
    wrong_digest: Annotated[
        bool, typer.Option("--wrong-digest", help="State a wrong SHA-256 beside files.")
    ] = False,
    breaks_contract: Annotated[
        bool, typer.Option("--breaks-contract", help="Answer what the contract does not allow.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a stand-in of the other side until it is stopped, for work on an adapter before that side is there.

    Its people and companies are invented. Questions about numbers of the reserved area 990000 find no record.
    Its folder gets the description.yaml that maps it to the contract: register and test that, then put your
    own system in its place.

    Example: heliograph simulate disability-certificate/v1 --as rest --slow 3 --share 0.2
    """
    from adapters.simulators.generated import (
        FilePlan,
        Misbehaviour,
        Misconduct,
        plan_for,
        running,
        running_file,
    )
    from hub.identifiers import ServiceId, is_service_id

    if service is not None and not is_service_id(service):
        raise typer.BadParameter("not of the form <USCC>/<subsystem>/<service>", param_hint="--service")
    if record and samples is None:
        raise typer.BadParameter("says where to record: --samples FOLDER", param_hint="--record")
    asked = (
        (Misbehaviour.SLOW, slow is not None),
        (Misbehaviour.FAULT, faulty),
        (Misbehaviour.HALF_WRITTEN, half_written),
        (Misbehaviour.WRONG_DIGEST, wrong_digest),
        (Misbehaviour.BREAKS_CONTRACT, breaks_contract),
    )
    misconduct = Misconduct(
        ways=tuple(way for way, is_asked in asked if is_asked),
        share=share,
        slow_seconds=slow or 0.0,
        seed=seed,
    )
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    if Path(what).is_file():
        of_file = FilePlan(
            file=Path(what), folder=folder, catalogue=catalogue, port=port, seed=seed, misconduct=misconduct
        )
        with running_file(of_file) as offer:
            _announce_file(of_file, offer, as_json=as_json)
            stopped.wait()
        return
    plan = plan_for(
        contracts,
        what,
        kind=protocol or "rest",
        folder=folder,
        service=None if service is None else ServiceId(service),
        port=port,
        seed=seed,
        misconduct=misconduct,
        samples=samples,
        is_recording=record,
    )
    with running(plan) as stand_in:
        _announce(plan, stand_in, as_json=as_json)
        stopped.wait()


def _announce_file(plan: FilePlan, offer: Offer, *, as_json: bool) -> None:
    """Say where the stand-in of a file listens, and what describes it there."""
    described = [str(plan.folder / name) for name in offer.secrets]
    if as_json:
        told = {
            "file": str(plan.file),
            "kind": offer.kind,
            "port": offer.port,
            "connection": offer.connection,
        }
        print_json(told | {"described_by": described})
        return
    typer.echo(f"A stand-in of {plan.file.name} ({offer.kind}) listens on 127.0.0.1:{offer.port}")
    typer.echo(f"It is described by {', '.join(described)}: register it from there")


def _announce(plan: Plan, stand_in: StandIn, *, as_json: bool) -> None:
    """Say where it listens and what to do next."""
    if as_json:
        print_json(
            {
                "contract": plan.contract.id,
                "kind": stand_in.offer.kind,
                "port": stand_in.offer.port,
                "service": stand_in.service,
                "description": str(stand_in.description),
            }
        )
        return
    typer.echo(
        f"A stand-in of {plan.contract.id} ({stand_in.offer.kind}) listens on 127.0.0.1:{stand_in.offer.port}"
    )
    typer.echo(f"Its adapter description: {stand_in.description}")
    typer.echo(f"Try it: heliograph adapters test {stand_in.description}")
