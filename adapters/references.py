# SPDX-License-Identifier: Apache-2.0
"""What an adapter's description may leave to the machine it runs on: secrets, ports, places.

A secret is never written into a description. `env:NAME` and `file:PATH` say where it is; it is read once,
when the description is loaded, so that a gateway without it does not start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field, ValidationInfo

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Surroundings:
    """The machine as a description sees it.

    Attributes:
        folder: where relative paths start: the folder of the description.
        environment: what `env:NAME` refers to.
    """

    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Secret:
    """A secret and where it came from; printing it shows only the latter."""

    reference: str
    value: str = field(repr=False)

    def reveal(self) -> str:
        """Return the secret itself."""
        return self.value


def _surroundings(info: ValidationInfo) -> Surroundings:
    context = info.context
    if not isinstance(context, Surroundings):
        raise TypeError("a description is validated with its surroundings as context")
    return context


def _from_environment(name: str, info: ValidationInfo) -> str:
    value = _surroundings(info).environment.get(name, "")
    if not value:
        raise ValueError(f"the environment has no {name}")
    return value


def _read_secret(reference: object, info: ValidationInfo) -> Secret:
    text = reference if isinstance(reference, str) else ""
    scheme, _, rest = text.partition(":")
    if scheme == "env" and rest:
        return Secret(text, _from_environment(rest, info))
    if scheme == "file" and rest:
        path = _surroundings(info).folder / rest
        try:
            return Secret(text, path.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError) as exc:
            raise ValueError(f"the secret cannot be read from {path}") from exc
    raise ValueError("a secret is a reference: env:NAME or file:PATH")


def _text(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str) and value.startswith("env:"):
        return _from_environment(value.removeprefix("env:"), info)
    return value


def _port(value: object, info: ValidationInfo) -> object:
    text = _text(value, info)
    if isinstance(text, str) and text.isascii() and text.isdigit():
        return int(text)
    return text


def _path(value: object, info: ValidationInfo) -> object:
    text = _text(value, info)
    if isinstance(text, str) and text:
        return _surroundings(info).folder / text
    return text


SecretReference = Annotated[Secret, BeforeValidator(_read_secret)]
"""`env:NAME` or `file:PATH`; anything else is refused, an inline secret above all."""

ReferredText = Annotated[str, BeforeValidator(_text)]
"""A text, or `env:NAME`."""

ReferredPort = Annotated[int, BeforeValidator(_port), Field(ge=1, le=65535)]
"""A TCP port, or `env:NAME`."""

ReferredPath = Annotated[Path, BeforeValidator(_path)]
"""A path, or `env:NAME`; a relative one starts at the description's folder."""
