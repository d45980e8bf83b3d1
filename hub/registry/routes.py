# SPDX-License-Identifier: Apache-2.0
"""The registry over HTTP: every caller may look, administrators may change.

An entry is read and written in one form, the one of the registry file, so what was read can be edited and
put back.
"""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from hub.accounts import Principal, Role
from hub.clock import format_instant
from hub.errors import RegistryError
from hub.registry.certificates import RegisteredCertificate
from hub.registry.model import ENTRY_TYPES, KIND_NAMES, Action, EntryType, RecordedChange, RegistryEntry
from hub.registry.schemas import read_entry, schema_of, write_entry
from hub.registry.service import MOST_CHANGES_AT_A_TIME, Registry

MOST_BODY_BYTES = 100_000


def registry_routes(registry: Registry, authenticate: Callable[..., Principal]) -> APIRouter:
    """Make the routes under `/api/v1`.

    Args:
        registry: what is shown and changed.
        authenticate: the dependency that gives a route its caller, `hub.accounts.authenticated`.
    """
    router = APIRouter(prefix="/api/v1", tags=["registry"])
    for name, kind in ENTRY_TYPES.items():
        if kind is RegisteredCertificate:
            continue  # They are registered and retired, never edited: see `certificate_routes`.
        _add_reading(router, registry, authenticate, name, kind)
        _add_changing(router, registry, authenticate, name, kind)

    def changes(
        principal: Annotated[Principal, Depends(authenticate)],
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_CHANGES_AT_A_TIME)] = 100,
    ) -> list[dict[str, Any]]:
        """Return who changed what and when, oldest first; for auditors and administrators."""
        principal.require(Role.AUDITOR, Role.ADMINISTRATOR)
        return [_change(each) for each in registry.changes(after, limit)]

    router.add_api_route("/registry-changes", changes, methods=["GET"], name="List registry changes")
    return router


def _add_reading(
    router: APIRouter,
    registry: Registry,
    authenticate: Callable[..., Principal],
    name: str,
    kind: EntryType,
) -> None:
    def list_entries() -> list[dict[str, Any]]:
        return [write_entry(entry) for entry in registry.snapshot.all_of(kind)]

    def get_entry(entry_id: str) -> dict[str, Any]:
        return write_entry(registry.require_entry(kind, entry_id))

    callers_only = [Depends(authenticate)]
    router.add_api_route(
        f"/{name}s", list_entries, methods=["GET"], name=f"List {name}s", dependencies=callers_only
    )
    router.add_api_route(
        f"/{name}s/{{entry_id:path}}",
        get_entry,
        methods=["GET"],
        name=f"Show a {name}",
        dependencies=callers_only,
    )


def _add_changing(
    router: APIRouter,
    registry: Registry,
    authenticate: Callable[..., Principal],
    name: str,
    kind: EntryType,
) -> None:
    def administrator(principal: Annotated[Principal, Depends(authenticate)]) -> Principal:
        principal.require(Role.ADMINISTRATOR)
        return principal

    def put_entry(
        entry_id: str,
        principal: Annotated[Principal, Depends(administrator)],
        content: Annotated[bytes, Depends(_read_body)],
        response: Response,
    ) -> dict[str, Any]:
        entry = read_entry(kind, content)
        if entry.id != entry_id:
            raise RegistryError("registry.entry_invalid", "id: not the one in the address")
        made = registry.put(entry, by=principal.subject)
        if made and made[0].change.action is Action.ADD:
            response.status_code = 201
        return write_entry(entry)

    def delete_entry(entry_id: str, principal: Annotated[Principal, Depends(administrator)]) -> None:
        registry.remove(registry.require_entry(kind, entry_id), by=principal.subject)

    body = {"required": True, "content": {"application/json": {"schema": schema_of(kind)}}}
    path = f"/{name}s/{{entry_id:path}}"
    router.add_api_route(
        path, put_entry, methods=["PUT"], name=f"Put a {name}", openapi_extra={"requestBody": body}
    )
    router.add_api_route(path, delete_entry, methods=["DELETE"], status_code=204, name=f"Remove a {name}")


async def _read_body(request: Request) -> bytes:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_BODY_BYTES:
            raise RegistryError("registry.entry_invalid", f"body: more than {MOST_BODY_BYTES} bytes")
    return content


def _change(recorded: RecordedChange) -> dict[str, Any]:
    change = recorded.change
    return {
        "sequence": recorded.sequence,
        "at": format_instant(recorded.at),
        "by": recorded.by,
        "action": change.action.value,
        "kind": KIND_NAMES[type(change.entry)],
        "id": change.entry.id,
        "before": _written(change.before),
        "after": _written(change.after),
    }


def _written(entry: RegistryEntry | None) -> dict[str, Any] | None:
    return None if entry is None else write_entry(entry)
