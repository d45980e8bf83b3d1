# SPDX-License-Identifier: Apache-2.0
"""What an adapter's description may leave to the machine it runs on: secrets, ports, places.

A secret is never written into a description. A reference says where it is (`hub.custody`, such as `env:NAME`
or `file:PATH`); it is read once, when the description is loaded, so that a gateway without it does not start.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field, ValidationInfo

from hub.custody import KeyPlace, Secret, read_key_place, read_secret
from hub.errors import SettingsError

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
    around = _surroundings(info)
    try:
        return read_secret(str(reference), folder=around.folder, environment=around.environment)
    except SettingsError as exc:
        raise ValueError(exc.detail) from exc


def _key_place(value: object, info: ValidationInfo) -> object:
    text = _text(value, info)
    return read_key_place(text, _surroundings(info).folder) if isinstance(text, str) and text else text


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
"""Where a secret is (`hub.custody`); anything else is refused, an inline secret above all."""

ReferredText = Annotated[str, BeforeValidator(_text)]
"""A text, or `env:NAME`."""

ReferredPort = Annotated[int, BeforeValidator(_port), Field(ge=1, le=65535)]
"""A TCP port, or `env:NAME`."""

ReferredPath = Annotated[Path, BeforeValidator(_path)]
"""A path, or `env:NAME`; a relative one starts at the description's folder."""

ReferredKey = Annotated[KeyPlace, BeforeValidator(_key_place)]
"""A key: the path of its file, or the URI of an object in a token (`pkcs11:...`); or `env:NAME`."""
