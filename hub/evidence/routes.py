# SPDX-License-Identifier: Apache-2.0
"""Evidence over HTTP: caseworkers ask, gateways fetch drafts, caseworkers read answers.

Source: docs/protocols/exchange.md section 6.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from hub.accounts import Principal, Role
from hub.clock import format_instant
from hub.envelope import CONTAINER_MEDIA_TYPE, Purpose, open_envelope
from hub.errors import ExchangeError
from hub.evidence.model import EvidenceRequest
from hub.evidence.service import EvidenceDesk
from hub.exchange import Archive
from hub.identifiers import MessageId, ServiceId, SubsystemId, is_message_id, is_service_id
from hub.problems import require


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PurposeBody(_Body):
    """Why the evidence is needed; who asks is the caller."""

    item: str = Field(min_length=1, max_length=200)
    case: str = Field(min_length=1, max_length=200)
    legal_basis: str = Field(min_length=1, max_length=200)
    post: str = Field(min_length=1, max_length=200)


class DraftBody(_Body):
    """A caseworker's request: which service, the question in its contract's words, and the purpose."""

    service: str
    request: dict[str, Any]
    purpose: PurposeBody


class FailureBody(_Body):
    """Why a gateway could not make an answered message of a draft."""

    code: str = Field(pattern=r"^[a-z]{1,20}\.[a-z0-9_]{1,60}$")
    detail: str = Field(max_length=2000)


class RequestView(BaseModel):
    """Where a request stands."""

    id: str
    state: str
    service: str
    requester: str
    created_at: str
    message_id: str | None
    code: str | None
    detail: str | None


class DraftView(BaseModel):
    """A draft as the department's gateway gets it."""

    id: str
    service: str
    contract: str
    request: Mapping[str, Any]
    purpose: dict[str, str]


def evidence_routes(
    *, desk: EvidenceDesk, archive: Archive, authenticate: Callable[..., Principal]
) -> APIRouter:
    """Return the routes of the evidence slice."""
    router = APIRouter(prefix="/api/v1/evidence", tags=["evidence"])
    _add_requests(router, desk, authenticate)
    _add_answers(router, desk, archive, authenticate)
    _add_drafts(router, desk, authenticate)
    return router


def _add_requests(router: APIRouter, desk: EvidenceDesk, authenticate: Callable[..., Principal]) -> None:
    Caller = Annotated[Principal, Depends(authenticate)]  # noqa: N806 - it is a type

    @router.post("/requests", status_code=201)
    async def ask(body: DraftBody, caller: Caller) -> RequestView:
        """Ask another department for evidence; the caller's own gateway signs and sends it."""
        caller.require(Role.CASEWORKER)
        purpose = Purpose(**body.purpose.model_dump(), official=caller.subject)
        if not is_service_id(body.service):
            raise ExchangeError("exchange.request_invalid", "service is not a service id")
        return _view(await desk.draft(caller, ServiceId(body.service), body.request, purpose))

    @router.get("/requests")
    def list_requests(caller: Caller, most: Annotated[int, Query(ge=1, le=500)] = 50) -> list[RequestView]:
        """List the latest requests of the caller's subsystem."""
        caller.require(Role.CASEWORKER)
        return [_view(request) for request in desk.latest(_subsystem(caller), most)]

    @router.get("/requests/{request_id}")
    def show(request_id: str, caller: Caller) -> RequestView:
        """Show where a request stands."""
        caller.require(Role.CASEWORKER)
        return _view(desk.require(_message_id(request_id), caller.subsystem))


def _add_answers(
    router: APIRouter, desk: EvidenceDesk, archive: Archive, authenticate: Callable[..., Principal]
) -> None:
    Caller = Annotated[Principal, Depends(authenticate)]  # noqa: N806 - it is a type

    @router.get("/requests/{request_id}/containers/{part}", response_class=Response)
    def read_container(request_id: str, part: str, caller: Caller) -> Response:
        """Return the signed `request`, `answer` or `receipt` of a request."""
        return Response(_container(request_id, part, caller), media_type=CONTAINER_MEDIA_TYPE)

    @router.get("/requests/{request_id}/documents/{name}", response_class=Response)
    def read_document(request_id: str, name: str, caller: Caller) -> Response:
        """Return one payload of the answer, for example `proof.pdf`."""
        answer = open_envelope(_container(request_id, "answer", caller))
        for entry in answer.header.payload:
            if entry.name == name:
                return Response(
                    answer.payloads[name],
                    media_type=entry.media_type,
                    headers={"Content-Disposition": f'attachment; filename="{name}"'},
                )
        raise ExchangeError("exchange.message_unknown", "the answer has no such document")

    def _container(request_id: str, part: str, caller: Principal) -> bytes:
        caller.require(Role.CASEWORKER)
        record = desk.exchange_of(desk.require(_message_id(request_id), caller.subsystem))
        digests = (
            {}
            if record is None
            else {
                "request": record.request_sha256,
                "answer": record.answer_sha256,
                "receipt": record.receipt_sha256,
            }
        )
        digest = digests.get(part)
        if digest is None:
            raise ExchangeError("exchange.message_unknown", f"there is no {part[:20]} yet")
        return archive.container(digest)


def _add_drafts(router: APIRouter, desk: EvidenceDesk, authenticate: Callable[..., Principal]) -> None:
    Caller = Annotated[Principal, Depends(authenticate)]  # noqa: N806 - it is a type

    @router.post("/drafts/claim", responses={204: {"description": "no draft is waiting"}})
    async def claim(
        request: Request, caller: Caller, wait_seconds: Annotated[float, Query(ge=0, le=60)] = 0
    ) -> DraftView | None:
        """Hand the oldest draft of the caller's subsystem to its gateway, which will sign and send it."""
        caller.require(Role.GATEWAY)
        draft = await desk.claim(
            _subsystem(caller), wait_seconds=wait_seconds, is_gone=request.is_disconnected
        )
        if draft is None:
            return None
        purpose = draft.purpose
        return DraftView(
            id=draft.request.id,
            service=draft.request.service,
            contract=draft.request.contract,
            request=draft.data,
            purpose={
                "item": purpose.item,
                "case": purpose.case,
                "legal_basis": purpose.legal_basis,
                "official": purpose.official,
                "post": purpose.post,
            },
        )

    @router.post("/drafts/{request_id}/settled", status_code=204)
    async def settle(request_id: str, caller: Caller) -> None:
        """Note that the gateway has sent the draft's message; the exchange says what became of it."""
        caller.require(Role.GATEWAY)
        await desk.settle(_message_id(request_id), _subsystem(caller))

    @router.post("/drafts/{request_id}/failure", status_code=204)
    async def report_failure(request_id: str, body: FailureBody, caller: Caller) -> None:
        """Note why the gateway could not make an answered message of a draft."""
        caller.require(Role.GATEWAY)
        await desk.report_failure(_message_id(request_id), _subsystem(caller), body.code, body.detail)


def _subsystem(caller: Principal) -> SubsystemId:
    require(caller.subsystem is not None, "the account is bound to no subsystem")
    if caller.subsystem is None:
        raise TypeError("require raises")
    return caller.subsystem


def _message_id(text: str) -> MessageId:
    if not is_message_id(text):
        raise ExchangeError("exchange.message_unknown", "not a request id")
    return MessageId(text)


def _view(request: EvidenceRequest) -> RequestView:
    return RequestView(
        id=request.id,
        state=request.state.value,
        service=request.service,
        requester=request.requester,
        created_at=format_instant(request.created_at),
        message_id=request.message_id,
        code=request.code,
        detail=request.detail,
    )
