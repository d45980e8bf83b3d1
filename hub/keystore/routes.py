# SPDX-License-Identifier: Apache-2.0
"""The hub's own keys over HTTP, for administrators. No answer ever holds private material."""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
from collections.abc import Callable
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from hub.accounts import Principal, Role
from hub.clock import Clock
from hub.custody import CheckedAnswer, KeyAlgorithm, Subject
from hub.keystore.folder import KeyFolder
from hub.keystore.model import describe_certificate, describe_key
from hub.trust import Use, refusal

MOST_BODY_BYTES = 256 * 1024
PEM_MEDIA_TYPE = "application/x-pem-file"

_logger = structlog.get_logger(__name__)


class NewKey(BaseModel):
    """A key to be made, and what its certificate is asked for.

    Attributes:
        name: a-z, 0-9 and '-'.
        organization: the member's full name.
        common_name: what the certificate is for.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=63)
    algorithm: KeyAlgorithm = KeyAlgorithm.P256
    use: Use = Use.ENVELOPE
    organization: str = Field(max_length=64)
    common_name: str = Field(max_length=64)


class KeyView(BaseModel):
    """One key as administrators see it."""

    name: str
    place: str
    subject: str | None
    has_request: bool
    has_previous: bool
    certificate: dict[str, Any] | None


class AnswerView(BaseModel):
    """What was found in an authority's answer.

    Attributes:
        is_imported: whether it was taken over; not in a dry run.
        certificates: the chain, the key's certificate first.
        warnings: what is worth knowing.
    """

    is_imported: bool
    certificates: list[dict[str, Any]]
    warnings: list[str]


def key_routes(keys: KeyFolder, *, clock: Clock, authenticate: Callable[..., Principal]) -> APIRouter:
    """Make the routes under `/api/v1/keys`.

    Args:
        keys: what is shown and changed.
        clock: tells the days left.
        authenticate: the dependency that gives a route its caller, `hub.accounts.authenticated`.
    """

    def administrator(caller: Annotated[Principal, Depends(authenticate)]) -> Principal:
        caller.require(Role.ADMINISTRATOR)
        return caller

    router = APIRouter(prefix="/api/v1/keys", tags=["keys"], dependencies=[Depends(administrator)])
    Administrator = Annotated[Principal, Depends(administrator)]  # noqa: N806 - it is a type

    @router.get("")
    def list_keys() -> list[KeyView]:
        """List the hub's keys with the days their certificates have left."""
        return [KeyView(**describe_key(key, clock.now())) for key in keys.stored()]

    @router.post("", status_code=201)
    def make_key(new: NewKey, caller: Administrator) -> KeyView:
        """Make a key, kept where the hub's signing key is, and the request for its certificate."""
        subject = Subject(organization=new.organization, common_name=new.common_name, member=keys.member)
        made = keys.generate(new.name, new.algorithm, subject, new.use)
        _logger.info("keys.made", name=new.name, algorithm=new.algorithm.value, by=caller.subject)
        return KeyView(**describe_key(made, clock.now()))

    @router.get("/{name}/request", response_class=Response)
    def show_request(name: str) -> Response:
        """Return the request for a certificate (PKCS#10 in PEM), to be sent to the authority."""
        return Response(keys.request(name), media_type=PEM_MEDIA_TYPE)

    @router.put(
        "/{name}/certificate",
        openapi_extra={"requestBody": {"required": True, "content": {PEM_MEDIA_TYPE: {}}}},
    )
    def import_certificate(
        name: str,
        caller: Administrator,
        content: Annotated[bytes, Depends(_read_body)],
        use: Annotated[Use | None, Query(description="Without it, what the request asks for.")] = None,
        dry_run: Annotated[bool, Query(description="Check only.")] = False,  # noqa: FBT002 - a query parameter is named in the address
    ) -> AnswerView:
        """Check an authority's answer (PEM, DER or PKCS#7, in any order) and take it over."""
        answer = keys.import_answer(name, content, use=use, now=clock.now(), dry_run=dry_run)
        if not dry_run:
            _logger.info("keys.certified", name=name, by=caller.subject)
        return _view(answer, clock, is_imported=not dry_run)

    return router


async def _read_body(request: Request) -> bytes:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_BODY_BYTES:
            raise refusal("answer_unreadable", facts=f"more than {MOST_BODY_BYTES} bytes")
    return content


def _view(answer: CheckedAnswer, clock: Clock, *, is_imported: bool) -> AnswerView:
    now = clock.now()
    return AnswerView(
        is_imported=is_imported,
        certificates=[describe_certificate(each, now) for each in answer.chain],
        warnings=list(answer.warnings),
    )
