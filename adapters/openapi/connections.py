# SPDX-License-Identifier: Apache-2.0
"""A ready `connection:` for an operation: where the system stands, how to sign in, how values are written.

What a description does not say is left as a reference to the environment, with a finding that says so.
Source: OpenAPI 3.0.4 sections 4.7.5 (Server), 4.7.27 (Security Scheme); OpenAPI 2.0 `host`, `basePath`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from adapters.openapi.endpoints import Dialect
from adapters.sources import ShapeType, found

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapters.openapi.documents import Documents, Spot
    from adapters.openapi.endpoints import Body, Endpoint, Parameter
    from adapters.ports import JsonValue
    from adapters.sources import Shape, SourceFinding

_UNSAID = "env:SYSTEM_URL"
_LISTS = ("results", "items", "data", "content", "value", "values", "records", "rows", "list", "entries")
_NEXT = ("next", "nextLink", "next_link", "nextPage", "next_page_url", "@odata.nextLink")
_PAGES = ("page", "pageNumber", "page_number", "pageNo", "pageNum", "pageIndex")
_SIZES = ("page_size", "pageSize", "per_page", "perPage", "size", "limit", "rows", "count")
_STYLES = {"spaceDelimited": "space", "pipeDelimited": "pipe", "deepObject": "deep"}


class Connections:
    """Makes connections for the operations of one description."""

    def __init__(self, documents: Documents, dialect: Dialect) -> None:
        self._documents = documents
        self._dialect = dialect

    def connection(
        self, endpoint: Endpoint, body: Body | None, accepted: str, answer: Shape
    ) -> tuple[Mapping[str, JsonValue], tuple[SourceFinding, ...]]:
        """Return the settings, and what people have to look at.

        Args:
            endpoint: the operation.
            body: the content that is sent, None for none.
            accepted: the media type of the answer; empty where none is described.
            answer: the shape of the answer, for paging.
        """
        findings: list[SourceFinding] = []
        url, prefix = self.address(endpoint)
        settings: dict[str, JsonValue] = {
            "url": url,
            "path": prefix + endpoint.path,
            "method": endpoint.method,
        }
        if accepted and accepted != "application/json":
            settings["headers"] = {"Accept": accepted}
            if not is_json(accepted):
                settings["answer_format"] = _format(accepted)
        if body is not None and not is_json(body.media_type):
            settings["body_format"] = _format(body.media_type)
        if body is not None and body.media_type not in {"application/json", *_FORMATS}:
            settings["body_type"] = body.media_type
        styles = {each.name: style for each in endpoint.parameters if (style := _style(each))}
        if styles:
            settings["styles"] = styles
        auth = self._auth(endpoint, findings)
        if auth:
            settings["auth"] = auth[0] if len(auth) == 1 else auth
        paging = _paging(endpoint, answer)
        if paging is not None:
            settings["paging"] = paging
            findings.append(found("openapi.paging_suggested", endpoint.spot.at))
        return settings, tuple(findings)

    def address(self, endpoint: Endpoint) -> tuple[str, str]:
        """Return the address, and the part of the path that stands before the operation's."""
        spot, addresses = self._servers(endpoint)
        parts = [each for address in addresses if (each := _parts(address)) is not None]
        absolute = [each for each in parts if each.scheme in {"http", "https"} and each.hostname]
        if not absolute:
            self._documents.report(found("openapi.server_unsaid", spot.at))
            return _UNSAID, parts[0].path.rstrip("/") if parts and parts[0].path.startswith("/") else ""
        secure = [each for each in absolute if each.scheme == "https"]
        chosen = (secure or absolute)[0]
        if not secure:
            self._documents.report(found("openapi.server_plain", spot.at))
        if len(absolute) > 1:
            self._documents.report(found("openapi.servers_several", spot.at, count=len(absolute)))
        host = chosen.netloc.rpartition("@")[2]
        return f"{chosen.scheme}://{host}{chosen.path.rstrip('/')}", ""

    def _servers(self, endpoint: Endpoint) -> tuple[Spot, list[str]]:
        root = self._documents.root
        if self._dialect is Dialect.SWAGGER_2:
            schemes = endpoint.spot.get("schemes") or root.get("schemes")
            named = [each.value for each in schemes.elements()] if schemes is not None else []
            host, base = root.text("host"), root.text("basePath")
            base = base if not base or base.startswith("/") else f"/{base}"
            chosen = [str(each) for each in named if each in {"http", "https"}] or ["https"]
            return root, [f"{each}://{host}{base}" for each in chosen] if host else [base]
        item = root.get("paths", endpoint.spot.steps[1]) if len(endpoint.spot.steps) > 1 else None
        for owner in (endpoint.spot, item, root):
            listed = owner.get("servers") if owner is not None else None
            if listed is not None and listed.value:
                return listed, [_filled(each) for each in listed.elements() if each.text("url")]
        return root, []

    def _auth(self, endpoint: Endpoint, findings: list[SourceFinding]) -> list[JsonValue]:
        schemes = self._schemes()
        if endpoint.security is None:
            if schemes:
                findings.append(found("openapi.security_unsaid", endpoint.spot.at))
            return []
        if not endpoint.security or {} in endpoint.security:
            return []
        at, reasons = endpoint.spot.at, []
        for alternative in endpoint.security:
            made = [self._scheme(name, scopes, schemes) for name, scopes in alternative.items()]
            if all(isinstance(each, dict) for each in made):
                if any(schemes[name].text("bearerFormat").upper() == "JWT" for name in alternative):
                    findings.append(found("openapi.token_format", at))
                return [each for each in made if isinstance(each, dict) and each]
            reasons += [each for each in made if isinstance(each, str)]
        findings.append(found("openapi.security_unsupported", at, reason=", ".join(dict.fromkeys(reasons))))
        return []

    def _schemes(self) -> Mapping[str, Spot]:
        is_old = self._dialect is Dialect.SWAGGER_2
        home = ("securityDefinitions",) if is_old else ("components", "securitySchemes")
        listed = self._documents.root.get(*home)
        members = listed.members() if listed is not None else ()
        return {name: self._documents.resolve(spot) for name, spot in members}

    def _scheme(
        self, name: str, scopes: tuple[str, ...], schemes: Mapping[str, Spot]
    ) -> dict[str, JsonValue] | str:
        """Return how to sign in by one scheme, or what stands in the way."""
        spot = schemes.get(name)
        if spot is None:
            return f"{name} (not described)"
        variable = re.sub(r"[^0-9A-Z]+", "_", name.upper()).strip("_") or "SYSTEM"
        secret = f"env:{variable}_SECRET"
        kind, sub = spot.text("type").lower(), spot.text("scheme").lower()
        place = spot.text("in").lower()
        made: dict[str, JsonValue] | str = f"{name} ({kind} {sub})".replace(" )", ")")
        if kind == "apikey" and place in {"header", "query", "cookie"}:
            made = {"kind": "api_key", place: spot.text("name") or "X-API-Key", "secret": secret}
        elif kind == "basic" or (kind, sub) == ("http", "basic"):
            made = {"kind": "basic", "username": f"env:{variable}_USERNAME", "secret": secret}
        elif sub == "bearer":
            made = {"kind": "bearer", "secret": secret}
        elif kind == "mutualtls":
            made = {}
        elif kind == "oauth2":
            made = _client_credentials(name, variable, spot, scopes)
        return made


def _client_credentials(
    name: str, variable: str, spot: Spot, scopes: tuple[str, ...]
) -> dict[str, JsonValue] | str:
    """Return how a program signs in by OAuth2 (RFC 6749 section 4.4); the other ways are for people."""
    flow = spot if spot.text("flow") == "application" else spot.get("flows", "clientCredentials")
    if flow is None:
        return f"{name} (OAuth2 for people)"
    settings: dict[str, JsonValue] = {
        "kind": "oauth2",
        "token_url": flow.text("tokenUrl") or "env:TOKEN_URL",
        "client_id": f"env:{variable}_CLIENT_ID",
        "secret": f"env:{variable}_SECRET",
    }
    return {**settings, "scope": " ".join(scopes)} if scopes else settings


_FORMATS = {
    "application/x-www-form-urlencoded": "form",
    "multipart/form-data": "multipart",
    "application/xml": "xml",
    "text/xml": "xml",
    "text/plain": "text",
}


def is_json(media_type: str) -> bool:
    """Tell whether content of this type is JSON (RFC 6839 section 3.1)."""
    plain = media_type.partition(";")[0].strip().lower()
    return plain in {"application/json", "text/json", "*/*", "application/*"} or plain.endswith("+json")


def _format(media_type: str) -> str:
    plain = media_type.partition(";")[0].strip().lower()
    if plain.endswith("+xml"):
        return "xml"
    return _FORMATS.get(plain, "text" if plain.startswith("text/") else "binary")


def _filled(server: Spot) -> str:
    """Return a server's address with the default values of its variables."""
    address = server.text("url")
    variables = server.get("variables")
    for name, variable in variables.members() if variables is not None else ():
        value = variable.value if isinstance(variable.value, dict) else {}
        choice = value.get("enum")
        usual = value.get("default", choice[0] if isinstance(choice, list) and choice else None)
        if usual is not None:
            address = address.replace(f"{{{name}}}", str(usual))
    parts = _parts(address) if "{" in address else None
    return parts.path if parts is not None else address


def _parts(address: str) -> SplitResult | None:
    """Return an address in parts, or None for what is none: then it is not said where the system is."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _style(parameter: Parameter) -> str:
    """Return how a list is written where it is not the usual way: in the query name=a&name=b, else a,b."""
    if parameter.media_type and is_json(parameter.media_type):
        return "json"
    if parameter.style in _STYLES:
        return _STYLES[parameter.style]
    if parameter.place == "query" and not parameter.is_exploded and parameter.schema.text("type") == "array":
        return "comma"
    return ""


def _paging(endpoint: Endpoint, answer: Shape) -> dict[str, JsonValue] | None:
    """Suggest how to gather all pages, where the description leaves no doubt how they are asked for."""
    if endpoint.method != "GET":
        return None
    children = {child.name: child for child in answer.children}
    lists = [name for name in _LISTS if name in children and children[name].is_list]
    if answer.is_list:
        items = ""
    elif len(lists) == 1:
        items = lists[0]
    else:
        return None
    following = next((name for name in _NEXT if name in children), None)
    if following is not None and children[following].type is ShapeType.TEXT and not answer.is_list:
        return {"kind": "next", "items": items, "next": following}
    query = {each.name for each in endpoint.parameters if each.place == "query"}
    size = next((name for name in _SIZES if name in query), None)
    page = next((name for name in _PAGES if name in query), None)
    if size is None or (page is None and "offset" not in query):
        return None
    kind, parameter = ("page", page) if page is not None else ("offset", "offset")
    return {"kind": kind, "items": items, "parameter": parameter, "size_parameter": size, "size": 100}
