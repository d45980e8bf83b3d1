# SPDX-License-Identifier: Apache-2.0
"""Read an OpenAPI or Swagger file as a source: its operations ready for adapters, its defects as findings.

Nothing is fetched and nothing is refused that can be used: few official files keep to their own standard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.openapi.connections import Connections, is_json
from adapters.openapi.documents import Documents, Spot
from adapters.openapi.endpoints import Dialect, endpoints
from adapters.openapi.shapes import ShapeReader
from adapters.openapi.structure import departures
from adapters.openapi.text import MOST_BYTES, read_page
from adapters.sources import Operation, Shape, ShapeType, Source, found

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.openapi.endpoints import Body, Endpoint, Reply
    from adapters.sources import SourceFinding

KIND = "rest"
_PLACES = {"path": "path", "query": "query", "header": "headers", "cookie": "cookies"}
_BODY_NAMES = {"form": "form", "multipart": "form"}
# Headers the adapter itself sets; OpenAPI 3.0.4 section 4.7.12.1 has such parameters ignored.
_OWN_HEADERS = frozenset({"accept", "content-type", "authorization"})


@dataclass(frozen=True)
class Description:
    """An OpenAPI file as read.

    Attributes:
        endpoints: what it offers.
        findings: of the file as a whole.
    """

    documents: Documents
    dialect: Dialect
    endpoints: tuple[Endpoint, ...]
    findings: tuple[SourceFinding, ...]


def read_description(path: Path) -> Description:
    """Read a file and what it refers to beside itself; never raises for what stands in it."""
    try:
        with path.open("rb") as file:
            page = read_page(path.name, file.read(MOST_BYTES + 1))
    except OSError as exc:
        page = read_page(path.name, b"")
        finding = found("source.unreadable", path.name, reason=exc.strerror or type(exc).__name__)
        return Description(Documents(path, page), Dialect.OPENAPI_30, (), (finding,))
    documents = Documents(path, page)
    if page.value is None:
        return Description(documents, Dialect.OPENAPI_30, (), page.findings)
    dialect, findings = _dialect(documents.root)
    if dialect is None:
        return Description(documents, Dialect.OPENAPI_30, (), (*page.findings, *findings))
    offered = tuple(endpoints(documents, dialect))
    if not offered:
        documents.report(found("openapi.nothing_offered", page.name))
    wrong = departures(documents.root, dialect)
    return Description(documents, dialect, offered, (*page.findings, *findings, *wrong))


def read_openapi(path: Path) -> Source:
    """Return what an OpenAPI 3.0, 3.1 or Swagger 2 file offers, in YAML or JSON.

    Args:
        path: the file; `$ref` to files in its folder are followed, none to the network.

    An operation's request has the objects a request mapping gives: `path`, `query`, `headers`, `cookies`, and
    `body` or `form`. Its answer is what the answer mapping sees as `answer`.
    """
    description = read_description(path)
    documents = description.documents
    connections = Connections(documents, description.dialect)
    operations = tuple(_operation(each, documents, connections) for each in description.endpoints)
    title = documents.root.get("info")
    return Source(
        KIND,
        (title.text("title") if title is not None else "") or path.stem,
        operations,
        _unique((*description.findings, *documents.findings)),
    )


def _unique(findings: tuple[SourceFinding, ...]) -> tuple[SourceFinding, ...]:
    by_place = {(finding.code, finding.at): finding for finding in findings}
    return tuple(by_place.values())


def _dialect(root: Spot) -> tuple[Dialect | None, tuple[SourceFinding, ...]]:
    name = root.page.name
    if not isinstance(root.value, dict):
        return None, (found("openapi.other_format", name, format=type(root.value).__name__),)
    for mark, other in (
        ("swaggerVersion", "Swagger 1"),
        ("asyncapi", "AsyncAPI"),
        ("$schema", "JSON Schema"),
        ("item", "Postman"),
        ("arazzo", "Arazzo"),
        ("log", "HAR"),
    ):
        if mark in root.value and "paths" not in root.value:
            return None, (found("openapi.other_format", name, format=other),)
    version = str(root.value.get("openapi") or root.value.get("swagger") or "").strip()
    for start, dialect in (
        ("3.0", Dialect.OPENAPI_30),
        ("3.1", Dialect.OPENAPI_31),
        ("2", Dialect.SWAGGER_2),
    ):
        if version.startswith(start):
            return dialect, ()
    if not version and "paths" not in root.value:
        return None, (found("openapi.other_format", name, format="unknown"),)
    at = (root.get("openapi") or root.get("swagger") or root).at
    is_old = "components" not in root.value and ("definitions" in root.value or "basePath" in root.value)
    dialect = (
        Dialect.SWAGGER_2 if is_old else Dialect.OPENAPI_30 if version in {"", "3"} else Dialect.OPENAPI_31
    )
    return dialect, (found("openapi.version_unknown", at, version=version or "—", instead=dialect.value),)


def _operation(endpoint: Endpoint, documents: Documents, connections: Connections) -> Operation:
    body, answered = preferred(endpoint.bodies), success(endpoint.replies)
    accepted = preferred(answered.bodies) if answered is not None else None
    findings: list[SourceFinding] = []
    if answered is None:
        findings.append(found("openapi.no_success", endpoint.spot.at))
    asking = ShapeReader(documents, is_request=True)
    reading = ShapeReader(documents, is_request=False)
    answer = reading.shape("answer", accepted.schema if accepted is not None else None)
    kind = accepted.media_type if accepted is not None else ""
    settings, more = connections.connection(endpoint, body, kind, answer)
    request = _request(endpoint, body, asking, str(settings.get("body_format", "")))
    if endpoint.spot.is_set("deprecated"):
        findings.append(found("openapi.deprecated", endpoint.spot.at))
    return Operation(endpoint.name, endpoint.about, request, answer, settings, (*findings, *more))


def _request(endpoint: Endpoint, body: Body | None, reader: ShapeReader, body_format: str) -> Shape:
    children = []
    for place, name in _PLACES.items():
        inner = tuple(
            reader.shape(each.name, each.schema, is_required=each.is_required, about=each.about)
            for each in endpoint.parameters
            if each.place == place and not (place == "header" and each.name.lower() in _OWN_HEADERS)
        )
        if inner:
            is_required = any(child.is_required for child in inner)
            children.append(Shape(name, ShapeType.OBJECT, is_required=is_required, children=inner))
    if body is not None:
        name = _BODY_NAMES.get(body_format, "body")
        children.append(reader.shape(name, body.schema, is_required=endpoint.is_body_required))
    return Shape("request", ShapeType.OBJECT, children=tuple(children))


def success(replies: tuple[Reply, ...]) -> Reply | None:
    """Return the answer of a request that went well; the one with content where there are several."""
    good = [each for each in replies if each.status.startswith("2")]
    good.sort(key=lambda each: (not each.bodies, each.status))
    return good[0] if good else next((each for each in replies if each.status == "default"), None)


def preferred(bodies: tuple[Body, ...]) -> Body | None:
    """Return the content this gateway speaks best: JSON, then forms, then whatever comes first."""
    for is_liked in (
        lambda body: body.media_type == "application/json",
        lambda body: is_json(body.media_type) and "problem" not in body.media_type,
        lambda body: "form" in body.media_type,
        lambda body: "xml" in body.media_type,
    ):
        liked = next((body for body in bodies if is_liked(body)), None)
        if liked is not None:
            return liked
    return bodies[0] if bodies else None
