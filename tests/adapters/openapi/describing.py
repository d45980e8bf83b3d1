# SPDX-License-Identifier: Apache-2.0
"""A small sound description, written to a file, changed as a test wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.sources import Operation, Shape, Source


def written(folder: Path, content: object, name: str = "openapi.yaml") -> Path:
    path = folder / name
    text = content if isinstance(content, str) else as_yaml(content)
    path.write_text(text, encoding="utf-8")
    return path


def as_yaml(content: object) -> str:
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)


def described(**parts: Any) -> dict[str, Any]:
    """Return a description with one operation and one schema."""
    operation = {
        "operationId": "certificate_read",
        "summary": "读取证件",
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {
            "200": {
                "description": "found",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Certificate"}}},
            }
        },
    }
    certificate = {
        "type": "object",
        "required": ["number"],
        "properties": {
            "number": {"type": "string", "description": "证号"},
            "grade": {"type": "integer", "enum": [1, 2, 3, 4]},
            "issued": {"type": "string", "format": "date"},
            "amount": {"type": "number"},
            "seen": {"type": "string", "format": "date-time"},
            "scan": {"type": "string", "format": "byte"},
        },
    }
    return {
        "openapi": "3.0.3",
        "info": {"title": "Register", "version": "1"},
        "servers": [{"url": "https://register.example.gov/api"}],
        "paths": {"/certificates/{id}": {"get": operation | parts.pop("operation", {})}},
        "components": {"schemas": {"Certificate": certificate | parts.pop("certificate", {})}},
        **parts,
    }


def codes(source: Source) -> set[str]:
    return {finding.code for finding in source.findings}


def only(source: Source) -> Operation:
    [operation] = source.operations
    return operation


def child(shape: Shape, *names: str) -> Shape:
    for name in names:
        [shape] = [each for each in shape.children if each.name == name]
    return shape
