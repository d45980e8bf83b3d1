# SPDX-License-Identifier: Apache-2.0
"""What a description offers, in the same form whichever of its dialects it is written in.

Source: OpenAPI 3.0.4 and 3.1.1 sections 4.8.8 to 4.8.17; OpenAPI 2.0 (Swagger), "Path Item Object" and below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from adapters.openapi.documents import Spot
from adapters.sources import found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.openapi.documents import Documents
    from adapters.ports import JsonValue

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_FORM, _UPLOAD, _JSON = "application/x-www-form-urlencoded", "multipart/form-data", "application/json"
_COLLECTIONS = {"csv": ("form", False), "ssv": ("spaceDelimited", False), "pipes": ("pipeDelimited", False)}
_EXPLODED = ("form", True)
_NAMES_IN_PATH = re.compile(r"\{([^{}/]+)\}")


class Dialect(StrEnum):
    """The versions of the format."""

    SWAGGER_2 = "2.0"
    OPENAPI_30 = "3.0"
    OPENAPI_31 = "3.1"


@dataclass(frozen=True)
class Parameter:
    """A value outside of the body.

    Attributes:
        place: `path`, `query`, `header` or `cookie`.
        style: how an array or an object is written; `is_exploded` with it.
        media_type: for a value that is a document itself, such as JSON in the query.
    """

    name: str
    place: str
    is_required: bool
    schema: Spot
    about: str
    style: str = "form"
    is_exploded: bool = True
    media_type: str = ""


@dataclass(frozen=True)
class Body:
    """Content of one media type.

    Attributes:
        schema: None where it is not described.
        described: the place that has examples beside the schema; None without one.
    """

    media_type: str
    schema: Spot | None
    described: Spot | None = None


@dataclass(frozen=True)
class Reply:
    """An answer: its status (`200`, `4XX`, `default`) and what it may contain."""

    status: str
    bodies: tuple[Body, ...]
    spot: Spot


@dataclass(frozen=True)
class Endpoint:
    """One operation of the interface.

    Attributes:
        method: in capitals.
        path: with `{names}`.
        security: alternatives, each a set of schemes that are shown together; None where nothing is said.
    """

    method: str
    path: str
    name: str
    about: str
    parameters: tuple[Parameter, ...]
    bodies: tuple[Body, ...]
    is_body_required: bool
    replies: tuple[Reply, ...]
    security: tuple[dict[str, tuple[str, ...]], ...] | None
    spot: Spot


def endpoints(documents: Documents, dialect: Dialect) -> Iterator[Endpoint]:
    """Yield what the description offers; what cannot be read is reported and left out."""
    paths = documents.root.get("paths")
    names: set[str] = set()
    for path, referring in paths.members() if paths is not None else ():
        if path.startswith("x-"):
            continue
        item = documents.resolve(referring)
        if not isinstance(item.value, dict):
            documents.report(found("openapi.wrong_type", item.at, expected="object"))
            continue
        for method, spot in item.members():
            if method.lower() in METHODS and isinstance(spot.value, dict):
                reader = _Reader(documents, dialect, item, spot, _sound(documents, path, item))
                yield reader.endpoint(names)


def _sound(documents: Documents, path: str, item: Spot) -> str:
    """Return the path as it is asked for: with a leading slash, without a query of its own."""
    plain = path.strip().partition("#")[0].partition("?")[0]
    plain = plain if plain.startswith("/") else f"/{plain}"
    if plain != path:
        documents.report(found("openapi.path_repaired", item.at, path=path, instead=plain))
    return plain


class _Reader:
    """Reads one operation."""

    def __init__(self, documents: Documents, dialect: Dialect, item: Spot, spot: Spot, path: str) -> None:
        self._documents = documents
        self._dialect = dialect
        self._item, self._spot = item, spot
        self._method, self._path = spot.steps[-1].upper(), path

    def endpoint(self, names: set[str]) -> Endpoint:
        """Return the operation; `names` are those given before."""
        described = list(self._described())
        parameters = tuple(self._parameters(described))
        bodies, is_body_required = self._bodies(described)
        spot = self._spot
        about = spot.text("summary") or self._item.text("summary") or spot.text("description")
        return Endpoint(
            method=self._method,
            path=self._path,
            name=self._name(names),
            about=about,
            parameters=parameters,
            bodies=bodies,
            is_body_required=is_body_required,
            replies=tuple(self._replies()),
            security=self._security(),
            spot=spot,
        )

    def _name(self, names: set[str]) -> str:
        given = self._spot.text("operationId")
        made = f"{self._method.lower()}{re.sub(r'[^0-9A-Za-z]+', '_', self._path)}".rstrip("_")
        name = given or made
        if not given:
            self._report("openapi.operation_unnamed", name=made)
        elif given in names:
            self._report("openapi.operation_twice", name=given)
            name = f"{given}_{made}"
        number = 2
        while name in names:
            name, number = f"{given or made}_{number}", number + 1
        names.add(name)
        return name

    def _described(self) -> Iterator[Spot]:
        """Yield the parameters of the path and the operation; the operation's have precedence."""
        by_key: dict[tuple[str, str], Spot] = {}
        for owner in (self._item, self._spot):
            listed = owner.get("parameters")
            seen: set[tuple[str, str]] = set()
            for referring in listed.elements() if listed is not None else ():
                spot = self._documents.resolve(referring)
                if not spot.value and referring.get("$ref") is not None:
                    # That the reference leads nowhere has been said.
                    continue
                if not spot.text("name"):
                    self._documents.report(found("openapi.parameter_unusable", referring.at))
                    continue
                key = (spot.text("in").lower(), spot.text("name"))
                if key in seen:
                    self._documents.report(found("openapi.parameter_twice", spot.at, name=key[1]))
                seen.add(key)
                by_key[key] = spot
        yield from by_key.values()

    def _parameters(self, described: list[Spot]) -> Iterator[Parameter]:
        in_path = set(_NAMES_IN_PATH.findall(self._path))
        for spot in described:
            place, name = spot.text("in").lower(), spot.text("name")
            if place not in {"path", "query", "header", "cookie"}:
                if place not in {"body", "formdata"}:
                    self._documents.report(found("openapi.parameter_unusable", spot.at))
                continue
            if place == "path" and name not in in_path:
                self._documents.report(found("openapi.parameter_not_in_path", spot.at, name=name))
                continue
            in_path.discard(name) if place == "path" else None
            yield self._parameter(spot, place, name)
        for name in sorted(in_path):
            self._report("openapi.path_name_undescribed", name=name)
            yield Parameter(
                name, "path", is_required=True, schema=_text(self._spot), about="", style="simple"
            )

    def _parameter(self, spot: Spot, place: str, name: str) -> Parameter:
        schema, media_type = spot.get("schema"), ""
        content = spot.get("content")
        if content is not None:
            media_type, described = next(content.members(), ("", spot))
            schema = described.get("schema")
        if schema is None:
            schema = spot
            is_old = self._dialect is Dialect.SWAGGER_2
            if not is_old:
                self._documents.report(found("openapi.parameter_without_schema", spot.at, name=name))
        usual = "form" if place in {"query", "cookie"} else "simple"
        style = spot.text("style") or usual
        explode = spot.get("explode")
        is_exploded = spot.is_set("explode") if explode is not None else style == "form"
        collection = spot.text("collectionFormat")
        if self._dialect is Dialect.SWAGGER_2:
            style, is_exploded = _COLLECTIONS.get(collection, (usual, False))
            if collection == "multi":
                style, is_exploded = _EXPLODED
        is_required = place == "path" or spot.is_set("required")
        about = spot.text("description")
        return Parameter(name, place, is_required, schema, about, style, is_exploded, media_type)

    def _bodies(self, described: list[Spot]) -> tuple[tuple[Body, ...], bool]:
        if self._dialect is Dialect.SWAGGER_2:
            return self._old_bodies(described)
        referring = self._spot.get("requestBody")
        if referring is None or referring.value is None:
            return (), False
        spot = self._documents.resolve(referring)
        return tuple(self._contents(spot)), spot.is_set("required")

    def _old_bodies(self, described: list[Spot]) -> tuple[tuple[Body, ...], bool]:
        """Swagger 2 has the body among the parameters, and forms field by field."""
        whole = [spot for spot in described if spot.text("in").lower() == "body"]
        fields = [spot for spot in described if spot.text("in").lower() == "formdata"]
        if whole:
            media_types = self._media_types("consumes") or (_JSON,)
            bodies = tuple(Body(kind, whole[0].get("schema")) for kind in media_types)
            return bodies, whole[0].is_set("required")
        if fields:
            form: dict[str, JsonValue] = {
                "type": "object",
                "properties": {spot.text("name"): spot.value for spot in fields},
                "required": [spot.text("name") for spot in fields if spot.is_set("required")],
            }
            has_file = any(spot.text("type") == "file" for spot in fields)
            kinds = [kind for kind in self._media_types("consumes") if kind in {_FORM, _UPLOAD}]
            kind = _UPLOAD if has_file else next(iter(kinds), _FORM)
            schema = Spot(self._spot.page, (*self._spot.steps, "parameters"), form)
            return (Body(kind, schema),), bool(form["required"])
        return (), False

    def _media_types(self, name: str) -> tuple[str, ...]:
        for owner in (self._spot, self._documents.root):
            listed = owner.get(name)
            if listed is not None:
                return tuple(spot.value for spot in listed.elements() if isinstance(spot.value, str))
        return ()

    def _contents(self, spot: Spot) -> Iterator[Body]:
        content = spot.get("content")
        for media_type, described in content.members() if content is not None else ():
            yield Body(media_type.strip().lower(), described.get("schema"), described)

    def _replies(self) -> Iterator[Reply]:
        listed = self._spot.get("responses")
        for status, referring in listed.members() if listed is not None else ():
            if status.startswith("x-"):
                continue
            spot = self._documents.resolve(referring)
            if self._dialect is Dialect.SWAGGER_2:
                schema = spot.get("schema")
                kinds = self._media_types("produces") or (_JSON,)
                bodies = tuple(Body(kind, schema, spot) for kind in kinds) if schema is not None else ()
            else:
                bodies = tuple(self._contents(spot))
            yield Reply(status.upper() if status != "default" else status, bodies, spot)

    def _security(self) -> tuple[dict[str, tuple[str, ...]], ...] | None:
        listed = self._spot.get("security") or self._documents.root.get("security")
        if listed is None or not isinstance(listed.value, list):
            return None
        return tuple(
            {
                name: tuple(each.value for each in scopes.elements() if isinstance(each.value, str))
                for name, scopes in alternative.members()
            }
            for alternative in listed.elements()
        )

    def _report(self, code: str, *, name: str) -> None:
        self._documents.report(found(code, self._spot.at, name=name))


def _text(spot: Spot) -> Spot:
    return Spot(spot.page, spot.steps, {"type": "string"})
