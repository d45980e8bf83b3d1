# SPDX-License-Identifier: Apache-2.0
"""The console's pages as one application, to be mounted under `/console`, beside the console's API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from adapters.wizard.choosing import ChoicePages
from adapters.wizard.draftstore import DraftStore
from adapters.wizard.ending import EndPages
from adapters.wizard.library import Library
from adapters.wizard.mapping_pages import MappingPages
from adapters.wizard.pages import MOUNTED_AT, SESSION_COOKIE, Call, Desk, Page
from adapters.wizard.samples import Samples
from adapters.wizard.sampling import SamplePages
from adapters.wizard.sessions import Sessions, Visitor
from adapters.wizard.signing_in import SignIn
from adapters.wizard.starting import StartPages
from adapters.wizard.version_pages import VersionPages
from hub.errors import AdapterError, PortalError
from hub.pages import Protected, Site, StaticFiles, Templates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    from adapters.console import Workbench
    from adapters.sources import Source
    from adapters.wizard.ports import ContractTest, Watch
    from hub.identifiers import SubsystemId

_PACKAGE = "adapters.wizard"
_OWN_FILES = ("console.css", "preview.js")


@dataclass(frozen=True, kw_only=True)
class WizardParts:
    """What the pages show, and what they work with.

    Attributes:
        drafts: the file drafts are kept in.
        contracts_folder: where the contracts' examples lie.
        subsystems: the gateway's own.
        readers: what reads a source, by kind.
        watch: knows how adapters fare, where somebody does.
        contract_test: tests an adapter by its contract, where something does.
        public_url: the address browsers see, where it is not simply the console's own.
    """

    bench: Workbench
    drafts: Path
    contracts_folder: Path
    subsystems: frozenset[SubsystemId]
    watch: Watch | None = None
    contract_test: ContractTest | None = None
    readers: Mapping[str, Callable[[Path], Source]] = field(default_factory=dict)
    public_url: str | None = None


class Wizard:
    """The pages, wired."""

    def __init__(self, parts: WizardParts) -> None:
        sessions = Sessions(parts.bench.clock, parts.bench.administrators.is_known)
        files = StaticFiles(MOUNTED_AT, _PACKAGE, _OWN_FILES)
        self._site: Site[Visitor, Call] = Site(
            mounted_at=MOUNTED_AT,
            call_type=Call,
            find=sessions.find,
            templates=Templates(_PACKAGE, {"static": files.addresses, "at": MOUNTED_AT}),
            cookie=SESSION_COOKIE,
            public_url=parts.public_url,
        )
        self.pages: tuple[Page, ...] = (
            *SignIn(administrators=parts.bench.administrators, sessions=sessions).pages(),
            *_steps(parts),
            *VersionPages(register=parts.bench.register).pages(),
        )
        pages = Starlette(
            routes=[*self._site.routes(self.pages), *files.routes()],
            exception_handlers={HTTPException: self._on_no_page, Exception: self._on_failure},
        )
        # Around everything: a middleware of Starlette's would not see what answers a failure.
        self.app = Protected(pages, has_scripts=True)

    def _on_no_page(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        return self._site.call(request, None).refuse(PortalError("portal.page_unknown"), status=status)

    def _on_failure(self, request: Request, error: Exception) -> Response:
        # The server logs the error itself, with its place; readers learn nothing of the gateway's inside.
        del error
        return self._site.call(request, None).refuse(AdapterError("adapter.internal"))


def _steps(parts: WizardParts) -> tuple[Page, ...]:
    bench = parts.bench
    library = Library(bench.files, parts.readers)
    desk = Desk(drafts=DraftStore(parts.drafts, bench.clock))
    samples = Samples(library=library, bench=bench, contracts_folder=parts.contracts_folder)
    kinds = (
        StartPages(desk=desk, bench=bench, library=library, watch=parts.watch),
        ChoicePages(desk=desk, library=library, bench=bench, subsystems=parts.subsystems, samples=samples),
        MappingPages(desk=desk, samples=samples, bench=bench),
        SamplePages(desk=desk, samples=samples),
        EndPages(desk=desk, bench=bench, contract_test=parts.contract_test),
    )
    return tuple(page for each in kinds for page in each.pages())
