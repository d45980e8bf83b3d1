# SPDX-License-Identifier: Apache-2.0
"""The trust list over HTTP: anybody reads every version, an administrator submits the next one.

Source: docs/protocols/trust-list.md section 8.
"""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from hub.accounts import Principal, Role
from hub.clock import Clock
from hub.envelope import CONTAINER_MEDIA_TYPE
from hub.trust import Bilingual, refusal
from hub.trustlist.archive import TrustListArchive
from hub.trustlist.container import MOST_BYTES, SignedTrustList, describe_version
from hub.trustlist.document import HIGHEST_SEQUENCE


def trust_list_routes(
    archive: TrustListArchive, clock: Clock, authenticate: Callable[..., Principal]
) -> APIRouter:
    """Make the routes under `/api/v1/trust-lists`.

    Args:
        archive: what is shown and added to.
        clock: says when a version comes.
        authenticate: the dependency that gives a route its caller, `hub.accounts.authenticated`.
    """
    router = APIRouter(prefix="/api/v1", tags=["trust"])
    container: dict[int | str, dict[str, Any]] = {
        200: {"content": {CONTAINER_MEDIA_TYPE: {}}, "description": "the container, byte for byte"}
    }

    def list_versions() -> list[dict[str, Any]]:
        """Say what versions there are, the oldest first; what is said here is signed in the containers."""
        return [describe_version(version) for version in archive.history.versions]

    def get_current() -> Response:
        """Return the container of the newest version."""
        return _container(archive.current)

    def get_version(sequence: Annotated[int, Path(ge=1, le=HIGHEST_SEQUENCE)]) -> Response:
        """Return the container of one version."""
        return _container(archive.history.require(sequence))

    def administrator(principal: Annotated[Principal, Depends(authenticate)]) -> Principal:
        principal.require(Role.ADMINISTRATOR)
        return principal

    def submit(
        principal: Annotated[Principal, Depends(administrator)],
        content: Annotated[bytes, Depends(_read_body)],
        response: Response,
    ) -> dict[str, Any]:
        """Put the next version into force; its signature is what counts, not who brings it."""
        is_new = archive.add(content, by=principal.subject, now=clock.now())
        response.status_code = 201 if is_new else 200
        return describe_version(archive.current)

    body = {"required": True, "content": {CONTAINER_MEDIA_TYPE: {}}}
    add = router.add_api_route
    add("/trust-lists", list_versions, methods=["GET"], name="List the versions of the trust list")
    add(
        "/trust-lists/current",
        get_current,
        methods=["GET"],
        name="Get the newest trust list",
        response_class=Response,
        responses=container,
    )
    add(
        "/trust-lists/{sequence}",
        get_version,
        methods=["GET"],
        name="Get a version of the trust list",
        response_class=Response,
        responses=container,
    )
    add(
        "/trust-lists",
        submit,
        methods=["POST"],
        name="Submit the next trust list",
        openapi_extra={"requestBody": body},
    )
    return router


def _container(version: SignedTrustList) -> Response:
    return Response(version.raw, media_type=CONTAINER_MEDIA_TYPE, headers={"ETag": f'"{version.sha256}"'})


async def _read_body(request: Request) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_BYTES:
            raise refusal(
                "list_container_broken",
                problem=Bilingual(f"it has more than {MOST_BYTES} bytes", f"超过{MOST_BYTES}字节"),
            )
    return bytes(content)
