# SPDX-License-Identifier: Apache-2.0
"""`heliograph adapters test`: what an adapter has to show before it is switched on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli import AsJson, print_json, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapters.configuration import ConfiguredAdapter
    from adapters.trials import Trial
    from hub.contracts import Contract
    from hub.errors import Language
    from hub.identifiers import ContractId

_FAILED, _CANNOT_RUN = 1, 2


def try_out(
    description: Annotated[
        Path, typer.Argument(help="The adapters' YAML file.", exists=True, dir_okay=False)
    ],
    service: Annotated[
        str | None, typer.Option(help="The only service to test; all of the file without it.")
    ] = None,
    contracts: Annotated[
        Path, typer.Option(help="The folder of contracts.", exists=True, file_okay=False)
    ] = Path("contracts"),
    requests: Annotated[
        Path | None,
        typer.Option(
            help="Folder of questions (*.json) about records your system has.", exists=True, file_okay=False
        ),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Also write the result as JUnit XML, for a CI server.")
    ] = None,
    language: Annotated[str, typer.Option(help="zh-CN or en.")] = "en",
    *,
    may_act: Annotated[
        bool, typer.Option("--may-act", help="Send one-way messages and events too: the system acts on them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put an adapter, and the real system behind it, to its contract's test.

    Asks the contract's examples and your own samples, and holds every answer against the contract; tries
    people who do not exist, a repetition, questions at the same time, and a time limit. Secrets are read as
    the gateway reads them. Exit code 0: passed; 1: not passed; 2: the test cannot run.

    Example: heliograph adapters test labour-bureau.yaml --requests samples/ --junit result.xml
    """
    from adapters.configuration import load_adapters
    from adapters.trials import trial_to_json, trials_to_junit
    from hub.contracts import load_contracts
    from hub.errors import AdapterError, HubError, Language

    if language not in set(Language):
        raise typer.BadParameter("zh-CN or en", param_hint="--language")
    try:
        known = load_contracts(contracts)
        adapters = load_adapters(description)
        try:
            chosen = [each for each in adapters.values() if service in {None, each.service}]
            if not chosen:
                raise AdapterError("adapter.service_unknown", f"{description} describes no {service}")
            trials = tuple(
                _try(each, known, contracts, requests, may_act=may_act, is_quiet=as_json) for each in chosen
            )
        finally:
            for each in adapters.values():
                each.adapter.close()
        if junit is not None:
            junit.write_bytes(trials_to_junit(trials))
    except HubError as error:
        refuse(error, _CANNOT_RUN)
    if as_json:
        print_json(
            {
                "passed": all(each.passed for each in trials),
                "trials": [trial_to_json(each) for each in trials],
            }
        )
    else:
        for told in trials:
            _show(told, Language(language))
    raise typer.Exit(0 if all(each.passed for each in trials) else _FAILED)


def _try(
    configured: ConfiguredAdapter,
    known: Mapping[ContractId, Contract],
    folder: Path,
    samples: Path | None,
    *,
    may_act: bool,
    is_quiet: bool,
) -> Trial:
    from adapters.trials import contract_cases, trial
    from hub.cli.progress import portions
    from hub.errors import AdapterError

    contract = known.get(configured.contract)
    if contract is None:
        raise AdapterError("adapter.configuration_invalid", f"{folder} has no contract {configured.contract}")
    cases = contract_cases(folder, contract, samples)
    with portions(configured.service, is_quiet=is_quiet) as progress:
        return trial(configured, contract, cases, may_act=may_act, on_case=progress)


def _show(trial: Trial, spoken: Language) -> None:
    """Print one test, a line a case."""
    from adapters.trials import advice_on, title_of
    from hub.errors import Language
    from hub.findings import printable

    words = {Language.ZH: ("通过", "未通过"), Language.EN: ("passed", "failed")}[spoken]
    typer.echo(f"{trial.service} ({trial.adapter_kind}, {trial.contract})")
    for case in trial.cases:
        facts = " ".join(filter(None, (case.code, printable(case.detail))))
        mark = words[0] if case.passed else words[1]
        line = f"  {mark}  {title_of(case, spoken)}  {case.seconds:.2f} s"
        typer.echo(f"{line}  {facts}" if facts else line)
        if not case.passed and (advice := advice_on(case, spoken)):
            typer.echo(f"          {printable(advice)}")
    typer.echo(words[0] if trial.passed else words[1])
