# SPDX-License-Identifier: Apache-2.0
"""The console's API. Whoever calls shows a token; every answer that changes something says who did it."""

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from adapters.console.administrators import Administrator
from adapters.console.views import change_json, event_json, service_json, version_json
from adapters.console.workbench import Workbench
from adapters.descriptions import MOST_BYTES
from adapters.ports import DeferredError
from adapters.trials import trial_to_json
from hub.errors import AccessError, AdapterError
from hub.identifiers import ServiceId

_bearer = HTTPBearer(auto_error=False, description="A token of one of the gateway's administrators.")
_Text = Annotated[str, Field(max_length=MOST_BYTES)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Described(_Body):
    """A description; `note` says why, `is_whole` that services it leaves out are retired."""

    text: _Text
    note: str = ""
    is_whole: bool = False


class Applied(Described):
    """A description and, by service, the digest of what its plan was compared with."""

    bases: dict[str, str] | None = None


class Decision(_Body):
    """A decision about a version; `base` is the digest of what is believed to answer now."""

    base: str | None = None


class Sample(_Body):
    """A description and samples to try it on."""

    text: _Text
    sample_request: dict[str, Any] | None = None
    sample_answer: Any = None


class Asked(_Body):
    """A description and a request that is really asked."""

    text: _Text
    request: dict[str, Any]


class Tested(_Body):
    """What a contract test needs beside the contract's examples: questions about records the system has."""

    samples: Annotated[list[dict[str, Any]], Field(max_length=200)] = []
    may_act: bool = False


class Uploaded(_Body):
    """Files that belong together, each in base64, by name."""

    files: dict[str, str]


def build_router(bench: Workbench) -> APIRouter:  # noqa: C901 - one list of routes
    """Return the routes of the API."""
    router = APIRouter(prefix="/api/v1")

    def who(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Administrator:
        if credentials is None:
            raise AccessError("access.not_authenticated", "no bearer token was sent")
        address = request.client.host if request.client else ""
        return bench.administrators.by_token(credentials.credentials, address=address)

    who_calls = Annotated[Administrator, Depends(who)]

    @router.get("/adapters")
    def services(who: who_calls) -> dict[str, Any]:
        del who
        return {"services": [service_json(bench, service) for service in bench.register.services()]}

    @router.post("/adapters/plan")
    def plan(body: Described, who: who_calls) -> dict[str, Any]:
        del who
        made = bench.register.plan(body.text, is_whole=body.is_whole)
        return {"is_empty": made.is_empty, "changes": [change_json(each) for each in made.changes]}

    @router.post("/adapters/apply")
    def apply(body: Applied, who: who_calls) -> dict[str, Any]:
        done = bench.apply(body.text, who, note=body.note, is_whole=body.is_whole, bases=body.bases)
        return {"versions": [version_json(each) for each in done]}

    @router.post("/adapters/versions", status_code=201)
    def save(body: Described, who: who_calls) -> dict[str, Any]:
        return version_json(bench.register.save(body.text, who.name, body.note))

    @router.post("/adapters/preview")
    def preview(body: Sample, who: who_calls) -> dict[str, Any]:
        del who
        tried = bench.preview(body.text, sample_request=body.sample_request, sample_answer=body.sample_answer)
        return dict(tried.as_json())

    @router.post("/adapters/probe")
    def probe(body: Described, who: who_calls) -> dict[str, Any]:
        del who
        return dict(bench.probe(body.text).as_json())

    @router.post("/adapters/ask")
    def ask(body: Asked, who: who_calls) -> dict[str, Any]:
        try:
            return {"answer": bench.ask_once(body.text, body.request, who)}
        except DeferredError as error:
            raise AdapterError("adapter.system_timeout", str(error)) from error

    @router.post("/files", status_code=201)
    def upload(body: Uploaded, who: who_calls) -> dict[str, Any]:
        del who
        try:
            files = {name: base64.b64decode(text, validate=True) for name, text in body.files.items()}
        except binascii.Error as error:
            raise AdapterError("adapter.configuration_invalid", "files: not base64") from error
        kept = bench.files.keep(files)
        return {"folder": kept.folder, "names": list(kept.names)}

    @router.get("/events")
    def events(who: who_calls) -> dict[str, Any]:
        del who
        return {"events": [event_json(each) for each in bench.register.events()]}

    _add_versions(router, bench, who_calls)
    return router


def _add_versions(router: APIRouter, bench: Workbench, who_calls: Any) -> None:
    register, one = bench.register, "/adapters/{member}/{subsystem}/{name}"

    def service(member: str, subsystem: str, name: str) -> ServiceId:
        return ServiceId(f"{member}/{subsystem}/{name}")

    named = Annotated[ServiceId, Depends(service)]

    @router.get(one)
    def show(service: named, who: who_calls) -> dict[str, Any]:
        del who
        register.require_known(service)
        return {
            **service_json(bench, service),
            "text": register.running_text(service),
            "versions": [version_json(each) for each in register.versions(service)],
            "events": [event_json(each) for each in register.events(service)],
        }

    @router.get(one + "/versions/{number}")
    def version(service: named, number: int, who: who_calls) -> dict[str, Any]:
        del who
        return version_json(register.version(service, number), with_text=True)

    @router.get(one + "/diff")
    def diff(service: named, a: int, b: int, who: who_calls) -> dict[str, Any]:
        del who
        return {"diff": register.diff(service, a, b)}

    @router.post(one + "/versions/{number}/approve")
    def approve(service: named, number: int, who: who_calls) -> dict[str, Any]:
        return version_json(register.approve(service, number, who.name))

    @router.post(one + "/versions/{number}/activate")
    def activate(service: named, number: int, body: Decision, who: who_calls) -> dict[str, Any]:
        return version_json(register.activate(service, number, who.name, base=body.base))

    @router.post(one + "/versions/{number}/test")
    def test(service: named, number: int, body: Tested, who: who_calls) -> dict[str, Any]:
        found = bench.test(service, number, who, samples=body.samples, may_act=body.may_act)
        return dict(trial_to_json(found))

    @router.post(one + "/rollback")
    def rollback(service: named, who: who_calls) -> dict[str, Any]:
        return version_json(register.rollback(service, who.name))

    @router.post(one + "/retire")
    def retire(service: named, who: who_calls) -> dict[str, Any]:
        return version_json(register.retire(service, who.name))
